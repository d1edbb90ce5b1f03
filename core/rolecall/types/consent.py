"""What an operator answers when a tool is about to change something outside of the workspace."""

from enum import StrEnum


class Consent(StrEnum):
    """ALWAYS: this call, and every later one of the same tool in the run."""

    ONCE = "once"
    ALWAYS = "always"
    REFUSED = "refused"
