"""The built-in limiter: a gap between any two calls, and each provider's own limits beneath it."""

from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from rolecall import Call, Limiter, Outcome, Settings, SystemClock, hookimpl

from ._alarm import Alarm, LoopAlarm, precise_alarm
from ._gap import Gap, LocalGap, SharedGap, Stamps
from ._lane import Lane
from ._line import Gate, Line

HELD_UP = 0.005  # of the interval
# What is sent first may take longer on its way, by a new connection say: so much more of the
# interval keeps them apart where they arrive.
ON_THE_WAY = 0.01


@hookimpl
def rolecall_limiters(settings: Settings) -> Iterable[Limiter]:
    now = SystemClock().now
    shared = settings.state and settings.interval
    gap = SharedGap(Path(settings.state) / "pacing", now) if shared else LocalGap(now)
    return [Pacing(settings, gap, now, precise_alarm)]


class Pacing:
    """Grants permits at least `settings.interval` seconds apart, first come, first served.

    The interval counts from the moment the call before was really let go. A provider's requests
    per minute and its concurrency are kept beneath it, and when it says that it is too much, all
    of its callers pause. It waits; it never raises.

    alarm: makes what wakes the first in line; the event loop's own timers keep to a test's clock.
    """

    name = "pacing"

    def __init__(
        self,
        settings: Settings,
        gap: Gap,
        now: Callable[[], float],
        alarm: Callable[[], Alarm] = LoopAlarm,
    ) -> None:
        self._settings = settings
        self._now = now
        self._alarm = alarm
        self._permits = _Turns(settings.interval, gap, now, alarm, _permitted)
        apart = (1 + ON_THE_WAY) * settings.interval
        self._sends = _Turns(apart, gap, now, alarm, _sent)
        self._sent_gate = self._sends.gate(lambda stamps: stamps.sent)
        self._lanes: dict[str, tuple[Lane, Gate]] = {}
        self._telling: set[str] = set()

    async def acquire(self, call: Call) -> None:
        lane, gate = self._lane(call.provider)
        while True:
            await lane.enter(call)
            try:
                await self._permits.wait(gate)
                break
            except _Paused:
                lane.left(started=False)
            except BaseException:
                lane.left(started=False)
                raise
        lane.started()
        self._permits.let_go()

    async def sending(self, call: Call) -> None:
        self._telling.add(call.provider)
        await self._sends.wait(self._sent_gate)
        self._sends.let_go()

    def ended(self, call: Call, outcome: Outcome) -> None:
        lane, _ = self._lane(call.provider)
        lane.hear(outcome)
        lane.left()

    def _lane(self, provider: str) -> tuple[Lane, Gate]:
        if provider not in self._lanes:
            own = self._settings.provider(provider)
            lane = Lane(own, self._now, self._alarm, self._settings.max_wait)
            gate = partial(
                _unless_paused, lane, self._permits.gate(partial(self._before, provider))
            )
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

    def wait(self, gate: Gate) -> Coroutine[Any, Any, None]:
        return self._line.wait(gate)  # not awaited here: each frame costs every waiting caller

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


class _Paused(Exception):
    """The call's provider asked for a pause while the call stood in line."""


def _unless_paused(lane: Lane, gate: Gate) -> float:
    if lane.is_paused:
        raise _Paused
    return gate()


def _permitted(stamps: Stamps, now: float) -> Stamps:
    return Stamps(now, stamps.sent)


def _sent(stamps: Stamps, now: float) -> Stamps:
    return Stamps(stamps.permit, now)
