"""Decide how a request is answered, without a network: checks, limits, faults, reply."""

import hashlib
from collections import Counter
from collections.abc import Callable
from random import Random

from attrs import evolve, frozen

from .anthropic import requests as anthropic_requests
from .anthropic import service as anthropic
from .cases import Case
from .content.replies import agent_of, reply
from .exchange import Framing, HttpReply, Incoming, Query, Rejected, count_tokens
from .faults import PROVIDERS, failure
from .gemini import requests as gemini_requests
from .gemini import service as gemini
from .injection import Injector
from .limits import Level, Limits, QuotaMeter
from .scenario import Scenario

CACHE_LIFETIME = 300.0  # seconds


@frozen(kw_only=True)
class Decision:
    """A reply, the seconds until it begins, and what led to it."""

    answer: HttpReply
    model: str
    delay: float = 0.0
    cause: str | None = None
    query: Query | None = None
    admitted: bool = False

    @property
    def agent(self) -> str | None:
        return agent_of(self.query.system, self.query.turns) if self.query else None


class Service:
    """Answer requests as a scenario says."""

    def __init__(self, scenario: Scenario, clock: Callable[[], float]) -> None:
        self._scenario = scenario
        self._clock = clock
        self._injector = Injector(scenario.faults, scenario.seed)
        self._arrived: Counter[str] = Counter()
        self._cached_until: dict[tuple[str, str], float] = {}
        self._meters = {
            provider: QuotaMeter(scenario.limits.get(provider, Limits()), clock)
            for provider in PROVIDERS
        }

    def arrive(self, provider: str) -> int:
        """Count an arriving request and return its ordinal, from 1 on."""
        self._arrived[provider] += 1
        return self._arrived[provider]

    def decide(self, incoming: Incoming, ordinal: int) -> Decision:
        """Answer one request; one that is admitted must be given to `finish` afterwards."""
        meter = self._meters[incoming.provider]
        try:
            query = _READ[incoming.provider](incoming)
        except Rejected as rejection:
            answer = self._framing(incoming, ordinal, ()).rejected(rejection)
            return Decision(answer=answer, model=incoming.model, cause=rejection.cause)
        denial = meter.enter(query.input_tokens)
        framing = self._framing(incoming, ordinal, meter.levels())
        if denial is not None:
            cause = "quota_exhausted" if denial.family == "requests-per-day" else "rate_limited"
            answer = framing.limited(query, denial)
            return Decision(answer=answer, model=query.model, cause=cause, query=query)
        query = self._cached(query)
        answer, cause_of_fault = self._answer(incoming.provider, ordinal, framing, query)
        return Decision(
            answer=answer,
            model=query.model,
            delay=self._delay(incoming.provider, ordinal),
            cause=cause_of_fault,
            query=query,
            admitted=True,
        )

    def finish(self, provider: str, decision: Decision) -> None:
        """Charge an admitted call's output and free its place."""
        self._meters[provider].leave(decision.answer.output_tokens)

    def _answer(
        self, provider: str, ordinal: int, framing: Framing, query: Query
    ) -> tuple[HttpReply, str | None]:
        agent = agent_of(query.system, query.turns)
        text = self._scenario.replies.get(agent or "") or reply(query.system, query.turns)
        fault = self._injector.choose(provider, ordinal, query.model, agent)
        if fault is None:
            return framing.reply(query, text), None
        return failure(framing, fault.cause, Case(query, text, fault.options)), fault.cause

    def _cached(self, query: Query) -> Query:
        """Cache a marked system prompt for five minutes from its last use."""
        if not query.marked:
            return query
        now, prompt = self._clock(), (query.model, query.system)
        fresh = now < self._cached_until.get(prompt, 0.0)
        self._cached_until[prompt] = now + CACHE_LIFETIME
        tokens = count_tokens(query.system)
        return evolve(query, read=tokens) if fresh else evolve(query, written=tokens)

    def _framing(self, incoming: Incoming, ordinal: int, levels: tuple[Level, ...]) -> Framing:
        identity = f"{self._scenario.seed}/{incoming.provider}/{ordinal}"
        call = hashlib.sha256(identity.encode()).hexdigest()[:20]
        return _FRAMING[incoming.provider](incoming, call, self._clock(), levels)

    def _delay(self, provider: str, ordinal: int) -> float:
        rng = Random(f"{self._scenario.seed}/{provider}/{ordinal}/latency")
        return self._scenario.latency.sample(rng)


_READ: dict[str, Callable[[Incoming], Query]] = {
    "claude": anthropic_requests.read,
    "gemini": gemini_requests.read,
}
_FRAMING: dict[str, Callable[[Incoming, str, float, tuple[Level, ...]], Framing]] = {
    "claude": anthropic.framing,
    "gemini": gemini.framing,
}
