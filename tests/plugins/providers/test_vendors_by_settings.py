"""Providers that settings make, on the command line and against the simulator."""

import json
from pathlib import Path

import pytest
from installing import FAST, Shell

VENDORS = """
[tool.rolecall.providers.openai]
litellm = "openai"
model = "gpt-5.2"
[tool.rolecall.providers.rock]
litellm = "bedrock"
model = "anthropic.claude-3-5-sonnet-20240620-v1:0"
[tool.rolecall.providers.local]
wire = "openai"
model = "qwen3"
api_base = "http://localhost:1/v1"
[tool.rolecall.agents]
"*" = "openai"
research-analyst = "rock"
technical-writer = "local"
"""


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


def test_a_team_on_other_vendors_is_rehearsed_offline(shell: Shell) -> None:
    shell.configure(FAST + VENDORS)
    ended = shell("run", "Build a URL shortener", "--offline", "--json")
    assert ended.code == 0, ended.err
    assert len(shell.deliverables()) == 13


def test_a_faulty_vendor_falls_back_offline(shell: Shell) -> None:
    routes = '[tool.rolecall.agents]\n"*" = ["openai", "claude"]\n'
    shell.configure(FAST + VENDORS.partition("[tool.rolecall.agents]")[0] + routes)
    ended = shell("run", "Build it", "--offline", "--fault", "openai:quota_exhausted", "--json")
    assert ended.code == 0, ended.err


def test_the_vendors_that_settings_can_name_are_listed(shell: Shell) -> None:
    listed = json.loads(shell("providers", "--known", "--json").out)
    assert {"openai", "azure", "mistral", "bedrock", "ollama"} <= {row["vendor"] for row in listed}
    assert 'litellm = "groq"' in {row["setting"] for row in listed}


def test_their_models_are_found_by_vendor_or_name(shell: Shell) -> None:
    models = json.loads(shell("providers", "--known", "mistral", "--json").out)
    assert {row["vendor"] for row in models} == {"mistral"}
    (row,) = (row for row in models if row["model"] == "mistral-large-latest")
    assert row["input"] > 0
    found = json.loads(shell("providers", "--known", "gpt-4o-mini*", "--json").out)
    assert {"openai", "azure"} <= {row["vendor"] for row in found}


def test_a_model_that_nobody_knows_is_said_so(shell: Shell) -> None:
    ended = shell("providers", "--known", "nobody-has-this")
    assert ended.code == 2
    assert "no vendor and no model is like 'nobody-has-this'" in ended.err


def test_doctor_names_what_a_vendor_lacks(shell: Shell) -> None:
    shell.configure(FAST + VENDORS.replace("http://localhost:1/v1", "localhost"))
    ended = shell("doctor")
    assert ended.code == 1
    assert "openai: OPENAI_API_KEY is not set" in ended.out
    assert "tool.rolecall.providers.local.api_base is no address" in ended.out


def test_a_password_in_an_address_is_not_shown(shell: Shell) -> None:
    address = "http://me:sesame-sesame@localhost:1/v1"
    shell.configure(FAST + VENDORS.replace("http://localhost:1/v1", address))
    ended = shell("doctor", "--json")
    assert "sesame" not in ended.out + ended.err
