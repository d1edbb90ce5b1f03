"""The project itself: its boundaries, its public names, and what it promises to be read."""

import ast
import re
import socket
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

import pytest

import rolecall
import rolecall.testing
from rolecall import config
from rolecall_plugins import _telemetry, roles
from rolecall_plugins._claude import CLAUDE
from rolecall_plugins._gemini import GEMINI

ROOT = Path(__file__).parent.parent
CORE = sorted((ROOT / "core" / "rolecall").glob("*.py"))
PLUGINS = sorted((ROOT / "plugins" / "rolecall_plugins").rglob("*.py"))
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))

# A file imports only from the floors beneath its own.
FLOORS = (
    {"causes", "deprecations", "discovery", "errors", "grids", "lifetime", "secrets", "version"},
    {"output", "project"},
    {"agents", "breaker", "journal", "messages"},
    {"config", "events", "limits"},
    {"prices"},
    {
        "budget",
        "bus",
        "figures",
        "hookspecs",
        "ledger",
        "prompts",
        "reuse",
        "savings",
        "watching",
    },
    {"calls", "host", "updates"},
    {"memo"},
    {"changes", "folder"},
    {"arguments", "dispatch", "estimate", "routing", "runs", "testing"},
    {"llm", "runner"},
    {"session", "tables"},
    {"summary"},
    {"examining", "library"},
    {"doctor", "lists", "plans", "reports"},
    {"cli"},
    {"__init__"},
)
SLOW = {
    *("aiohttp", "cattrs", "httpx", "jinja2", "litellm", "openai", "opentelemetry", "pydantic"),
    *("rich", "vcr"),
}
BY_NAME = [pytest.param(path, id=path.stem) for path in CORE]
BY_PLUGIN = [
    pytest.param(path, id=str(path.relative_to(PLUGINS[0].parent).with_suffix("")))
    for path in PLUGINS
]
BY_EXAMPLE = [
    pytest.param(path, id=str(path.relative_to(ROOT).with_suffix(""))) for path in EXAMPLES
]


@cache
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text("utf-8"), str(path))))


@cache
def imports(path: Path) -> set[str]:
    """Name every module that a file imports, wherever; `.` before those of its own package."""
    found = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = [node.module] if node.module else [each.name for each in node.names]
            found |= {"." * node.level + name for name in names}
    return found


def packages(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


@cache
def calls(path: Path) -> set[str]:
    return {ast.unparse(node.func) for node in nodes(path) if isinstance(node, ast.Call)}


@cache
def environment(path: Path) -> set[str]:
    """Give every use of the process's environment."""
    used = {ast.unparse(node) for node in nodes(path) if isinstance(node, ast.Attribute)}
    return {name for name in used if name.startswith(("os.environ", "os.getenv"))}


def words(path: Path) -> Iterator[str]:
    """Give every name and text of a file, but no docstring and no comment."""
    documents = {
        id(body[0].value)
        for node in nodes(path)
        if isinstance(body := getattr(node, "body", None), list)
        and body
        and isinstance(body[0], ast.Expr)
    }
    for node in nodes(path):
        if id(node) not in documents:
            yield from (value for value in vars(node).values() if isinstance(value, str))


def test_every_file_of_core_has_a_floor() -> None:
    named = [name for floor in FLOORS for name in floor]
    assert sorted(named) == [path.stem for path in CORE]


@pytest.mark.parametrize("path", BY_NAME)
def test_a_file_imports_only_from_the_floors_beneath_its_own(path: Path) -> None:
    place = next(number for number, floor in enumerate(FLOORS) if path.stem in floor)
    beneath = set().union(*FLOORS[:place])
    own = {name[1:].partition(".")[0] for name in imports(path) if name.startswith(".")}
    assert own <= beneath
    assert "rolecall" not in packages(path)


@pytest.mark.parametrize("path", BY_NAME)
def test_core_knows_no_plugin_and_no_client_of_a_vendor(path: Path) -> None:
    assert not packages(path) & {"rolecall_plugins", "litellm", "vcr", "openai", "anthropic"}


@pytest.mark.parametrize("path", BY_NAME)
def test_core_names_no_vendor_and_no_role(path: Path) -> None:
    names = ["claude", "gemini", "anthropic", "google", "openai", *(row[0] for row in roles.TABLE)]
    forbidden = re.compile("|".join(names), re.IGNORECASE)
    assert [word for word in words(path) if forbidden.search(word)] == []


@pytest.mark.parametrize("path", BY_NAME)
def test_only_the_host_and_the_hooks_know_pluggy(path: Path) -> None:
    assert ("pluggy" in packages(path)) == (path.stem in ("host", "hookspecs"))


@pytest.mark.parametrize("path", BY_NAME)
def test_only_the_settings_read_the_environment(path: Path) -> None:
    assert bool(environment(path)) == (path.stem == "config")
    assert ("dotenv" in packages(path)) == (path.stem == "config")


@pytest.mark.parametrize("path", BY_PLUGIN)
def test_no_plugin_reads_the_environment(path: Path) -> None:
    only_set = {"os.environ", "os.environ.setdefault"} if path.stem == "_litellm" else set()
    assert environment(path) == only_set


@pytest.mark.parametrize("path", BY_NAME)
def test_only_one_file_prints_and_only_the_command_line_knows_click(path: Path) -> None:
    printing = calls(path) & {"print", "click.echo", "click.secho", "sys.stdout.write"}
    assert bool(printing) == (path.stem == "output")
    assert ("click" in packages(path)) == (
        path.stem in ("arguments", "cli", "doctor", "lists", "output", "plans", "reports")
    )


@pytest.mark.parametrize("path", BY_NAME)
def test_only_those_who_serve_programs_without_an_event_loop_start_one(path: Path) -> None:
    assert ("asyncio.run" in calls(path)) == (path.stem in ("cli", "examining", "llm", "testing"))


@pytest.mark.parametrize(
    "name", ["agents", "breaker", "causes", "errors", "events", "limits", "messages", "prompts"]
)
def test_values_touch_no_file_and_no_network(name: str) -> None:
    outside = {"os", "io", "pathlib", "shutil", "socket", "subprocess", "tempfile", "httpx"}
    (path,) = (path for path in CORE if path.stem == name)
    assert not packages(path) & outside
    assert "open" not in calls(path)


@pytest.mark.parametrize("path", BY_PLUGIN + BY_EXAMPLE)
def test_a_plugin_imports_only_what_is_public(path: Path) -> None:
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            if node.module == "rolecall":
                assert {each.name for each in node.names} <= set(rolecall.__all__)
            elif node.module != "rolecall.testing":
                assert not node.module.startswith(("rolecall.", "rolecall_plugins"))
    assert "rolecall" not in {
        each.name.partition(".")[0]
        for node in nodes(path)
        if isinstance(node, ast.Import)
        for each in node.names
    }


@pytest.mark.parametrize("path", BY_PLUGIN)
def test_only_one_file_imports_litellm_and_only_when_it_is_used(path: Path) -> None:
    assert ("litellm" in packages(path)) == (path.stem == "_litellm")
    (module,) = (node for node in nodes(path) if isinstance(node, ast.Module))
    at_once = {
        each.name for node in module.body if isinstance(node, ast.Import) for each in node.names
    }
    assert "litellm" not in at_once


@pytest.mark.parametrize("path", BY_PLUGIN)
def test_only_what_tells_opentelemetry_imports_it(path: Path) -> None:
    telling = ("_measures", "_otlp", "_spans", "otel")
    assert ("opentelemetry" in packages(path)) == (path.stem in telling)


def test_the_public_names_are_sorted() -> None:
    def key(name: str) -> tuple[int, str]:
        return (0 if name.isupper() else 2 if name[0].islower() else 1, name)

    assert rolecall.__all__ == sorted(set(rolecall.__all__), key=key)


@pytest.mark.parametrize("name", rolecall.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(rolecall, name)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'rolecall' has no attribute 'nothing'"):
        _ = rolecall.nothing


def test_the_installed_entry_points_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    installed = distribution("rolecall").entry_points
    plugins = {each.name: each.value for each in installed if each.group == "rolecall"}
    scripts = {each.name: each.value for each in installed if each.group == "console_scripts"}
    assert plugins == project["entry-points"]["rolecall"]
    assert scripts == project["scripts"]


def test_the_example_of_a_dotenv_lists_exactly_what_is_read() -> None:
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    listed = [line.partition("=")[0] for line in lines if line and not line.startswith("#")]
    read = [*config.VARIABLES, *_telemetry.VARIABLES]
    for vendor in (CLAUDE, GEMINI):
        read += [*vendor.keys, *vendor.bases]
    assert sorted(listed) == sorted(read)


def test_the_document_of_settings_lists_every_variable() -> None:
    text = (ROOT / "docs" / "settings.md").read_text("utf-8").partition("## Environment")[2]
    listed = re.findall(r"`([A-Z_]+)`", text)
    example = (ROOT / ".env.example").read_text("utf-8")
    assert sorted(listed) == sorted(re.findall(r"^(\w+)=", example, re.MULTILINE))


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "example.invalid"])
def test_no_test_reaches_beyond_this_machine(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with (
        socket.socket(family) as outside,
        pytest.raises(pytest.fail.Exception, match=f"connect to {host}; tests run without"),
    ):
        outside.connect((host, 443))


def test_a_test_may_connect_to_its_own_machine() -> None:
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.getsockname())


def test_the_documents_list_what_is_public_and_nothing_else() -> None:
    text = (ROOT / "docs" / "api.md").read_text("utf-8")
    ours, _, testing_ = text.partition("## `rolecall.testing`")
    assert sorted(re.findall(r"^\| `(\w+)` \|", ours, re.MULTILINE)) == sorted(rolecall.__all__)
    listed = re.findall(r"^\| `(\w+)` \|", testing_, re.MULTILINE)
    assert sorted(listed) == sorted(rolecall.testing.__all__)
