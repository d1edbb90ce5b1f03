"""One run of a team, put together from plugins."""

import asyncio
import os
import signal
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from building import Gate, Heard, KeyedProvider, Point, agent, failing, plugin

from rolecall import (
    Cause,
    Host,
    PluginError,
    Request,
    Response,
    RunEnded,
    Settings,
    SettingsError,
    UsageError,
)
from rolecall.scheduling.scheduler import RunOutcome
from rolecall.scheduling.session import Session, terminable
from rolecall.storage.run_folder import RunFolder
from rolecall.storage.run_index import read_state
from rolecall.storage.run_toml import RunToml
from rolecall.testing import FakeProvider
from rolecall.types.run_options import RunOptions

CHAIN = [agent("a"), agent("b", "a"), agent("c", "b")]


def hosting(**hooks: Any) -> Host:
    hooks.setdefault("agents", CHAIN)
    hooks.setdefault("providers", lambda: [FakeProvider("one")])
    host = Host([])
    host.register("all", plugin(**hooks))
    return host


def work(
    folder: Path, host: Host, options: RunOptions | None = None, settings: Settings | None = None
) -> RunOutcome:
    session = Session(host, settings or Settings(), options or RunOptions())
    about = session.describe(["--offline"])
    with RunFolder.create(folder, "Build it.", about) as opened:
        return asyncio.run(session.run(opened))


def test_the_plugins_team_runs_on_the_plugins_providers(tmp_path: Path) -> None:
    gate, ear = Gate(), Heard()
    outcome = work(tmp_path, hosting(limiters=[gate], observers=lambda: [ear]))
    assert outcome.done == ("a", "b", "c")
    assert [call.agent for call in gate.asked] == ["a", "b", "c"]
    assert ear.of(RunEnded)[0].done == 3


def test_a_part_of_the_team_writes_files_with_the_whole_teams_numbers(tmp_path: Path) -> None:
    work(tmp_path, hosting(), RunOptions(only=["c"]))
    assert [path.name for path in (tmp_path / "deliverables").iterdir()] == ["03-c.md"]


def test_what_is_chosen_is_kept_with_the_run(tmp_path: Path) -> None:
    options = RunOptions({"a": ["one/m"]}, ["a", "b"], ["b"])
    work(tmp_path, hosting(), options, Settings(on={Cause.REFUSAL: "fallback"}))  # type: ignore[dict-item]
    routes = {"a": ("one/m",)}
    assert RunToml.read(tmp_path) == RunToml(("--offline",), options, routes=routes)
    settings = tomllib.loads((tmp_path / "run.toml").read_text("utf-8"))["settings"]
    assert (settings["on"]["refusal"], settings["interval"]) == ("fallback", 0.5)


def test_no_secret_and_no_path_of_this_machine_is_kept_with_the_run(tmp_path: Path) -> None:
    settings = Settings(
        environment={"ANTHROPIC_API_KEY": "sk-ant-planted"},
        state="/home/me/state",
        source="/home/me/pyproject.toml",
    )
    work(tmp_path, hosting(), settings=settings)
    kept = (tmp_path / "run.toml").read_text("utf-8")
    assert "sk-ant-planted" not in kept
    assert "/home/me" not in kept


def test_what_a_person_should_know_first_is_noted_before_any_call() -> None:
    keyless = KeyedProvider("two", "TWO_API_KEY is not set")
    host = hosting(
        agents=[agent("a", routes=["two", "one"]), agent("b", "a")],
        providers=lambda: [FakeProvider("one"), keyless],
    )
    assert Session(host, Settings(), RunOptions()).warnings[0] == "two: TWO_API_KEY is not set"
    warnings = Session(host, Settings(), RunOptions(only=["b"])).warnings
    assert warnings == ["b goes without a, left out of this run"]


def test_who_needs_everyone_is_told_apart_from_those_who_need_it() -> None:
    team = [agent("a"), agent("plan", "*"), agent("c", "plan"), agent("d", "c")]
    session = Session(hosting(agents=team), Settings(), RunOptions())
    assert session.warnings == ["plan needs everyone, but goes without c, d, who need it"]


@pytest.mark.parametrize(
    ("host", "error"),
    [
        (Host([Point("bad", ImportError("no"))]), PluginError),
        (hosting(agents=[agent("a", "b"), agent("b", "a")]), UsageError),
        (hosting(agents=[agent("a", routes=["nowhere"])]), UsageError),
        (hosting(limiters=[3]), PluginError),
        (hosting(observers=[3]), PluginError),
    ],
)
def test_what_is_wrong_is_found_before_the_first_call(host: Host, error: type[Exception]) -> None:
    with pytest.raises(error):
        Session(host, Settings(), RunOptions())


def test_a_team_without_any_route_is_told_before_the_first_call() -> None:
    keyless = hosting(providers=lambda: [KeyedProvider("one", "no key")])
    session = Session(keyless, Settings(), RunOptions())
    with pytest.raises(UsageError, match="no agent has a route"):
        _ = session.warnings


def test_settings_for_an_agent_that_is_not_there_are_an_error() -> None:
    with pytest.raises(SettingsError, match=r"no agent is called 'z'"):
        Session(hosting(), Settings(agents={"z": ("one",)}), RunOptions())


class Closing(FakeProvider):
    def __init__(self, name: str, script: list[Any], error: Exception | None = None) -> None:
        super().__init__(name, script)
        self.closed = 0
        self._error = error

    async def aclose(self) -> None:
        self.closed += 1
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize("script", [[], failing("refusal")])
def test_connections_are_closed_however_the_run_ends(tmp_path: Path, script: list[Any]) -> None:
    provider = Closing("one", script)
    work(tmp_path, hosting(providers=lambda: [provider]))
    assert provider.closed == 1


def test_a_provider_that_cannot_close_spoils_no_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = Closing("one", [], KeyError("oh")), Closing("two", [])
    outcome = work(tmp_path, hosting(providers=lambda: [first, second]))
    assert outcome.done == ("a", "b", "c")
    assert second.closed == 1
    assert caplog.messages == ["the provider 'one' did not close: KeyError: 'oh'"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
def test_being_terminated_ends_a_run_as_an_interrupt_does(tmp_path: Path) -> None:
    class Terminating(FakeProvider):
        async def complete(self, request: Request) -> Response:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(30)
            return Response("never")

    ear = Heard()
    host = hosting(providers=lambda: [Terminating("one")], observers=lambda: [ear])
    session = Session(host, Settings(), RunOptions())
    with (
        RunFolder.create(tmp_path, "Build it.", session.describe([])) as opened,
        pytest.raises(asyncio.CancelledError),
    ):
        asyncio.run(terminable(session.run(opened)))
    assert ear.of(RunEnded)[0].interrupted
    assert read_state(tmp_path).state == "interrupted"
