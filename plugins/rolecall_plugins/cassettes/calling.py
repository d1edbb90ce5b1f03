"""Who is calling, which the traffic itself does not tell, and which cassette listens.

The limiter costs a call nothing that could be measured; it is asked last and never waits.
"""

from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rolecall import Call, Event, Outcome

calling: ContextVar["Call | None"] = ContextVar("calling", default=None)


class Tape(Protocol):
    """A cassette at work, as those see it who tell it of calls and events."""

    def asking(self, call: "Call") -> None:
        """Hear of a call before it is made; raise where it must not be made."""
        ...

    def notify(self, event: "Event") -> None: ...


listening: ContextVar[Tape | None] = ContextVar("listening", default=None)


class Caller:
    """A limiter that remembers, for the task that calls, which call it makes."""

    name = "cassettes"

    def __init__(self, tape: Tape | None) -> None:
        self._tape = tape

    async def acquire(self, call: "Call") -> None:
        calling.set(call)
        if self._tape is not None:
            self._tape.asking(call)

    def ended(self, call: "Call", outcome: "Outcome") -> None:
        pass
