"""A record of each call that arrived."""

import hashlib

from attrs import evolve, frozen

from .service import Decision


@frozen(kw_only=True)
class Arrival:
    """A call that arrived.

    at: monotonic seconds when its headers arrived.
    status: what it was answered; None before that, and where it got no status at all.
    cause: why it failed, or None where it did not.
    sent: whether all of the answer was sent; the caller may have been gone before it read that.
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
    sent: bool = False

    def completed(self, body: bytes, decision: Decision) -> "Arrival":
        """Add what became known with the body and the answer."""
        query, answer = decision.query, decision.answer
        return evolve(
            self,
            model=decision.model,
            stream=query.form != "json" if query else self.stream,
            status=answer.status,
            cause=decision.cause,
            input_tokens=query.input_tokens if query else 0,
            output_tokens=answer.output_tokens,
            agent=decision.agent,
            body_sha256=hashlib.sha256(body).hexdigest(),
        )
