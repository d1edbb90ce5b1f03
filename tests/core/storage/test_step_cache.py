"""Answers of other runs are taken where exactly the same is asked."""

import asyncio
import json
import logging
from pathlib import Path

import pytest
from building import agent, run
from installing import Shell

from rolecall import Answer, Response, Stop, ToolCall
from rolecall.storage.journal import Journal
from rolecall.storage.records import ReusedRecord
from rolecall.storage.run_folder import RunFolder
from rolecall.storage.step_cache import StepCache
from rolecall.testing import FakeProvider

TEAM = [agent("a"), agent("b", "a")]
ECHO = """
from rolecall import Agent, Response, Usage, hookimpl

class Echo:
    name = "echo"
    async def complete(self, request):
        return Response("Answer.", Usage(10, 5), cost=0.25)

@hookimpl
def rolecall_providers():
    return [Echo()]

@hookimpl
def rolecall_assign(agent):
    return "echo"
"""


@pytest.fixture
def echo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    shell = Shell(tmp_path, monkeypatch, capsys)
    shell.install("echo", ECHO)
    return shell


def steps(folder: Path) -> list[str]:
    records = map(json.loads, (folder / "journal.jsonl").read_text("utf-8").splitlines())
    return [record["step"] for record in records if record["type"] == "step_done"]


def test_an_answer_is_found_in_a_run_and_in_a_folder_of_runs(tmp_path: Path) -> None:
    run(tmp_path / "runs" / "one", TEAM, FakeProvider("one", default="text"))
    for folder in (tmp_path / "runs", tmp_path / "runs" / "one"):
        elsewhere = StepCache([folder], tmp_path / "own")
        found = [elsewhere.find(step) for step in steps(tmp_path / "runs" / "one")]
        answers = [(each.response.text, each.source) for each in found if each]
        assert answers == [("text", "one")] * 2
        assert elsewhere.find("another step") is None


def test_an_answer_that_no_event_told_of_is_found_too(tmp_path: Path) -> None:
    async def ask() -> Answer:
        return Answer(response, "one/m", "a")

    wanted = ToolCall("1", "lint", {"path": "a"})
    response = Response("text", stop=Stop.TOOL_USE, cost=0.25, parts=(wanted,))
    with RunFolder.create(tmp_path / "one", "Build it.", {}) as folder:
        asyncio.run(folder.store.step("step", ask))
    elsewhere = StepCache([tmp_path], tmp_path / "own")
    assert elsewhere.find("step") == Answer(response, "one/m", "a", source="one")
    with RunFolder.create(tmp_path / "two", "Build it.", {}) as folder:
        folder.store.use_cache(elsewhere)
        asyncio.run(folder.store.step("step", ask))
    with RunFolder(tmp_path / "two") as folder:
        again = asyncio.run(folder.store.step("step", ask))
    assert again == Answer(response, "one/m", reused=True, source="one", step="step")


def test_a_run_does_not_look_into_itself(tmp_path: Path) -> None:
    run(tmp_path / "one", TEAM, FakeProvider("one"))
    assert StepCache([tmp_path], tmp_path / "one").find(steps(tmp_path / "one")[0]) is None


def test_a_damaged_journal_is_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(tmp_path / "one", TEAM, FakeProvider("one"))
    run(tmp_path / "two", TEAM, FakeProvider("one"), request="Build another.")
    journal = tmp_path / "one" / "journal.jsonl"
    journal.write_bytes(b"rubbish\n" + journal.read_bytes())
    with caplog.at_level(logging.WARNING):
        elsewhere = StepCache([tmp_path], tmp_path / "own")
        assert elsewhere.find(steps(tmp_path / "two")[0]) is not None
    assert f"nothing is reused of {journal.parent}: " in caplog.text


def test_a_torn_last_line_does_no_harm(tmp_path: Path) -> None:
    run(tmp_path / "one", TEAM, FakeProvider("one"))
    found = steps(tmp_path / "one")
    with open(tmp_path / "one" / "journal.jsonl", "ab") as file:
        file.write(b'{"v":1,"ty')
    assert StepCache([tmp_path], tmp_path / "own").find(found[0]) is not None


def test_the_same_request_costs_nothing_a_second_time(echo: Shell) -> None:
    assert echo("run", "Build a shop").code == 0
    ended = echo("run", "Build a shop", "--reuse", "runs", "--json")
    assert ended.code == 0
    assert json.loads(ended.out)["total"]["calls"] == 0
    assert "13 agents' answers were kept, which saves $3.2500" in ended.err


def test_what_was_reused_lies_in_the_runs_own_journal(echo: Shell) -> None:
    echo("run", "Build a shop")
    echo("run", "Build a shop", "--reuse", "runs", "-o", "copy")
    with Journal(echo.folder / "copy" / "journal.jsonl") as journal:
        reused = [record for record in journal.records if isinstance(record, ReusedRecord)]
    assert len(reused) == 13
    assert all(record.run.endswith("build-a-shop") for record in reused)
    again = json.loads(echo("resume", "copy", "--json").out)
    assert again["total"]["calls"] == 0


def test_another_request_is_paid_for(echo: Shell) -> None:
    echo("run", "Build a shop")
    ended = echo("run", "Build a bank", "--reuse", "runs", "--json")
    assert json.loads(ended.out)["total"]["calls"] == 13


def test_a_folder_that_is_not_there_is_named(echo: Shell) -> None:
    ended = echo("run", "Build a shop", "--reuse", "nowhere")
    assert ended.code == 2
    assert "'--reuse': Directory 'nowhere' does not exist" in ended.err
