"""Options that plugins add to the commands that put a team to work.

Nothing is imported here that `rolecall --help` can do without.
"""

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from ..config.settings import Settings
    from .manager import Host
    from .run_setup import RunSetup

T = TypeVar("T")
RUNNING = ("run", "resume", "rerun", "update")


class RunOption(NamedTuple, Generic[T]):
    """An option of commands that put a team to work; a run keeps it, and repeats it when resumed.

    name: as it is written, `--offline`.
    kind: of its value: bool is a flag, tuple takes a text each time that it is given, and str,
        int, float and Path take one.
    prepare: takes the value and the setup, and yields the setup as it should be; what follows the
        yield is done when the run is over. None for an option that another one reads.
    commands: that have it. needs: the option without which it is an error. excludes: those with
        which it is one.
    """

    name: str
    help: str
    kind: type[T]
    prepare: "Callable[[T, RunSetup], AbstractContextManager[RunSetup]] | None" = None
    metavar: str = ""
    commands: Collection[str] = RUNNING
    needs: str = ""
    excludes: Collection[str] = ()

    def value_in(self, setup: "RunSetup") -> T | None:
        """Return the option's value, or None where it is not given."""
        return cast("T | None", setup.given.get(self.name))


class CommandLine(Protocol):
    """The command line as a plugin gets it: the `click.Group` of `rolecall`."""

    def add_command(self, command: Any, name: str | None = None, *, group: str = "") -> None:
        """Add a click command, or add it to a group of ours, `plugins` say.

        Raises PluginError where there is one of that name.
        """
        ...

    def add_run_option(self, option: RunOption[Any]) -> None:
        """Add an option to commands that put a team to work; raise PluginError if it is there."""
        ...


class CommandContext(Protocol):
    """What a plugin's command gets by `@click.pass_obj`: the plugins and the settings."""

    @property
    def host(self) -> "Host": ...
    @property
    def settings(self) -> "Settings": ...
