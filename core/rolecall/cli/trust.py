"""Runs that may be somebody else's: who only looks is told, who goes on with one is asked."""

import sys
from pathlib import Path

import click

from ..errors import RunError, UntrustedRun
from .app import App
from .console import warn


def remark(app: App, *runs: Path) -> None:
    """Warn of runs that cannot be taken for the user's own."""
    from ..storage.origin import Signer

    signer = Signer(app.settings.identity)
    for run in runs:
        if doubt := signer.doubt(run):
            warn(f"{run} {doubt}; what it says is the word of who made it")


def is_trusted(app: App, run: Path, trust: bool) -> bool:
    """Check whether a run is to be made the user's own; on a terminal the user is asked.

    Raises UntrustedRun where it would have to be, and nobody said so.
    """
    from ..storage.origin import Signer
    from ..storage.run_toml import refuse_values

    doubt = Signer(app.settings.identity).doubt(run)
    if not doubt:
        return False
    error = UntrustedRun(str(run), doubt)
    if not trust and not sys.stdin.isatty():
        raise error
    refuse_values(run)
    if trust:
        return True
    warn(f"{run} {doubt}.", _consequences(run))
    if not click.confirm("Do you know who made it, and shall it be yours?", err=True):
        warn(f"{run} is left as it is")
        raise click.exceptions.Exit(UntrustedRun.exit_code)
    return True


def _consequences(run: Path) -> str:
    """Write out what comes of going on with a run, with the options that it would go on with."""
    from ..storage.run_toml import RunToml

    try:
        flags = " ".join(RunToml.read(run).flags)
    except RunError:
        flags = ""
    with_them = f", with the options {flags}" if flags else ""
    return (
        "Gone on with, its edits, answers and settings count as your word: its texts are sent to "
        f"the providers, and its files are run in the sandbox{with_them}"
    )
