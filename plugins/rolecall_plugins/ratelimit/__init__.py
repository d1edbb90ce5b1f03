"""The built-in limiter: a gap between any two calls, and each provider's own limits beneath it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rolecall import hookimpl

if TYPE_CHECKING:
    from rolecall import Limiter, Settings


@hookimpl
def rolecall_limiters(settings: "Settings") -> "Iterable[Limiter]":
    from .limiter import user_pacing

    return [user_pacing(settings)]
