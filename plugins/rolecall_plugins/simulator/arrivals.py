"""What the simulator saw of each call."""

import hashlib

from attrs import evolve, frozen

from .service import Outcome


@frozen(kw_only=True)
class Arrival:
    """A call as the simulator saw it.

    at: monotonic seconds when its headers arrived.
    status: what it was answered; None before that, and where it got no status at all.
    cause: why it failed, or None where it did not.
    """

    at: float
    provider: str
    model: str
    stream: bool
    status: int | None = None
    cause: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    agent: str | None = None
    body_sha256: str = ""

    def completed(self, body: bytes, outcome: Outcome) -> "Arrival":
        """Add what became known with the body and the answer."""
        query, answer = outcome.query, outcome.answer
        return evolve(
            self,
            model=outcome.model,
            stream=query.form != "json" if query else self.stream,
            status=answer.status,
            cause=outcome.cause,
            input_tokens=query.input_tokens if query else 0,
            output_tokens=answer.output_tokens,
            agent=outcome.agent,
            body_sha256=hashlib.sha256(body).hexdigest(),
        )
