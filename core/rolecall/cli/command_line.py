"""The command line as a whole: what `rolecall` is to click."""

from typing import Any

import click

from .console import unread


class CommandLine(click.Group):
    """The group of all commands; it does not fail where the reader of its help has gone."""

    def make_context(self, *arguments: Any, **more: Any) -> click.Context:
        with unread():
            return super().make_context(*arguments, **more)

    def invoke(self, ctx: click.Context) -> Any:
        with unread():
            return super().invoke(ctx)
