"""`--record` and `--replay` for the commands that run a team, and `rolecall cassettes`."""

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rolecall import hookimpl

from .current_call import CurrentCallLimiter, active_cassette
from .listing import cassettes

if TYPE_CHECKING:
    from rolecall import Limiter, Observer, Settings


@hookimpl
def rolecall_limiters(settings: "Settings") -> "Iterable[Limiter]":
    return [CurrentCallLimiter(active_cassette.get())]


@hookimpl
def rolecall_observers(settings: "Settings") -> "Iterable[Observer]":
    cassette = active_cassette.get()
    return [] if cassette is None else [cassette]


@hookimpl
def rolecall_commands(cli: click.Group) -> None:
    cli.add_command(cassettes)
    for name in ("run", "resume", "rerun", "update"):
        command = cli.commands[name]
        command.params += [
            click.Option(
                ["--record"], metavar="FILE", help="Record every call in a cassette, without keys."
            ),
            click.Option(
                ["--replay"],
                metavar="FILE",
                callback=_as_recorded,
                help="Answer every call from a cassette: no key, no network. `demo` is ours.",
            ),
            click.Option(
                ["--replay-speed"],
                type=click.FloatRange(min=0, min_open=True),
                metavar="TIMES",
                help="With --replay: wait as when it was recorded; 2 is twice as fast.",
            ),
        ]
        assert command.callback
        command.callback = _through_a_cassette(command.callback)


def _as_recorded(ctx: click.Context, _: click.Parameter, file: str | None) -> str | None:
    """Take what the command line leaves open from the cassette's metadata."""
    if file:
        from .files.reader import load
        from .runs import find

        metadata, _interactions = load(find(file))
        ctx.default_map = {
            "request_text": lambda: None if ctx.params.get("path") else metadata.request or None,
            "only": list(metadata.only),
            "skip": list(metadata.skip),
        }
    return file


def _request(given: Mapping[str, Any]) -> str | None:
    """Return the request as far as it can be known before it is read for good."""
    text, path = given.get("request_text"), given.get("path")
    if path and path != "-" and Path(path).is_file():
        return Path(path).read_text("utf-8", "replace")
    return None if text == "-" else text


def _check_recorded(ctx: click.Context, file: str) -> None:
    """Refuse, before a run is begun or changed, what the cassette was never asked."""
    from .files.reader import load
    from .runs import find

    metadata, interactions = load(find(file))
    request = _request(ctx.params)
    if metadata.request and request and request.strip() != metadata.request.strip():
        raise click.UsageError(
            f"{file} was recorded for another request; leave out yours, or record it with --record"
        )
    if ctx.info_name == "update" and any(interaction.agent for interaction in interactions):
        agents = ctx.obj.host.agents().items()
        planners = {name for name, (agent, _) in agents if agent.plan}
        if (
            len(
                {
                    interaction.canonical
                    for interaction in interactions
                    if interaction.agent in planners
                }
            )
            < 2
        ):
            raise click.UsageError(
                f"no change was recorded in {file}, so it has no answers to one; "
                "change a run that was not replayed"
            )


def _through_a_cassette(command: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(command)
    def wrapped(**options: Any) -> Any:
        ctx = click.get_current_context()
        record, replay, speed = (options[name] for name in ("record", "replay", "replay_speed"))
        for other in ("record", "offline"):
            if replay and options.get(other):
                raise click.UsageError(f"--{other} and --replay do not go together", ctx)
        if speed is not None and not replay:
            raise click.UsageError("--replay-speed only goes with --replay", ctx)
        if not record and not replay:
            return command(**options)
        if replay:
            _check_recorded(ctx, replay)
        from .runs import recording, replaying

        add = ctx.info_name != "run"
        chosen = replaying(ctx.obj, replay, speed) if replay else recording(ctx.obj, record, add)
        with chosen:
            code = command(**options)
            if code and record:  # raised, so that a failure to save does not take its place
                raise click.exceptions.Exit(code)
        return code

    return wrapped
