"""The built-in limiter: an interval between any two calls, and each provider's own limits."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rolecall import hookimpl

if TYPE_CHECKING:
    from rolecall import Limiter, Settings


@hookimpl
def rolecall_limiters(settings: "Settings") -> "Iterable[Limiter]":
    from .limiter import create_pacing_limiter

    return [create_pacing_limiter(settings)]
