"""What checks of the workspace came to, by the machine's word."""

from attrs import frozen


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
