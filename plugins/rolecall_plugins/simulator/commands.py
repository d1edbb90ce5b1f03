"""`rolecall simulator`, and `--offline` for the commands that run a team."""

from typing import Any

import click

from rolecall import echo, hookimpl, warn

from .errors import ScenarioError

# What a run is told so that every call goes to the simulator and no key leaves the machine.
KEYS = {"ANTHROPIC_API_KEY": "offline", "GEMINI_API_KEY": "offline"}
LIMITS = ("requests_per_minute", "tokens_per_minute")


@hookimpl
def rolecall_commands(cli: click.Group) -> None:
    cli.add_command(simulator)
    for name in ("run", "resume", "rerun", "update", "doctor"):
        cli.commands[name].params.append(
            click.Option(
                ["--offline"],
                is_flag=True,
                callback=_offline,
                help="Run against the simulator, on a free local port: no key, no network.",
            )
        )
    cli.commands["run"].params.append(
        click.Option(
            ["--fault"],
            multiple=True,
            is_eager=True,  # before --offline, which takes them
            metavar="PROVIDER:CAUSE[:COUNT]",
            help="With --offline: let calls fail, as `rolecall simulator --fault` does.",
        )
    )


def _offline(ctx: click.Context, _: click.Parameter, offline: bool) -> bool:
    faults = ctx.params.get("fault", ())
    if not offline:
        if faults:
            raise click.UsageError("--fault only goes with --offline")
        return False
    if ctx.obj.flags is not None and "--offline" not in ctx.obj.flags:
        raise click.UsageError(
            "this run was not started offline, and its rest would be simulated; start another one"
        )
    from .only import OnlySimulated
    from .server import serve_in_thread

    served = ctx.with_resource(serve_in_thread(_scenario(None, {"faults": faults})))
    ctx.obj.settings = ctx.obj.settings.with_environment(
        **KEYS, ANTHROPIC_API_BASE=served.anthropic_base, GEMINI_API_BASE=served.gemini_base
    )
    ctx.obj.change(rehearsal=True)
    ctx.obj.host = OnlySimulated(ctx.obj.host)
    if not ctx.obj.settings.quiet:
        warn(f"offline, every reply is simulated by {served.url}")
    return True


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
    """Serve both vendors' wire formats on this machine."""
    import asyncio
    import errno

    from .server import Simulator

    given = {name: value for name, value in flags.items() if value not in (None, ())}
    limits = {name: given.pop(name) for name in LIMITS if name in given}
    if limits:
        given["limits"] = {"claude": limits, "gemini": limits}
    chosen = _scenario(scenario, given)

    async def serve() -> None:
        async with Simulator(chosen, port=port) as served:
            echo(f"ANTHROPIC_API_BASE={served.anthropic_base}")
            echo(f"GEMINI_API_BASE={served.gemini_base}")
            warn("put these two lines and any two keys in .env; Ctrl-C ends")
            await asyncio.Event().wait()

    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        warn("ended")
    except OSError as error:
        busy = error.errno == errno.EADDRINUSE
        why = "it is taken; choose another one, or 0 for any" if busy else error.strerror
        raise click.UsageError(f"--port {port}: {why}") from error


def _scenario(path: str | None, table: dict[str, Any]) -> Any:
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
