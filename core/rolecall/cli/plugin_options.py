"""Options of plugins for the commands that put a team to work: as click has them, and kept."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import PluginError, RolecallError, RunError, UsageError
from ..plugin.run_option import RunOption
from .app import App
from .options import Command

if TYPE_CHECKING:
    from ..plugin.run_setup import RunSetup


class TeamCommand(Command):
    """A command that puts a team to work, so that plugins may have options for it."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        app = ctx.find_object(App)
        params = list(super().get_params(ctx))
        end = len(self.params)
        params[end:end] = [] if app is None else map(_click_option, app.options_of(self.name))
        return params


def _click_option(option: RunOption[Any]) -> click.Option:
    def note(ctx: click.Context, _: click.Parameter, value: object) -> None:
        if value is not None and value is not False and value != ():
            ctx.obj.given[option.name] = value

    kinds: dict[type, dict[str, Any]] = {
        bool: {"is_flag": True},
        tuple: {"multiple": True},
        Path: {"type": click.Path(path_type=Path)},
    }
    return click.Option(
        [option.name],
        **kinds.get(option.kind, {"type": option.kind}),
        help=option.help,
        metavar=option.metavar or None,
        callback=note,
        expose_value=False,
    )


def spelled(given: Mapping[str, object]) -> list[str]:
    """Write options as a command line has them, for a run to keep."""
    flags = []
    for name, value in given.items():
        values = value if isinstance(value, tuple) else (value,)
        flags += [name if value is True else f"{name}={part}" for part in values]
    return flags


def read_flags(flags: Sequence[str], app: App, place: Path) -> dict[str, object]:
    """Read the options that a run keeps; raise RunError where one is unknown here, or wrong.

    What is lacking would change who is called: a run that was begun with it must not go on without.
    """
    kept: dict[str, object] = {}
    several: dict[str, list[str]] = {}
    for flag in flags:
        name, _, text = str(flag).partition("=")
        if name not in app.run_options:
            raise RunError(
                f"{place}: the run was started with {name}, and no plugin has this option here; "
                "install the plugin, do not block it, or take the option out of that file"
            )
        _, option = app.run_options[name]
        if option.kind is tuple:
            several.setdefault(name, []).append(text)
            continue
        try:
            kept[name] = True if option.kind is bool else option.kind(text)
        except ValueError as error:
            raise RunError(f"{place}: {flag}: {error}") from error
    return kept | {name: tuple(texts) for name, texts in several.items()}


@contextmanager
def prepared(app: App, setup: "RunSetup") -> "Iterator[RunSetup]":
    """Apply the given options to what is about to run, and end what they began."""
    given = [(name, *app.run_options[name]) for name in app.run_options if name in setup.given]
    for _, _, option in given:
        _check_company(option, setup.given)
    with ExitStack() as stack:
        for name, plugin, option in given:
            if option.prepare is not None:
                try:
                    setup = stack.enter_context(option.prepare(setup.given[name], setup))
                except (RolecallError, click.ClickException):
                    raise
                except Exception as error:
                    why = f"{type(error).__name__}: {error}"
                    raise PluginError(f"the plugin {plugin!r} broke at {name}: {why}") from error
        yield setup


def _check_company(option: RunOption[Any], given: Mapping[str, object]) -> None:
    if option.needs and option.needs not in given:
        raise UsageError(f"{option.name} only goes with {option.needs}")
    for other in option.excludes:
        if other in given:
            raise UsageError(f"{other} and {option.name} do not go together")
