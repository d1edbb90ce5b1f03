"""How whoever follows a call puts its mark on the request that leaves for the vendor."""

from collections.abc import Callable, MutableMapping
from contextvars import ContextVar

Mark = Callable[[MutableMapping[str, str]], None]

marking: ContextVar[Mark | None] = ContextVar("marking", default=None)
