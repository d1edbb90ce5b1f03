"""Providers that settings make, on the command line and against the simulator."""

import json
import re
from pathlib import Path

import pytest
from installing import FAST, Shell
from places import ROOT
from speaking import chunks, speaking

from rolecall import load_settings
from rolecall_plugins.providers.configured.accesses import Accesses
from rolecall_plugins.simulator.injection import Fault
from rolecall_plugins.simulator.scenario import Scenario
from rolecall_plugins.simulator.server import serve_in_thread

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


DOCUMENT = (ROOT / "docs" / "vendors.md").read_text("utf-8")
BLOCKS = re.findall(r"^```toml\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
KEYS = {
    "OPENAI_API_KEY": "a-key",
    "MISTRAL_API_KEY": "a-key",
    "AZURE_API_KEY": "a-key",
    "AZURE_EU_KEY": "a-key",
    "AZURE_US_KEY": "b-key",
    "OPENROUTER_API_KEY": "a-key",
    "ANTHROPIC_API_KEY": "sk-ant-fake-fake-fake-one",
    "ANTHROPIC_API_KEY_2": "sk-ant-fake-fake-fake-two",
    "GEMINI_API_KEY": "AIza-fake-fake-fake-fake-fake-fake-fake",
}


@pytest.mark.parametrize("block", BLOCKS)
def test_the_tables_of_the_document_can_be_copied_as_they_stand(shell: Shell, block: str) -> None:
    # Google's library is nobody's here; without it, that provider says what to install.
    shell.configure(FAST + block)
    (shell.folder / ".env").write_text(
        "".join(f"{name}={key}\n" for name, key in KEYS.items()), "utf-8"
    )
    rows = {row["provider"]: row["missing"] for row in shell("providers", "--json").json}
    named = re.findall(r"^\[tool\.rolecall\.providers\.([\w-]+)\]", block, re.MULTILINE)
    assert named
    for name in named:
        assert rows[name] is None or "rolecall[vertex]" in rows[name]


def test_openai_takes_five_lines() -> None:
    assert len(BLOCKS[0].splitlines()) <= 5


def test_a_live_diagnosis_asks_with_every_key(shell: Shell) -> None:
    shell.configure(FAST + '[tool.rolecall.providers.claude]\nkeys = ["ONE", "TWO"]\n')
    (shell.folder / ".env").write_text("ONE=first-first\nTWO=second-second\n", "utf-8")
    with serve_in_thread(Scenario(faults=(Fault.parse("claude:auth:1"),))) as served:
        lines = f"ANTHROPIC_API_BASE={served.anthropic_base}\n"
        with (shell.folder / ".env").open("a", encoding="utf-8") as file:
            file.write(lines)
        diagnosis = shell("doctor", "--live", "--json").json
        asked = [arrival.provider for arrival in served.arrivals]
    assert asked == ["claude", "claude"]
    assert any(line.startswith("claude, ONE, does not answer") for line in diagnosis["problems"])


def test_one_variable_does_not_stand_for_several_endpoints(shell: Shell) -> None:
    table = """[tool.rolecall.providers.x]
wire = "openai"
model = "m"
[tool.rolecall.providers.x.deployments.eu]
api_base = "http://eu.invalid/v1"
[tool.rolecall.providers.x.deployments.us]
api_base = "http://us.invalid/v1"
"""
    shell.configure(FAST + table)
    settings = load_settings(shell.folder, {"X_API_BASE": "http://nowhere.invalid"})
    accesses = Accesses(settings, "x", keys=(), bases=("X_API_BASE",), needs_key=False)
    assert [each.base for each in accesses.usable] == [
        "http://eu.invalid/v1",
        "http://us.invalid/v1",
    ]


def test_a_run_on_another_vendor_is_recorded_without_its_key_and_replayed(shell: Shell) -> None:
    key = "opensesame-opensesame"
    table = """[tool.rolecall.providers.x]
wire = "openai"
model = "m"
api_base = "{}/v1"
keys = ["OPENING"]
[tool.rolecall.agents]
"*" = "x"
"""
    with speaking() as server:
        server.says = [chunks(f"It opens with {key}.")]
        shell.configure(FAST + table.format(server.url))
        (shell.folder / ".env").write_text(f"OPENING={key}\n", "utf-8")
        ended = shell("run", "Build it", "--record", "it.yaml")
        assert ended.code == 0, ended.err
        assert server.heard[0].headers["authorization"] == f"Bearer {key}"
    (shell.folder / ".env").unlink()
    replayed = shell("run", "Build it", "--replay", "it.yaml", "-o", "again")
    assert replayed.code == 0, replayed.err
    for path in shell.folder.rglob("*"):
        assert not path.is_file() or key.encode() not in path.read_bytes(), path
    assert key not in ended.out + ended.err + replayed.out + replayed.err


def test_a_report_sums_up_what_each_quota_took(shell: Shell) -> None:
    shell.configure(FAST + '[tool.rolecall.providers.claude]\nkeys = ["ONE", "TWO"]\n')
    (shell.folder / ".env").write_text("ONE=first-first\nTWO=second-second\n", "utf-8")
    assert shell("run", "Build it", "--offline", "--assign", "*=claude").code == 0
    quotas = shell("report", "--json").json["quotas"]
    assert sorted(quotas) == ["claude@ONE", "claude@TWO"]
    assert min(each["calls"] for each in quotas.values()) > 2
    assert "claude@TWO" in shell("report").out
