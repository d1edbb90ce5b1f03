"""Decide how a request is answered, without a network: checks, limits, faults, reply."""

import hashlib
from collections import Counter
from collections.abc import Callable
from random import Random

from attrs import evolve, frozen

from .anthropic import requests as anthropic_requests
from .anthropic import service as anthropic
from .anthropic import turns as anthropic_turns
from .batches.store import BatchStore
from .cases import Case
from .content.answers import Answers
from .content.prompt_cache import PromptCache
from .content.replies import agent_of
from .exchange import Framing, HttpReply, Incoming, Query, Rejected
from .faults import PROVIDERS, failure
from .gemini import requests as gemini_requests
from .gemini import service as gemini
from .gemini import turns as gemini_turns
from .injection import Injector
from .limits import BucketLevel, Limits, QuotaMeter
from .openai import requests as openai_requests
from .openai import service as openai
from .scenario import Scenario


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
        self._cache = PromptCache()
        self.batches = BatchStore(scenario.batches, scenario.seed, clock)
        self._answers = Answers(scenario.replies, scenario.scripts)
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
        provider = incoming.provider
        meter = self._meters[provider]
        try:
            query = _READ[provider](incoming)
            _VERIFY[provider](query)
        except Rejected as rejection:
            answer = self._framing(incoming, ordinal, ()).rejected(rejection)
            return Decision(answer=answer, model=incoming.model, cause=rejection.cause)
        denial = meter.enter(query.input_tokens)
        framing = self._framing(incoming, ordinal, meter.levels())
        if denial is not None:
            cause = "quota_exhausted" if denial.family == "requests-per-day" else "rate_limited"
            answer = framing.limited(query, denial)
            return Decision(answer=answer, model=query.model, cause=cause, query=query)
        delay = self._delay(provider, ordinal)
        query = self._cached(query, delay)
        answer, cause_of_fault = self._answer(provider, ordinal, framing, query)
        return Decision(
            answer=answer,
            model=query.model,
            delay=delay,
            cause=cause_of_fault,
            query=query,
            admitted=True,
        )

    def answer_in_batch(self, incoming: Incoming) -> HttpReply:
        """Answer one request of a batch, which no limit per minute holds back."""
        provider = incoming.provider
        ordinal = self.arrive(provider)
        framing = self._framing(incoming, ordinal, ())
        try:
            query = _READ[provider](incoming)
            _VERIFY[provider](query)
        except Rejected as rejection:
            return framing.rejected(rejection)
        answer, _ = self._answer(provider, ordinal, framing, self._cached(query, 0.0))
        return answer

    def finish(self, provider: str, decision: Decision) -> None:
        """Charge an admitted call's output and free its place."""
        self._meters[provider].leave(decision.answer.output_tokens)

    def _answer(
        self, provider: str, ordinal: int, framing: Framing, query: Query
    ) -> tuple[HttpReply, str | None]:
        agent = agent_of(query.system, query.turns)
        answer = self._answers.choose(query)
        fault = self._injector.choose(provider, ordinal, query.model, agent)
        if fault is None:
            return framing.reply(query, answer.text, answer.calls), None
        case = Case(query, answer.text, fault.options, answer.calls)
        return failure(framing, fault.cause, case), fault.cause

    def _cached(self, query: Query, delay: float) -> Query:
        """Read from and write to the prompt cache, which knows a prompt once its reply begins."""
        now = self._clock()
        return evolve(query, cache=self._cache.use(query.model, query.blocks, now, now + delay))

    def _framing(
        self, incoming: Incoming, ordinal: int, levels: tuple[BucketLevel, ...]
    ) -> Framing:
        identity = f"{self._scenario.seed}/{incoming.provider}/{ordinal}"
        call = hashlib.sha256(identity.encode()).hexdigest()[:20]
        return _FRAMING[incoming.provider](incoming, call, self._clock(), levels)

    def _delay(self, provider: str, ordinal: int) -> float:
        rng = Random(f"{self._scenario.seed}/{provider}/{ordinal}/latency")
        return self._scenario.latency.sample(rng)


_READ: dict[str, Callable[[Incoming], Query]] = {
    "claude": anthropic_requests.read,
    "gemini": gemini_requests.read,
    "openai": openai_requests.read,
}
_VERIFY: dict[str, Callable[[Query], None]] = {
    "claude": anthropic_turns.check_signatures,
    "gemini": gemini_turns.check_signatures,
    "openai": openai_requests.check,
}
_FRAMING: dict[str, Callable[[Incoming, str, float, tuple[BucketLevel, ...]], Framing]] = {
    "claude": anthropic.framing,
    "gemini": gemini.framing,
    "openai": openai.framing,
}
