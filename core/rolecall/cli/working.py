"""Puts a team to work for the commands that do, and shows what came of it."""

import json
import shlex
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import BudgetReached, RunError, UsageError
from .app import App
from .console import echo, results_alone, terminal_width, warn, warn_of_logged
from .plugin_options import prepared, read_flags, spelled
from .trust import is_trusted

if TYPE_CHECKING:
    from ..plugin.run_setup import RunSetup
    from ..scheduling.scheduler import RunOutcome
    from ..scheduling.session import Session
    from ..storage.run_folder import RunFolder
    from ..types.run_options import RunOptions

INTERRUPTED = 130


@contextmanager
def begun(
    app: App, options: "RunOptions", request: str, output: str | None
) -> "Iterator[tuple[Session, RunFolder]]":
    """Make a new run's session and folder."""
    from ..execution.redaction import Redactor
    from ..plugin.run_setup import RunSetup

    warn_of_logged(Redactor.of(app.settings))
    setup = RunSetup("run", app.host, app.settings, options, request, app.given)
    with prepared(app, setup) as ready:
        if not ready.request:
            raise UsageError("what shall the team do? rolecall run 'REQUEST', or -f FILE, or -f -")
        session = _session(ready)
        with session.begin(ready.request, spelled(ready.given), output) as folder:
            yield session, folder


@contextmanager
def reopened(
    app: App, command: str, name: str | None, options: "RunOptions", trust: bool
) -> "Iterator[tuple[Session, RunFolder]]":
    """Open a run's folder again, as the run was started but for what is chosen otherwise now.

    trust: go on with it although somebody else may have prepared it.
    """
    from ..execution.redaction import Redactor
    from ..plugin.run_setup import RunSetup
    from ..scheduling.run_description import started_with
    from ..storage.origin import Signer
    from ..storage.run_folder import RunFolder
    from ..storage.run_paths import find_run
    from ..storage.run_toml import RUN_TOML, RunToml

    warn_of_logged(Redactor.of(app.settings))
    path = find_run(Path(app.settings.runs), name)
    trust = is_trusted(app, path, trust)  # before anything of it counts
    started = RunToml.read(path)
    kept = read_flags(started.flags, app, path / RUN_TOML)
    known = {option.name for option in app.options_of(command)}
    setup = RunSetup(
        command,
        app.host,
        app.settings.with_layer(started_with(path)),
        started.options.changed(options),
        given={option: value for option, value in kept.items() if option in known} | app.given,
        kept=kept,
    )
    signer = Signer(app.settings.identity)
    with prepared(app, setup) as ready, RunFolder(path, signer, trust=trust) as folder:
        session = _session(ready)
        warn(*session.reopening(folder))
        yield session, folder


def _session(setup: "RunSetup") -> "Session":
    from ..scheduling.session import Session
    from .consent_prompt import ConsentPrompt, is_somebody_there

    consent = ConsentPrompt(setup.settings) if is_somebody_there() else None
    with results_alone():
        session = Session(
            setup.host,
            setup.settings,
            setup.options,
            setup.clock,
            consent=consent,
            recorder=setup.recorder,
        )
    warnings = session.warnings
    if not setup.settings.quiet:
        warn(*warnings)
    return session


def work(
    session: "Session", folder: "RunFolder", as_json: bool, frozen: Collection[str] = ()
) -> None:
    """Run the team in its folder, show what came of it, and say how to go on.

    A run that is not whole ends in click's Exit: what stands around it, the recording of a
    cassette say, shall know that something more important may fail after it.
    """
    import asyncio

    from ..scheduling.session import terminable
    from .ending import RunEnding
    from .summary import run_json

    again = f"rolecall resume {shlex.quote(str(folder.path))}"
    began = session.clock.now()
    try:
        with results_alone():
            outcome = asyncio.run(terminable(session.run(folder, frozen)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        _warn_missing(session, {*session.ledger.answered, *session.ledger.edited})
        warn(f"interrupted; what is answered is kept. Go on with: {again}")
        raise click.exceptions.Exit(INTERRUPTED) from None
    except RunError:
        warn(f"what is answered is kept. Mend this, then go on with: {again}")
        raise
    ledger = session.ledger
    if outcome.failed:
        _warn_missing(session, outcome.done)
        warn(*[str(error) for error in outcome.failed.values()])
    warn(*[f"{name}: its deliverable is cut off by the output limit" for name in outcome.cut])
    if ledger.reused and not session.settings.quiet:
        reused = len(ledger.reused)
        kept = f"{reused} agents' answers were kept" if reused != 1 else "1 agent's answer was kept"
        warn(f"{kept}, which saves ${ledger.saved:.4f}")
    if outcome.failed:
        more = _enough(session, folder, outcome)
        warn(f"{len(outcome.done)} of {len(session.team)} agents done. Go on with: {again}{more}")
    elif outcome.cut:
        warn(f"raise `continuations` in [tool.rolecall], then go on with: {again}")
    seconds = session.clock.now() - began
    ending = RunEnding.of(folder.path, session.team, session.file, outcome, ledger, seconds)
    if as_json:
        result = run_json(str(folder.path), session.team, outcome, ledger)
        echo(json.dumps({**result, **ending.json()}))
    else:
        echo(ending.text(terminal_width()))
    if outcome.exit_code:
        raise click.exceptions.Exit(outcome.exit_code)


def _enough(session: "Session", folder: "RunFolder", outcome: "RunOutcome") -> str:
    """Write the option that lets a run go on which its budget stopped; nothing for others."""
    if outcome.exit_code != BudgetReached.exit_code:
        return ""
    enough = session.enough(folder, outcome)
    return " --budget USD" if enough is None else f" --budget {ceil(100 * enough) / 100:.2f}"


def _warn_missing(session: "Session", done: Collection[str]) -> None:
    missing = [agent.name for agent in session.team if agent.name not in done]
    if missing:
        warn(f"missing: {', '.join(missing)}")
