"""The command that lists what a run's agents left in the workspace, and hands it out."""

from pathlib import Path

import click

from ...errors import UsageError
from ..app import App
from ..console import echo, warn
from ..options import RUN, Command
from ..render import one_line
from ..trust import remark


@click.command(cls=Command)
@RUN
@click.option("-o", "--output", metavar="DIR", help="Write the files into a new folder.")
@click.pass_obj
def files(app: App, name: str | None, output: str | None) -> int:
    """List the files that a run's agents left, or write them into a folder."""
    from ...storage.acting.workspace import GitWorkspace
    from ...storage.run_lock import is_busy
    from ...storage.run_paths import find_run

    path = find_run(Path(app.settings.runs), name)
    workspace = GitWorkspace(path, app.settings.environment)
    if not workspace.is_begun:
        raise UsageError(f"{path} has no workspace: its agents wrote no file")
    remark(app, path)
    if output is None:
        for file in workspace.files():
            echo(one_line(file))
        return 0
    if is_busy(path):
        warn(f"{path}: agents are at work, and may be in the midst of writing")
    left_out = workspace.copy(Path(output))
    warn(*left_out)
    echo(output)
    return 1 if left_out else 0
