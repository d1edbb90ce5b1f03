"""Keep secrets out of everything that came from outside and goes into files and messages."""

import re
from collections.abc import Mapping

MASK = "[secret]"
SHORTEST = 8
_TELLING = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)


class Redactor:
    """Masks the values of those environment variables whose names tell of a secret."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.secrets = frozenset(
            secret
            for name, value in environment.items()
            if is_telling(name) and len(secret := value.strip()) >= SHORTEST
        )
        longest_first = sorted(self.secrets, key=len, reverse=True)
        self._secret = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def __call__(self, text: str) -> str:
        return self._secret.sub(MASK, text)


def is_telling(name: str) -> bool:
    """Tell whether a variable of this name holds a secret."""
    return _TELLING.search(name) is not None
