"""Check that calls of functions and their responses, and signatures, stand where they must.

Source: https://ai.google.dev/gemini-api/docs/thought-signatures
"""

import hashlib
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Sequence

from attrs import evolve

from ..content.media import decoded
from ..exchange import Query, SignedPart
from .contents import Content
from .errors import invalid

# What the API takes in place of a signature that a caller does not have.
DUMMIES = (b"skip_thought_signature_validator", b"context_engineering_is_the_way_to_go")
_SIGNED = b"signed by the simulator, as gemini: "
_GENERATION = re.compile(r"gemini-(\d+)")


def check_calls(contents: Sequence[Content]) -> None:
    """Reject calls that are not answered by the next turn, and responses that answer no call."""
    calls: Counter[str] | None = None
    before = None
    for content in contents:
        turn = content.turn
        if turn.results and calls is None:
            raise invalid(
                "Please ensure that function response turn comes immediately after a function call "
                "turn."
            )
        if calls is not None and len(turn.results) != calls.total():
            raise _unequal()
        if calls is not None and Counter(result.name for result in turn.results) != calls:
            raise invalid("Request contains an invalid argument.")
        if turn.calls and (before is None or before.turn.role != "user"):
            raise invalid(
                "Please ensure that function call turn comes immediately after a user turn or "
                "after a function response turn."
            )
        if before is not None and turn.results:
            _check_ids(before, content)
        calls = Counter(call.name for call in turn.calls) if turn.calls else None
        before = content
    if calls is not None:
        raise _unequal()


def signed_parts(contents: Sequence[Content], model: str) -> Iterator[SignedPart]:
    """Yield what came back signed, and what should have and did not.

    From Gemini 3 on, the first call of each answer to the last question must be signed.
    """
    asked_at = max(
        (
            place
            for place, content in enumerate(contents)
            if content.turn.role == "user" and not content.turn.results
        ),
        default=-1,
    )
    generation = _GENERATION.match(model)
    strict = generation is not None and int(generation[1]) >= 3
    for place, content in enumerate(contents):
        yield from content.signed_texts
        for number, part in enumerate(content.signed_calls):
            if part.signature:
                yield part
            elif strict and number == 0 and place > asked_at:
                name = content.turn.calls[0].name
                yield evolve(
                    part, place=f"function call `default_api:{name}` , position {place + 1}"
                )


def check_signatures(query: Query) -> None:
    """Reject a call without its signature, and a signature that is not that of its part."""
    for part in query.signed:
        if not part.signature:
            raise invalid(
                "Function call is missing a thought_signature in functionCall parts. This is "
                "required for tools to work correctly, and missing thought_signature may lead to "
                f"degraded model performance. Additional data, {part.place}. Please refer to "
                "https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
            )
        if is_dummy(part.signature):
            continue
        own = (decoded(part.signature) or b"").startswith(_SIGNED)
        # A text may be put together from pieces, so that its signature stands beside another text.
        if not own or (part.content and part.signature != signature_of(part.content)):
            raise invalid("Corrupted thought signature.")


def is_dummy(signature: str) -> bool:
    """Check whether a signature asks, plainly or in base64, not to be checked."""
    return signature.encode() in DUMMIES or decoded(signature) in DUMMIES


def signature_of(content: str) -> str:
    """Sign a part, so that it can be told whether its signature came back with it."""
    digest = hashlib.sha256(content.encode("utf-8", "surrogatepass")).digest()
    return b64encode(_SIGNED + digest).decode()


def _check_ids(before: Content, content: Content) -> None:
    """Reject responses whose ids are not those of the calls, where both have ids."""
    called = Counter(call.id for call in before.turn.calls if call.id)
    answered = Counter(result.id for result in content.turn.results if result.id)
    if called and answered and called != answered:
        raise invalid("Request contains an invalid argument.")


def _unequal() -> Exception:
    return invalid(
        "Please ensure that the number of function response parts is equal to the number of "
        "function call parts of the function call turn."
    )
