"""Lets a trace go on at the vendor: headers that the calls of an asyncio task carry."""

from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType

carried: ContextVar[Mapping[str, str]] = ContextVar("carried", default=MappingProxyType({}))
