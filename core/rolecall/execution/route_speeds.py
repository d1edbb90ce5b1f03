"""How long routes take to answer, learned from past runs and while calls are under way."""

from collections.abc import Callable, Mapping
from statistics import fmean, quantiles

from attrs import define

from ..storage.history import TIMED, USUAL, AgentHistory, Past

TOKENS = 4000  # that an agent writes in a call, where nothing is known
FADING = 0.8  # what a measurement still counts for once there is another
ENOUGH = 10  # answers that were timed, before it is said when one is late
LASTING = 3 * TOKENS  # that past runs count for, at most


@define
class _Speed:
    """Seconds taken and tokens written, the latest of which count most."""

    seconds: float = 0.0
    tokens: float = 0.0


@define
class _Running:
    route: str
    agent: str
    since: float


class RouteSpeeds:
    """Learns what routes take for each token, and expects answers by what each agent writes.

    A call under way that takes longer than was expected of it counts as if it ended now.

    now: a clock's seconds.
    """

    def __init__(self, now: Callable[[], float], past: Past) -> None:
        self._now = now
        self._written = _written(past.agents)
        self._usual = fmean(self._written.values()) if self._written else TOKENS
        self._routes: dict[str, _Speed] = {}
        self._running: dict[int, _Running] = {}
        self._first = {route: history.first for route, history in past.routes.items()}
        for route, history in past.routes.items():
            if history.output and history.seconds:
                part = min(1.0, LASTING / history.output)
                self._routes[route] = _Speed(history.seconds * part, history.output * part)

    def started(self, number: int, agent: str, route: str) -> None:
        """Begin to watch a call."""
        self._running[number] = _Running(route, agent, self._now())

    def ended(self, number: int, tokens: int, first: float | None = None) -> None:
        """Learn from a call that ended; one that wrote no tokens teaches nothing of its speed.

        first: seconds to its first piece of text.
        """
        call = self._running.pop(number)
        if first is not None:
            self._first[call.route] = [*self._first.get(call.route, ()), first][-TIMED:]
        if tokens:
            speed = self._routes.setdefault(call.route, _Speed())
            speed.seconds = FADING * speed.seconds + self._now() - call.since
            speed.tokens = FADING * speed.tokens + tokens

    def patience(self, route: str) -> float | None:
        """Return the seconds within which 95 % of a route's answers begin; None if unknown."""
        known = self._first.get(route, ())
        return quantiles(known, n=20)[-1] if len(known) >= ENOUGH else None

    def tokens(self, agent: str) -> float:
        """Return how many tokens an agent is expected to write in a call."""
        return self._written.get(agent, self._usual)

    def seconds(self, agent: str, route: str) -> float:
        """Return how long a route is expected to take for an agent's call."""
        known = [speed.seconds / speed.tokens for speed in self._routes.values()]
        per_token = fmean(known) if known else USUAL / TOKENS
        if (speed := self._routes.get(route)) is not None:
            per_token = speed.seconds / speed.tokens
        return self.tokens(agent) * self._with_those_under_way(route, per_token)

    def _with_those_under_way(self, route: str, per_token: float) -> float:
        speed = self._routes.get(route, _Speed())
        seconds, tokens = speed.seconds, speed.tokens
        for call in self._running.values():
            took, written = self._now() - call.since, self.tokens(call.agent)
            if call.route == route and took > written * per_token:
                seconds += took
                tokens += written
        return max(per_token, seconds / tokens) if tokens else per_token


def _written(agents: Mapping[str, AgentHistory]) -> dict[str, float]:
    known = {name: past for name, past in agents.items() if past.output and past.calls}
    return {name: past.output / past.calls for name, past in known.items()}
