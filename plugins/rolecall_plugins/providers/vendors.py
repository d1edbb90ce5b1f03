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
    amend: takes out of a request's body what litellm puts in unasked.
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
    amend: "Callable[[dict[str, Any], Request], None] | None" = None
    marks_cache: bool = False
