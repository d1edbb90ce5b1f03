"""The project itself: its boundaries, its public names, and what it promises to be read."""

import ast
import re
import socket
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from graphlib import TopologicalSorter
from importlib.metadata import distribution
from pathlib import Path

import pytest
from places import ROOT

import rolecall
import rolecall.testing
from rolecall.config import loading as config
from rolecall_plugins.providers.anthropic import CLAUDE
from rolecall_plugins.providers.google import GEMINI
from rolecall_plugins.team import roles
from rolecall_plugins.telemetry import exporters as _telemetry

CORE_ROOT = ROOT / "core" / "rolecall"
PLUGINS_ROOT = ROOT / "plugins" / "rolecall_plugins"
CORE = sorted(CORE_ROOT.rglob("*.py"))
PLUGINS = sorted(PLUGINS_ROOT.rglob("*.py"))
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))

# The rooms of core from the ground; a file imports from its own room and from floors beneath it.
FLOORS = (
    {"_version", "json_schema", "usage"},
    {"errors"},
    {"types"},
    {"config", "storage"},
    {"execution", "plugin"},
    {"observers", "testing"},
    {"scheduling"},
    {"api", "cli"},
    {"__init__"},
)
# What plugins may import of each other.
SHARED = {"progress", "providers", "cassettes.current_call"}
LARGEST = 16  # modules in one folder
LITELLM = PLUGINS_ROOT / "providers" / "litellm_import.py"
DOORS = PLUGINS_ROOT / "providers" / "litellm_doors.py"
SLOW = {
    *("aiohttp", "cattrs", "httpx", "jinja2", "litellm", "openai", "opentelemetry", "pydantic"),
    *("rich", "vcr"),
}
BY_NAME = [pytest.param(path, id=str(path.relative_to(CORE_ROOT).with_suffix(""))) for path in CORE]
BY_PLUGIN = [
    pytest.param(path, id=str(path.relative_to(PLUGINS_ROOT).with_suffix(""))) for path in PLUGINS
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


def module(path: Path, root: Path) -> str:
    """Name a file's module below a source root; a package is named as itself."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


@cache
def modules(root: Path) -> frozenset[str]:
    return frozenset(module(path, root) for path in root.rglob("*.py"))


@cache
def targets(path: Path, root: Path) -> frozenset[str]:
    """Name the modules below its own source root that a file imports, wherever it does."""
    found = set()
    package = path.relative_to(root).parent.parts
    for node in nodes(path):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = package[: len(package) - node.level + 1]
        origin = ".".join((*base, *(node.module or "").split("."))).strip(".")
        for each in node.names:
            submodule = f"{origin}.{each.name}".strip(".")
            found.add(submodule if submodule in modules(root) else origin or "__init__")
    return frozenset(found)


def room(name: str) -> str:
    return name.partition(".")[0]


def floor(path: Path) -> int:
    own = room(module(path, CORE_ROOT))
    return next(number for number, rooms in enumerate(FLOORS) if own in rooms)


def test_every_file_of_core_has_a_floor() -> None:
    named = {name for rooms in FLOORS for name in rooms}
    assert {room(module(path, CORE_ROOT)) for path in CORE} == named


@pytest.mark.parametrize("path", BY_NAME)
def test_a_file_imports_only_from_its_room_and_the_floors_beneath(path: Path) -> None:
    own = room(module(path, CORE_ROOT))
    beneath = set().union(*FLOORS[: floor(path)])
    assert {room(name) for name in targets(path, CORE_ROOT)} <= beneath | {own}
    assert "rolecall" not in packages(path)


@pytest.mark.parametrize("root", [CORE_ROOT, PLUGINS_ROOT], ids=["core", "plugins"])
def test_no_modules_import_each_other_in_a_circle(root: Path) -> None:
    graph = {module(path, root): targets(path, root) for path in root.rglob("*.py")}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("path", BY_PLUGIN)
def test_a_plugin_imports_nothing_of_another_but_what_they_share(path: Path) -> None:
    own = room(module(path, PLUGINS_ROOT))
    others = {
        name
        for name in targets(path, PLUGINS_ROOT)
        if room(name) != own and room(name) not in SHARED and name not in SHARED
    }
    assert others == set()


@pytest.mark.parametrize(
    "folder",
    [
        pytest.param(path, id=str(path.relative_to(ROOT)))
        for root in (CORE_ROOT, PLUGINS_ROOT)
        for path in (root, *sorted(root.rglob("*")))
        if path.is_dir() and path.name != "__pycache__"
    ],
)
def test_no_folder_is_larger_than_a_newcomer_can_take_in(folder: Path) -> None:
    named = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
    assert len(named) <= LARGEST


def test_no_two_classes_share_a_name() -> None:
    places: dict[str, list[str]] = {}
    for path in (*CORE, *PLUGINS):
        (whole,) = (node for node in nodes(path) if isinstance(node, ast.Module))
        for node in whole.body:
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    del places["Team"]  # the public one extends the graph of agents
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


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
    knowing = ("plugin.manager", "plugin.spec")
    assert ("pluggy" in packages(path)) == (module(path, CORE_ROOT) in knowing)


@pytest.mark.parametrize("path", BY_NAME)
def test_only_the_settings_read_the_environment(path: Path) -> None:
    is_loading = module(path, CORE_ROOT) == "config.loading"
    assert bool(environment(path)) == is_loading
    assert ("dotenv" in packages(path)) == is_loading


@pytest.mark.parametrize("path", BY_PLUGIN)
def test_no_plugin_reads_the_environment(path: Path) -> None:
    only_set = {"os.environ", "os.environ.setdefault"} if path == LITELLM else set()
    assert environment(path) == only_set


@pytest.mark.parametrize("path", BY_NAME)
def test_only_one_file_prints_and_only_the_command_line_knows_click(path: Path) -> None:
    printing = calls(path) & {"print", "click.echo", "click.secho", "sys.stdout.write"}
    assert bool(printing) == (module(path, CORE_ROOT) == "cli.console")
    assert "click" not in packages(path) or room(module(path, CORE_ROOT)) == "cli"


@pytest.mark.parametrize("path", BY_PLUGIN + BY_EXAMPLE)
def test_a_plugin_prints_through_core_alone(path: Path) -> None:
    own = {"print", "click.echo", "click.secho", "sys.stdout.write", "sys.stderr.write"}
    assert not calls(path) & own


@pytest.mark.parametrize("path", BY_NAME)
def test_only_those_who_serve_programs_without_an_event_loop_start_one(path: Path) -> None:
    starting = ("api.background_loop", "cli.diagnosis", "cli.working", "testing")
    does = calls(path) & {"asyncio.run", "asyncio.new_event_loop"}
    assert bool(does) == (module(path, CORE_ROOT) in starting)


@pytest.mark.parametrize(
    "path", [each for each in BY_NAME if str(each.id).startswith(("types/", "errors", "usage"))]
)
def test_values_touch_no_file_and_no_network(path: Path) -> None:
    outside = {"os", "io", "pathlib", "shutil", "socket", "subprocess", "tempfile", "httpx"}
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
def test_only_two_files_import_litellm_and_only_when_it_is_used(path: Path) -> None:
    assert ("litellm" in packages(path)) == (path in (LITELLM, DOORS))
    (whole,) = (node for node in nodes(path) if isinstance(node, ast.Module))
    at_once = {
        each.name for node in whole.body if isinstance(node, ast.Import) for each in node.names
    }
    assert "litellm" not in at_once


@pytest.mark.parametrize("path", BY_PLUGIN)
def test_only_what_tells_opentelemetry_imports_it(path: Path) -> None:
    if "opentelemetry" in packages(path):
        assert room(module(path, PLUGINS_ROOT)) == "telemetry"


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


def test_the_reference_describes_each_public_name_once() -> None:
    # A new name goes into docs/api.md, and as `::: rolecall.NAME` on a page of docs/reference/.
    described = [
        entry
        for path in (ROOT / "docs" / "reference").glob("*.md")
        for entry in re.findall(r"^::: (\S+)$", path.read_text("utf-8"), re.MULTILINE)
    ]
    functions = [
        f"rolecall_plugins.{vendor}.create_{vendor}_llm_with_monitoring"
        for vendor in ("claude", "gemini")
    ]
    public = [f"rolecall.{name}" for name in rolecall.__all__]
    testing_ = [f"rolecall.testing.{name}" for name in rolecall.testing.__all__]
    assert sorted(described) == sorted([*public, *testing_, *functions])


def test_the_drawing_of_the_floors_shows_each_package_on_its_floor() -> None:
    drawing = (ROOT / "docs" / "assets" / "floors.svg").read_text("utf-8")
    drawn: dict[str, set[str]] = {}
    for height, name in re.findall(r'class="name" x="\d+" y="(\d+)">(\w+)<', drawing):
        if name != "plugins":
            drawn.setdefault(height, set()).add(name)
    assert [drawn[height] for height in sorted(drawn, key=int, reverse=True)] == list(FLOORS)


def fields(path: Path, names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Map classes to their own fields and these to their types, as docs/events.md words them."""
    found = {}
    for node in nodes(path):
        if isinstance(node, ast.ClassDef) and node.name in names:
            found[node.name] = {
                ast.unparse(each.target): as_worded(ast.unparse(each.annotation))
                for each in node.body
                if isinstance(each, ast.AnnAssign)
            }
    return found


def as_worded(annotation: str) -> str:
    # Not with `|`, which would end the cell of a table.
    whole = annotation.strip("'")
    inner = whole.removesuffix(" | None")
    word = re.sub(r"(\w+) \| None", r"Optional[\1]", inner)
    return f"`{word}`" if inner == whole else f"`{word}` or None"


def test_the_page_of_events_describes_every_field_of_every_event() -> None:
    events = [
        name
        for name in rolecall.__all__
        if isinstance(value := getattr(rolecall, name), type) and issubclass(value, rolecall.Event)
    ]
    types = CORE_ROOT / "types"
    expected = fields(types / "events.py", [*events, "Forecast"])
    expected |= fields(CORE_ROOT / "usage.py", ["Usage"])
    page = (ROOT / "docs" / "events.md").read_text("utf-8")
    described = {}
    for name, text in re.findall(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL):
        rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
        described[name] = {field: type_ for field, type_, _, _ in rows}
        assert all(meaning.strip() for *_, meaning in rows)
    assert described == expected
