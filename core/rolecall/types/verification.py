"""How the workspace is checked and started, and what checks came to, by the machine's word."""

from collections.abc import Mapping
from typing import Any

from attrs import frozen

REGISTER_CHECKS = "register_checks"  # the tool's name, also in journals


@frozen
class Registration:
    """What an agent says of its work: the commands that check it, and the one that starts it.

    All are for the shell, from the workspace's root; `start` is empty where nothing is started.
    """

    checks: tuple[str, ...]
    start: str = ""

    @classmethod
    def parse(cls, arguments: Mapping[str, Any]) -> "Registration":
        """Read the arguments of a tool call; what is no command is left out."""
        listed, start = arguments.get("checks"), arguments.get("start")
        commands = listed if isinstance(listed, list) else []
        texts = (each.strip() for each in commands if isinstance(each, str))
        return cls(tuple(filter(None, texts)), start.strip() if isinstance(start, str) else "")


@frozen(kw_only=True)
class Check:
    """One command and what it came to.

    output: shortened head and tail. seconds: it took. stopped: the limit that ended it, or "".
    """

    command: str
    code: int
    output: str
    seconds: float
    stopped: str = ""

    @property
    def has_passed(self) -> bool:
        return self.code == 0 and not self.stopped
