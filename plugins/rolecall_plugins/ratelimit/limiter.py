"""The limiter `pacing`: a gap between any two calls, and each provider's own limits beneath it."""

from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from rolecall import Call, Order, Outcome, Settings, SystemClock

from .interval import Gap, LocalGap, SharedGap, Stamps
from .provider_limiter import Lane, Ticket
from .shared_state import LocalShelf, SharedShelf, Shelf
from .timers import Alarm, LoopAlarm, precise_alarm
from .wait_queue import Gate, Key, Line

HELD_UP = 0.005  # of the interval
# What is sent first may take longer on its way, by a new connection say: so much more of the
# interval keeps them apart where they arrive.
ON_THE_WAY = 0.01


def user_pacing(settings: Settings) -> "Pacing":
    """Give the limiter that all of the user's processes share, beneath the settings' state."""
    now = SystemClock().now
    if not settings.state:
        return Pacing(settings, LocalGap(now), now, precise_alarm)
    state = Path(settings.state)
    gap: Gap = SharedGap(state / "pacing", now) if settings.interval else LocalGap(now)
    # What a simulator counts and refuses says nothing of the vendor.
    records = "rehearsal" if settings.rehearsal else "pacing"
    return Pacing(
        settings,
        gap,
        now,
        precise_alarm,
        lambda provider: SharedShelf(state / f"{records}-{provider}.json", now),
    )


class Pacing:
    """Grants permits at least `settings.interval` seconds apart, in the order of `settings.order`.

    The interval counts from the moment the call before was really let go. A provider's own limits
    are kept beneath it (see `Lane`). It waits; it refuses only a call that a limit per day would
    hold up for longer than `settings.max_wait`.

    alarm: makes what wakes the first in line; the event loop's own timers keep to a test's clock.
    shelf: makes what keeps a provider's record, by the provider's name.
    """

    name = "pacing"

    def __init__(
        self,
        settings: Settings,
        gap: Gap,
        now: Callable[[], float],
        alarm: Callable[[], Alarm] = LoopAlarm,
        shelf: Callable[[str], Shelf] = lambda provider: LocalShelf(),
    ) -> None:
        self._settings = settings
        self._now = now
        self._alarm = alarm
        self._shelf = shelf
        self._permits = _Turns(settings.interval, gap, now, alarm, _permitted)
        apart = (1 + ON_THE_WAY) * settings.interval
        self._sends = _Turns(apart, gap, now, alarm, _sent)
        self._sent_gate = self._sends.gate(lambda stamps: stamps.sent)
        self._lanes: dict[str, tuple[Lane, Gate]] = {}
        self._tickets: dict[Call, list[Ticket]] = {}
        self._telling: set[str] = set()

    async def acquire(self, call: Call) -> None:
        lane, gate = self._lane(call.provider)
        key = self._key(call)
        while True:
            ticket = await lane.enter(call, key)
            try:
                if self._permits.behind:
                    call.held("interval", self._permits.behind * self._settings.interval)
                await self._permits.wait(partial(_unless_recalled, lane, ticket, gate), key)
                break
            except _Recalled:
                lane.left(ticket)
            except BaseException:
                lane.left(ticket)
                raise
        lane.started(ticket)
        self._tickets.setdefault(call, []).append(ticket)
        self._permits.let_go()

    async def sending(self, call: Call) -> None:
        self._telling.add(call.provider)
        await self._sends.wait(self._sent_gate, ())
        self._sends.let_go()

    def ended(self, call: Call, outcome: Outcome) -> None:
        tickets = self._tickets[call]
        lane, _ = self._lane(call.provider)
        lane.ended(tickets.pop(), outcome)
        if not tickets:
            del self._tickets[call]

    def _key(self, call: Call) -> Key:
        """Give a call's place in line; the lower, the sooner.

        By throughput, it overtakes those that came before it by up to as many seconds as the path
        behind it is longer: so nobody is overtaken for ever. By latency, the oldest run goes first.
        """
        asked = self._now() if call.asked is None else call.asked
        if self._settings.order is Order.LATENCY:
            began = asked if call.began is None else call.began
            return (began, -call.priority, asked)
        return (asked - call.priority,)

    def _lane(self, provider: str) -> tuple[Lane, Gate]:
        if provider not in self._lanes:
            own, longest = self._settings.provider(provider), self._settings.max_wait
            lane = Lane(own, self._shelf(provider), self._now, self._alarm, longest)
            gate = self._permits.gate(partial(self._before, provider))
            self._lanes.setdefault(provider, (lane, gate))
        return self._lanes[provider]

    def _before(self, provider: str, stamps: Stamps) -> float:
        """Give the moment that a permit keeps its distance from.

        A provider that tells when it sends keeps the distance of what is sent by that; where
        it does not, a permit is all there is, and keeps its distance from both.
        """
        return stamps.permit if provider in self._telling else max(stamps.permit, stamps.sent)


class _Turns:
    """Turns one interval apart, counted from the moment a caller is really let go."""

    def __init__(
        self,
        interval: float,
        gap: Gap,
        now: Callable[[], float],
        alarm: Callable[[], Alarm],
        stamp: Callable[[Stamps, float], Stamps],
    ) -> None:
        self._interval = interval
        self._gap = gap
        self._now = now
        self._line = Line(alarm)
        self._stamp = stamp
        self._taken = 0.0

    def gate(self, before: Callable[[Stamps], float]) -> Gate:
        """Make a gate that opens one interval after the moment that `before` gives."""
        return partial(self._gap.attempt, partial(self._take, before))

    @property
    def behind(self) -> int:
        """Count those in line."""
        return len(self._line)

    def wait(self, gate: Gate, key: Key) -> Coroutine[Any, Any, None]:
        return self._line.wait(gate, key)  # not awaited here: each frame costs every waiting caller

    def let_go(self) -> None:
        """Count from now on, as its caller may have been held up since its turn.

        Other processes are told where it makes a difference to them.
        """
        if self._now() - self._taken > HELD_UP * self._interval:
            self._gap.attempt(self._stamp)
        self._gap.note(self._stamp)

    def _take(
        self, before: Callable[[Stamps], float], stamps: Stamps, now: float
    ) -> Stamps | float:
        wait = before(stamps) + self._interval - now
        if wait > 0:
            return wait
        self._taken = now
        return self._stamp(stamps, now)


class _Recalled(Exception):
    """The call's provider asked for a pause while the call stood in line."""


def _unless_recalled(lane: Lane, ticket: Ticket, gate: Gate) -> float:
    if lane.recalls(ticket):
        raise _Recalled
    return gate()


def _permitted(stamps: Stamps, now: float) -> Stamps:
    return Stamps(now, stamps.sent)


def _sent(stamps: Stamps, now: float) -> Stamps:
    return Stamps(stamps.permit, now)
