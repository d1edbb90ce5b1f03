"""The limiter `pacing`: an interval between any two calls, and each provider's own limits."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from rolecall import Call, Order, Outcome, Settings, SystemClock

from .interval import IntervalQueue, LastStart, LocalInterval, MinInterval
from .provider_limiter import Admission, ProviderLimiter, Recalled
from .shared_interval import SharedInterval
from .shared_state import FileState, LocalState, SharedState
from .wait_forecast import WaitForecast
from .wait_queue import Gate, Key

# What is sent first may take longer on its way, by a new connection say: so much more of the
# interval keeps them apart where they arrive.
ON_THE_WAY = 0.01


def create_pacing_limiter(settings: Settings) -> "PacingLimiter":
    """Create the limiter that all of the user's processes share, beneath the settings' state."""
    now = SystemClock().now
    if not settings.state:
        return PacingLimiter(settings, LocalInterval(now), now)
    folder = Path(settings.state)
    return PacingLimiter(
        settings,
        SharedInterval(folder, now) if settings.interval else LocalInterval(now),
        now,
        lambda quota: FileState(folder / "quotas" / f"{quota}.json", now),
    )


class PacingLimiter:
    """Grants permits at least `settings.interval` seconds apart, in the order of `settings.order`.

    The interval counts from the moment the call before was really let go. A provider's own limits
    are kept beneath it (see `ProviderLimiter`). It waits; it refuses only a call that a limit per
    day would hold up for longer than `settings.max_wait`.

    state: makes what keeps a quota's record, by the quota's name.
    """

    name = "pacing"

    def __init__(
        self,
        settings: Settings,
        interval: MinInterval,
        now: Callable[[], float],
        state: Callable[[str], SharedState] = lambda quota: LocalState(),
    ) -> None:
        self._settings = settings
        self._now = now
        self._state = state
        self._interval = interval
        self._permits: IntervalQueue[Admission] = IntervalQueue(
            settings.interval, interval, now, _permitted
        )
        apart = (1 + ON_THE_WAY) * settings.interval
        self._sends: IntervalQueue[Call] = IntervalQueue(apart, interval, now, _sent)
        self._sent_gate = self._sends.gate(lambda last: last.sent)
        self._quotas: dict[str, tuple[ProviderLimiter, Gate]] = {}
        self._admissions: dict[Call, list[Admission]] = {}
        self._announcing: set[str] = set()

    async def acquire(self, call: Call) -> None:
        provider, gate = self._quota(call)
        key = self._key(call)
        admission = None
        while admission is None:
            admission = await self._admit(provider, gate, call, key)
        provider.started(admission)
        self._admissions.setdefault(call, []).append(admission)
        self._permits.let_go()

    async def _admit(
        self, provider: ProviderLimiter, gate: Gate, call: Call, key: Key
    ) -> Admission | None:
        """Pass a call through its provider's limits and the interval; None if it was recalled."""
        admission = None
        try:
            admission = await provider.admit(call, key)
            if self._permits.waiting:
                call.on_wait("interval", self._permits.waiting * self._settings.interval)
            await self._permits.wait(partial(_checked, provider, admission, gate), key, admission)
        except BaseException as error:
            if admission is not None:
                provider.left(admission)
            if not isinstance(error, Recalled):
                raise
            return None
        return admission

    async def sending(self, call: Call) -> None:
        self._announcing.add(call.provider)
        await self._sends.wait(self._sent_gate, (), call)
        self._sends.let_go()

    def forecast(self, call: Call) -> float:
        """Return the seconds for which a call would wait for its permit if it was asked now.

        It is what `acquire` comes to, if nobody else comes, no call is refused, and those under
        way take as long as their model's calls take on average.
        """
        own, _ = self._quota(call)
        # Another thread may meet a new provider meanwhile.
        quotas = {name: quota for name, (quota, _) in [*self._quotas.items()]}
        key, last, waiting = self._key(call), self._interval.peek(), self._permits.items()
        now, interval = self._now(), self._settings.interval
        if own.would_pass(call) and not any(each.is_holding() for each in quotas.values()):
            # As nearly always: only the interval holds calls, in their order.
            ahead = [queued for queued in waiting if queued[0] <= key]
            first = min(ahead)[2].call if ahead else call
            start = max(now, self._before(first.provider, last) + interval)
            return start - now + len(ahead) * interval
        forecast = WaitForecast(now, interval, self._before, last, quotas, waiting)
        return forecast.seconds(call, key)

    def room(self, call: Call) -> float:
        """Return which share of its quota's limits is free; 1 where none is known."""
        quota, _ = self._quota(call)
        return quota.room(call)

    def ended(self, call: Call, outcome: Outcome) -> None:
        admissions = self._admissions[call]
        provider, _ = self._quota(call)
        provider.ended(admissions.pop(), outcome)
        if not admissions:
            del self._admissions[call]

    def _key(self, call: Call) -> Key:
        """Return what a call's place in the queues goes by; the lower, the sooner.

        By throughput, it overtakes those that came before it by up to as many seconds as the path
        behind it is longer: so nobody is overtaken for ever. By latency, the oldest run goes first.
        """
        asked = self._now() if call.asked is None else call.asked
        if self._settings.order is Order.LATENCY:
            began = asked if call.began is None else call.began
            return (began, -call.priority, asked)
        return (asked - call.priority,)

    def _quota(self, call: Call) -> tuple[ProviderLimiter, Gate]:
        """Return what limits the calls that count on a call's quota."""
        name = call.counted_on
        if name not in self._quotas:
            settings, state = self._settings, self._state(name)
            limiter = ProviderLimiter(
                settings.limits(call.provider, name),
                state,
                self._now,
                settings.max_wait,
                settings.rehearsal_speed,
            )
            gate = self._permits.gate(partial(self._before, call.provider))
            self._quotas.setdefault(name, (limiter, gate))
        return self._quotas[name]

    def _before(self, provider: str, last: LastStart) -> float:
        """Return the moment that a permit keeps its distance from.

        A provider that announces when it sends keeps the distance of what is sent by that; where
        it does not, a permit is all there is, and keeps its distance from both.
        """
        return last.permit if provider in self._announcing else max(last.permit, last.sent)


def _checked(provider: ProviderLimiter, admission: Admission, gate: Gate) -> float:
    provider.check(admission)
    return gate()


def _permitted(last: LastStart, now: float) -> LastStart:
    return LastStart(now, last.sent)


def _sent(last: LastStart, now: float) -> LastStart:
    return LastStart(last.permit, now)
