"""One provider's limits: calls at once, the user's quota, the vendor's word, and its pauses."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from attrs import define

from rolecall import Call, Cause, Outcome, ProviderError, ProviderSettings

from .cooldown import Pause
from .quota import Booked, Quota
from .shared_state import Shelf
from .timers import Alarm
from .token_forecast import Forecast
from .vendor_limits import Account, Drawn
from .wait_queue import FOREVER, Key, Line

HOPELESS = 120.0  # seconds; no limit per minute holds a call up for so long


@define(eq=False)
class Ticket:
    """A call's way through a lane."""

    call: Call
    account: Account
    drawn: Drawn
    booked: Booked


class Lane:
    """Lets a provider's calls in as its limits allow.

    A call that entered has either `started` or `left`; one that started `ended`. Who comes first
    in line is told by its key.

    longest: seconds that a call may be held up by what the vendor asks for, and by a day's limit.
    """

    def __init__(
        self,
        limits: ProviderSettings,
        shelf: Shelf,
        now: Callable[[], float],
        alarm: Callable[[], Alarm],
        longest: float,
    ) -> None:
        self._at_once = limits.concurrency or FOREVER
        self._now = now
        self._longest = longest
        self._line = Line(alarm)
        self._lock = threading.RLock()
        self._active = 0
        self._quota = Quota(limits, shelf, now)
        self._pause = Pause(shelf, now, longest)
        self._forecast = Forecast()
        self._accounts: dict[str, Account] = {}

    async def enter(self, call: Call, key: Key) -> Ticket:
        """Wait for a place; raise ProviderError where that would take longer than anyone waits."""
        reason, wait = self._pause.wait()
        if wait:  # told at once, also to those who are not the first in line
            call.held(reason, wait)
        ticket: list[Ticket] = []
        await self._line.wait(partial(self._gate, call, ticket), key)
        return ticket[0]

    def recalls(self, ticket: Ticket) -> bool:
        """Tell whether a call that entered is to leave again, as a pause began meanwhile."""
        with self._lock:
            return self._pause.wait(ticket)[1] > 0

    def started(self, ticket: Ticket) -> None:
        with self._lock:
            self._pause.started(ticket)
            ticket.account.start(ticket.drawn, self._now())
            self._quota.start(ticket.booked)
        if self._pause.probing:
            self._line.poke()

    def left(self, ticket: Ticket) -> None:
        """Give back the place of a call that did not start."""
        with self._leaving():
            self._pause.given_up(ticket)
            ticket.account.give_back(ticket.drawn)
            self._quota.give_back(ticket.booked)

    def ended(self, ticket: Ticket, outcome: Outcome) -> None:
        """Learn from how a call ended that started."""
        usage, call, drawn = outcome.usage, ticket.call, ticket.drawn
        refused = outcome.cause is Cause.RATE_LIMITED
        with self._leaving():
            now = self._now()
            if usage.input or usage.output:
                read, written = usage.input, usage.output
                self._forecast.learn(call, written)
            else:
                # A call that was cut off may have used its tokens.
                unused = refused or not outcome.started
                read, written = (0, 0) if unused else (drawn.read, drawn.written)
            self._quota.settle(ticket.booked, read, written)
            ticket.account.settle(drawn, read, written, outcome.headers, now)
            if not outcome.started:
                self._pause.given_up(ticket)
                return
            if not refused:
                self._pause.ended(ticket)
                return
            seconds = self._pause.refused(ticket, drawn.started or now, outcome.retry_after)
            if seconds:
                ticket.account.refused(drawn, outcome.limits, seconds, now)

    @contextmanager
    def _leaving(self) -> Iterator[None]:
        with self._lock:
            self._active -= 1
            try:
                yield
            finally:
                self._line.poke()

    def _gate(self, call: Call, ticket: list[Ticket]) -> float:
        with self._lock:
            taken = self._attempt(call)
        if isinstance(taken, Ticket):
            ticket.append(taken)
            return 0.0
        reason, wait = taken
        if max(self._longest, HOPELESS) < wait < FOREVER:
            raise ProviderError(
                Cause.QUOTA_EXHAUSTED,
                f"all {reason} of {call.provider} are used up; there is room again in "
                f"{wait / 3600:.1f} h",
                retry_after=wait,
            )
        call.held(reason, wait)
        return wait

    def _attempt(self, call: Call) -> Ticket | tuple[str, float]:
        """Let a call in, or give the reason and the seconds for which it has to wait."""
        now = self._now()
        reason, wait = self._pause.wait()
        if wait:
            return reason, wait
        if self._active >= self._at_once:
            return f"{self._at_once} calls at once", FOREVER
        account = self._accounts.get(call.model)
        if account is None:
            account = self._accounts[call.model] = Account(now)
        read, written = call.input_tokens, self._forecast.expect(call)
        reason, wait = account.wait(read, written, now)
        if wait:
            return reason, wait
        booked = self._quota.book(read, written)
        if not isinstance(booked, Booked):
            return booked
        self._active += 1
        ticket = Ticket(call, account, account.draw(read, written), booked)
        self._pause.took(ticket)
        return ticket
