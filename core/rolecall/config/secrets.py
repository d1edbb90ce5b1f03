"""Which environment variables hold secrets, as their names show."""

import re

_TELLING = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)


def is_telling(name: str) -> bool:
    """Check whether a variable of this name holds a secret."""
    return _TELLING.search(name) is not None
