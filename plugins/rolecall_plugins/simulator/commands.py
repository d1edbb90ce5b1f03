"""`rolecall simulator`, and `--offline` for the commands that run a team."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from rolecall import CommandLine, RunOption, echo, hookimpl, warn

from .errors import ScenarioError

if TYPE_CHECKING:
    from rolecall import RunSetup

    from .scenario import Scenario

LIMITS = ("requests_per_minute", "tokens_per_minute")


@hookimpl
def rolecall_commands(cli: CommandLine) -> None:
    cli.add_command(simulator)
    cli.add_run_option(OFFLINE)
    cli.add_run_option(FAULT)


@contextmanager
def _offline(_: bool, setup: "RunSetup") -> "Iterator[RunSetup]":
    from attrs import evolve

    if setup.kept is not None and OFFLINE.name not in setup.kept:
        raise click.UsageError(
            "this run was not started offline, and its rest would be simulated; start another one"
        )
    from .content.offline import offline_scripts
    from .rehearsal import simulated
    from .server import serve_in_thread

    faults = FAULT.value_in(setup) or ()
    scenario = evolve(_scenario(None, {"faults": faults}), scripts=offline_scripts())
    with serve_in_thread(scenario) as served:
        if not setup.settings.quiet:
            warn(f"offline, every reply is simulated by {served.url}")
        yield setup.rehearsing(OFFLINE.name, simulated(served, setup.settings))


OFFLINE = RunOption(
    "--offline",
    "Run against the simulator, on a free local port: no key, no network.",
    bool,
    _offline,
    commands=("run", "resume", "rerun", "update", "doctor"),
)
FAULT = RunOption(
    "--fault",
    "With --offline: let calls fail, as `rolecall simulator --fault` does.",
    tuple,
    metavar="PROVIDER:CAUSE[:COUNT]",
    commands=("run",),
    needs=OFFLINE.name,
)


@click.command()
@click.option("--port", default=8765, show_default=True, type=click.IntRange(0, 65535))
@click.option("--latency", metavar="SECONDS", help="0.2, 0.1-0.5 or lognormal:MEDIAN,SIGMA.")
@click.option("--tokens-per-second", type=float, metavar="N", help="Pace of streamed text.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="PROVIDER[/MODEL]:CAUSE[:COUNT|PERCENT%][@OPTION=VALUE,...]",
    help="Let calls fail: gemini:empty:2, claude:rate_limited:10%@retry_after=3.",
)
@click.option("--requests-per-minute", type=int, metavar="N", help="Limit of each provider.")
@click.option("--tokens-per-minute", type=int, metavar="N", help="Limit of each provider.")
@click.option("--replies", metavar="DIR", help="Agents' answers, as in solution-architect.md.")
@click.option("--seed", type=int, help="Of latencies and of faults by percentage.")
@click.option("--scenario", metavar="FILE", help="A TOML file with all of these.")
def simulator(port: int, scenario: str | None, **flags: Any) -> None:
    """Serve the wire formats of Anthropic, Gemini and OpenAI on this machine."""
    import asyncio
    import errno

    from .faults import PROVIDERS
    from .server import Simulator

    given = {name: value for name, value in flags.items() if value not in (None, ())}
    limits = {name: given.pop(name) for name in LIMITS if name in given}
    if limits:
        given["limits"] = dict.fromkeys(PROVIDERS, limits)
    chosen = _scenario(scenario, given)

    async def serve() -> None:
        async with Simulator(chosen, port=port) as served:
            echo(f"ANTHROPIC_API_BASE={served.anthropic_base}")
            echo(f"GEMINI_API_BASE={served.gemini_base}")
            echo(f"OPENAI_API_BASE={served.openai_base}")
            warn("put these lines and any keys in .env; Ctrl-C ends")
            await asyncio.Event().wait()

    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        warn("ended")
    except OSError as error:
        busy = error.errno == errno.EADDRINUSE
        why = "it is taken; choose another one, or 0 for any" if busy else error.strerror
        raise click.UsageError(f"--port {port}: {why}") from error


def _scenario(path: str | None, table: dict[str, Any]) -> "Scenario":
    """Read a scenario file, if there is one, and let the flags win over it."""
    from attrs import evolve

    from .scenario import Scenario, load_scenario

    table["faults"] = list(table.get("faults", ()))
    try:
        base = load_scenario(path) if path else Scenario()
        flags = Scenario.parse(table)
    except ScenarioError as error:
        raise click.UsageError(str(error)) from error
    return evolve(base, **{name: getattr(flags, name) for name in table if table[name]})
