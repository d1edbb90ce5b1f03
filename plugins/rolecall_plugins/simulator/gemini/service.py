"""Answer in the framing of the Gemini generateContent API: JSON, CRLF events or a JSON array."""

from collections.abc import Sequence

from attrs import frozen

from ..exchange import (
    CHARACTERS_PER_TOKEN,
    Chunk,
    Form,
    FunctionCall,
    Headers,
    HttpReply,
    Incoming,
    Query,
    Rejected,
    count_tokens,
    first_tokens,
    pieces,
)
from ..limits import BucketLevel, Denial
from .bodies import Body, candidate, duration, event, plain, quota_details
from .contents import content_of
from .turns import signature_of

THOUGHT_TOKENS = 64

_SIZES = (6, 38, 92, 160, 240, 310)
_METRICS = "generativelanguage.googleapis.com"
_REQUESTS = ("generate_requests_per_model", "GenerateRequestsPerMinutePerProjectPerModel")
_DAY = ("generate_requests_per_model_per_day", "GenerateRequestsPerDayPerProjectPerModel")
_INPUT = (
    "generate_content_paid_tier_input_token_count",
    "GenerateContentPaidTierInputTokensPerModelPerMinute",
)
_OUTPUT = (
    "generate_content_paid_tier_output_token_count",
    "GenerateContentPaidTierOutputTokensPerModelPerMinute",
)
_QUOTAS = {
    "requests": _REQUESTS,
    "requests-per-day": _DAY,
    "tokens": _INPUT,
    "input-tokens": _INPUT,
    "output-tokens": _OUTPUT,
}
_OWN: Headers = (
    ("vary", "Origin"),
    ("vary", "X-Origin"),
    ("vary", "Referer"),
    ("server-timing", "gfet4t7; dur=0"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "SAMEORIGIN"),
    ("x-xss-protection", "0"),
)
_PLAIN: Headers = (("content-type", "application/json; charset=UTF-8"), *_OWN)
_STREAM: Headers = (
    ("content-type", "text/event-stream"),
    ("content-disposition", "attachment"),
    *_OWN,
)


@frozen(kw_only=True)
class GeminiFraming:
    """Frames the replies to one call; the form is what the request's address asks for."""

    call: str
    model: str
    version: str = "v1beta"
    form: Form = "json"

    def reply(self, query: Query, text: str, calls: Sequence[FunctionCall] = ()) -> HttpReply:
        """Answer with a text and calls, cut where the caller's maxOutputTokens ends it."""
        thoughts, left = 0, query.max_tokens
        if query.thinking:
            # Thinking comes first and counts; here it never takes more than a quarter.
            thoughts = THOUGHT_TOKENS if left is None else min(THOUGHT_TOKENS, left // 4)
            left = None if left is None else left - thoughts
        kept = first_tokens(text, left)
        if kept != text or not calls:
            finish = "STOP" if kept == text else "MAX_TOKENS"
            return self.text(query, kept, finish, thoughts=thoughts)
        cost = count_tokens(kept) + sum(count_tokens(content_of(call)) for call in calls)
        if left is not None and cost > left:
            return self.text(query, kept, "MAX_TOKENS", thoughts=thoughts)
        return self._calling(query, kept, calls, cost, thoughts)

    def text(self, query: Query, text: str, finish: str, *, thoughts: int = 0) -> HttpReply:
        """Answer with a text and a reason to finish; a stream has the reason in an empty part."""
        whole = count_tokens(text) + thoughts
        bodies, texts = self._streamed_text(query, text, thoughts)
        usage = self.usage(query, count_tokens(text), thoughts)
        last: Body = {"text": "" if self.streamed else text}
        if query.thinking and query.tools:
            last["thoughtSignature"] = signature_of(text)
        bodies.append(self.body(usage, candidates=[candidate(last, finishReason=finish)]))
        texts.append(0 if self.streamed else whole * CHARACTERS_PER_TOKEN)
        return self.answer(bodies, texts, whole)

    def _streamed_text(
        self, query: Query, text: str, thoughts: int
    ) -> tuple[list[Body], list[int]]:
        """Return the bodies that bring a text in pieces, and how long each piece is."""
        bodies: list[Body] = []
        texts: list[int] = []
        sent = 0
        for piece in pieces(text, _SIZES) if self.streamed else ():
            sent += len(piece)
            usage = self.usage(query, count_tokens(text[:sent]), thoughts)
            bodies.append(self.body(usage, candidates=[candidate({"text": piece})]))
            texts.append(len(piece))
        return bodies, texts

    def _calling(
        self, query: Query, text: str, calls: Sequence[FunctionCall], cost: int, thoughts: int
    ) -> HttpReply:
        """Answer with calls, all of one answer in one body; the first of them is signed."""
        parts: list[Body] = []
        for number, call in enumerate(calls):
            made = {
                "name": call.name,
                "args": dict(call.arguments),
                "id": call.id or self.call_id(number),
            }
            part: Body = {"functionCall": made}
            if query.thinking and number == 0:
                part["thoughtSignature"] = signature_of(content_of(call))
            parts.append(part)
        usage = self.usage(query, cost, thoughts)
        whole = cost + thoughts
        if not self.streamed:
            first: list[Body] = [{"text": text}] if text else []
            message = "Model generated function call(s)."
            made_of = candidate(*first, *parts, finishReason="STOP", finishMessage=message)
            body = self.body(usage, candidates=[made_of])
            return self.answer([body], [whole * CHARACTERS_PER_TOKEN], whole)
        bodies, texts = self._streamed_text(query, text, thoughts)
        bodies.append(self.body(usage, candidates=[candidate(*parts)]))
        bodies.append(self.body(usage, candidates=[candidate({"text": ""}, finishReason="STOP")]))
        return self.answer(
            bodies, [*texts, (cost - count_tokens(text)) * CHARACTERS_PER_TOKEN, 0], whole
        )

    def call_id(self, number: int = 0) -> str:
        """Return the id of a call; `number` counts those of one answer from 0."""
        return f"{self.call[:7]}{number}"

    def answer(
        self, bodies: Sequence[Body], texts: Sequence[int] = (0,), output_tokens: int = 0
    ) -> HttpReply:
        """Send these bodies, of which a caller who does not stream gets exactly one.

        texts: how many characters of text each body carries.
        """
        last = len(bodies) - 1
        chunks = [
            Chunk(self._framed(body, index, last), text, closing=index == last)
            for index, (body, text) in enumerate(zip(bodies, texts, strict=True))
        ]
        return HttpReply(
            status=200,
            headers=_STREAM if self.form == "sse" else _PLAIN,
            chunks=tuple(chunks),
            streamed=self.streamed,
            output_tokens=output_tokens,
        )

    @property
    def streamed(self) -> bool:
        return self.form != "json"

    def body(self, usage: Body, **first: object) -> Body:
        """Build one response."""
        call = {"modelVersion": self.model, "responseId": f"sim{self.call}"}
        return {**first, "usageMetadata": usage, **call}

    def usage(self, query: Query, candidates: int = 0, thoughts: int = 0) -> Body:
        """Count tokens; what is 0 is left out, and candidates exclude thoughts."""
        prompt = query.input_tokens
        usage = {
            "promptTokenCount": prompt,
            "candidatesTokenCount": candidates,
            "totalTokenCount": prompt + candidates + thoughts,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
            "thoughtsTokenCount": thoughts,
            "serviceTier": "standard",
        }
        return {name: value for name, value in usage.items() if value != 0}

    def error(
        self, code: int, status: str, message: str, details: Sequence[Body] = ()
    ) -> HttpReply:
        """Answer with an error: bare JSON without `data:`, also where events were asked for."""
        error: Body = {"code": code, "message": message, "status": status}
        if details:
            error["details"] = list(details)
        data = plain({"error": error})
        if self.form == "array":
            data = b"[" + data + b"]"
        headers = _STREAM if self.form == "sse" else _PLAIN
        return HttpReply(status=code, headers=headers, chunks=(Chunk(data),))

    def over_quota(self, family: str, limit: int, wait: float) -> HttpReply:
        """Answer with the 429 that names its quota and, in the body only, the wait."""
        name, quota = _QUOTAS[family]
        metric = f"{_METRICS}/{name}"
        message = (
            "You exceeded your current quota, please check your plan and billing details. \n"
            f"* Quota exceeded for metric: {metric}, limit: {limit}, model: {self.model}\n"
            f"Please retry in {duration(wait)}."
        )
        details = quota_details(metric, quota, limit, self.model, wait)
        return self.error(429, "RESOURCE_EXHAUSTED", message, details)

    def exhausted(self) -> HttpReply:
        """Answer with the 429 that says no more than that it is one."""
        message = "Resource exhausted. Please try again later."
        return self.error(429, "RESOURCE_EXHAUSTED", message)

    def rejected(self, rejection: Rejected) -> HttpReply:
        """Turn a request away."""
        return self.error(rejection.status, rejection.kind, str(rejection), rejection.details)

    def limited(self, query: Query, denial: Denial) -> HttpReply:
        """Refuse a call that is over a limit."""
        if denial.family == "concurrency":
            return self.exhausted()
        return self.over_quota(denial.family, denial.limit, denial.wait)

    def _framed(self, body: Body, index: int, last: int) -> bytes:
        match self.form:
            case "sse":
                return event(body)
            case "array":
                before, after = b",\r\n" if index else b"[", b"]" if index == last else b""
                return before + plain(body) + after
        return plain(body)


def framing(
    incoming: Incoming, call: str, _now: float, _levels: tuple[BucketLevel, ...]
) -> GeminiFraming:
    """Frame the answers to one request; Gemini's hold neither the time nor the limits."""
    return GeminiFraming(
        call=call, model=incoming.model, version=incoming.version, form=incoming.form
    )
