"""What differs between the vendors that are called through litellm."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    from rolecall import Request

    from .reply_reader import Reply


@frozen
class Vendor:
    """One vendor.

    prefix: litellm's name for the vendor.
    keys, bases: environment variables of the key and the endpoint, the first set one wins.
    form: a regular expression that keys match. console: where keys are made.
    marks_cache: whether a prompt must be marked for the vendor to keep it.
    reply: makes the reader of one reply.
    endpoint: completes a base address to the one that litellm wants.
    address: where a request goes, by base address (the vendor's own where it is empty), model and
        whether the answer is to be streamed.
    amend: changes the body that litellm made: takes out what it puts in unasked, and writes anew a
        conversation that is more than text.
    """

    name: str
    prefix: str
    model: str
    keys: tuple[str, ...]
    bases: tuple[str, ...]
    form: str
    console: str
    reply: Callable[[], "Reply"]
    endpoint: Callable[[str], str]
    address: Callable[[str, str, bool], str]
    amend: "Callable[[dict[str, Any], Request], None]"
    marks_cache: bool = False


def is_text_alone(request: "Request") -> bool:
    """Check whether a request has neither tools nor parts, so that litellm writes all of it."""
    return not (request.tools or any(message.parts for message in request.messages))
