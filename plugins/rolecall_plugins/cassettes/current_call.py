"""Which call is under way, which the traffic itself does not show, and which cassette is active.

Both are context variables: concurrent agents run as tasks of one loop, and each sees its own.
"""

from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rolecall import Call, Event, Outcome

current_call: ContextVar["Call | None"] = ContextVar("current_call", default=None)


class ActiveCassette(Protocol):
    """A cassette at work, as the limiter and the observers know it."""

    def check_call(self, call: "Call") -> None:
        """Note a call before it is made; raise where it must not be made."""
        ...

    def forecast(self, call: "Call") -> float:
        """Return for how many seconds a call would wait; infinite where it must not be made."""
        ...

    def notify(self, event: "Event") -> None: ...


active_cassette: ContextVar[ActiveCassette | None] = ContextVar("active_cassette", default=None)


class CurrentCallLimiter:
    """A limiter that never waits: it notes, for the task that calls, which call it makes.

    A limiter is the only hook that runs in that task between the dispatcher and the provider.
    """

    name = "cassettes"

    def __init__(self, cassette: ActiveCassette | None) -> None:
        self._cassette = cassette

    async def acquire(self, call: "Call") -> None:
        current_call.set(call)
        if self._cassette is not None:
            self._cassette.check_call(call)

    def forecast(self, call: "Call") -> float:
        return 0.0 if self._cassette is None else self._cassette.forecast(call)

    def ended(self, call: "Call", outcome: "Outcome") -> None:
        pass
