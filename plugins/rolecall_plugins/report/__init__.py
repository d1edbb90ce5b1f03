"""Writes report.md and report.html into the run's folder when the run ends."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rolecall import hookimpl

if TYPE_CHECKING:
    from rolecall import Observer, Settings


@hookimpl
def rolecall_observers(settings: "Settings") -> "Iterable[Observer]":
    from .writer import Report

    return [Report()]
