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
    needs_key, needs_base: whether it cannot be called without a key, or an address.
    is_own: whether the vendor itself answers, so that its prices apply.
    reply: makes the reader of one reply, for the provider that is to get back what it sent.
    endpoint: completes a base address to the one that litellm wants.
    address: where a request goes, by base address (the vendor's own where it is empty), model and
        whether the answer is to be streamed.
    amend: changes the body that litellm made: takes out what it puts in unasked, and writes anew a
        conversation that is more than text, for the provider of this name.
    """

    name: str
    prefix: str
    model: str
    keys: tuple[str, ...]
    bases: tuple[str, ...]
    form: str
    console: str
    reply: Callable[[str], "Reply"]
    endpoint: Callable[[str], str]
    address: Callable[[str, str, bool], str]
    amend: "Callable[[dict[str, Any], Request, str], None]"
    marks_cache: bool = False
    needs_key: bool = True
    needs_base: bool = False
    is_own: bool = True


def is_text_alone(request: "Request") -> bool:
    """Check whether a request has neither tools nor parts, so that litellm writes all of it."""
    return not (request.tools or any(message.parts for message in request.messages))
