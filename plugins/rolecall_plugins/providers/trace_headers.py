"""How whoever follows a call puts its own headers on the request that leaves for the vendor."""

from collections.abc import Callable, MutableMapping
from contextvars import ContextVar

InjectHeaders = Callable[[MutableMapping[str, str]], None]

trace_headers: ContextVar[InjectHeaders | None] = ContextVar("trace_headers", default=None)
