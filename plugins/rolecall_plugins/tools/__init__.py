"""What our own agents are given to do: the workspace's files, commands in a sandbox, checks."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rolecall import hookimpl

if TYPE_CHECKING:
    from rolecall import Sandbox, Settings, Tool


@hookimpl
def rolecall_tools(settings: "Settings") -> "Iterable[Tool]":
    from .commands import RunCommand
    from .files import FILE_TOOLS

    return [*FILE_TOOLS, RunCommand()]


@hookimpl
def rolecall_sandboxes(settings: "Settings") -> "Iterable[Sandbox]":
    from .sandboxes.bubblewrap import Bubblewrap
    from .sandboxes.container import Container
    from .sandboxes.seatbelt import Seatbelt
    from .sandboxes.unconfined import Unconfined

    return [
        Bubblewrap(settings.environment),
        Seatbelt(settings.environment),
        Container("docker", settings),
        Container("podman", settings),
        Unconfined(settings.environment),
    ]
