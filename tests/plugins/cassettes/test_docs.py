"""What docs/cassettes.md promises."""

import json
import os
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from places import ROOT

from rolecall_plugins.cassettes import serializer
from rolecall_plugins.cassettes.files.reader import load
from rolecall_plugins.cassettes.pytest_plugin import MODES
from rolecall_plugins.cassettes.runs import DEMO, find
from rolecall_plugins.simulator.scenario import Scenario
from rolecall_plugins.simulator.server import serve_in_thread
from rolecall_plugins.team.roles import TABLE

pytestmark = pytest.mark.slow

pytest_plugins = ("pytester",)

DOCUMENT = (ROOT / "docs" / "cassettes.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)


def example(word: str) -> str:
    (code,) = (code for code in EXAMPLES if word in code)
    return str(code)


def test_the_example_of_a_provider_s_test(pytester: pytest.Pytester) -> None:
    code = example("test_claude_answers")
    with serve_in_thread(Scenario()) as served:
        more = f'"replayed", "ANTHROPIC_API_BASE": "{served.anthropic_base}"'
        pytester.makepyfile(test_example=code.replace('"replayed"', more))
        pytester.runpytest_subprocess("--record-mode=once").assert_outcomes(passed=1)
    pytester.makepyfile(test_example=code)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_the_example_of_a_shared_file(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_example=example("shared/status.yaml"))
    path = pytester.path / "cassettes" / "shared" / "status.yaml"
    path.parent.mkdir(parents=True)
    request = {"method": "GET", "uri": "https://status.example/api", "headers": {}, "body": ""}
    response = {
        "status": {"code": 200, "message": "OK"},
        "headers": {"content-type": ["application/json"]},
        "body": {"string": json.dumps({"status": "fine"})},
    }
    exchange = {"request": request, "response": response}
    path.write_text(serializer.serialize({"version": 1, "interactions": [exchange]}), "utf-8")
    pytester.runpytest_subprocess("--strict-markers").assert_outcomes(passed=1)


def test_the_example_of_a_team_s_test(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", os.pathsep.join([commands, os.environ["PATH"]]))
    pytester.makepyfile(test_example=example("test_the_team_writes_a_plan"))
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_the_example_for_vcrpy() -> None:
    module = ModuleType("example")
    exec(example("register_serializer"), vars(module))
    assert module.recorder.serializers["rolecall"] is serializer


def test_every_mode_of_ours_is_described() -> None:
    described = re.findall(r"^\| `(\w+)` \|", DOCUMENT, re.MULTILINE)
    assert described == list(dict.fromkeys(MODES.values()))


def test_the_demo_is_a_whole_team_and_says_what_it_was_recorded_from() -> None:
    metadata, interactions = load(find(DEMO))
    assert metadata.request
    assert metadata.source
    assert {interaction.agent for interaction in interactions} == {row[0] for row in TABLE}
