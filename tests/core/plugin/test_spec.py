"""Every hook has a contract, a test and a place in the documents."""

import inspect
import re
from types import ModuleType

import pytest
from building import Point, plugin
from places import ROOT

from rolecall import Host
from rolecall.plugin import spec as hookspecs

TESTS = ROOT / "tests"
README = (ROOT / "README.md").read_text("utf-8")
DOCUMENT = (ROOT / "docs" / "hooks.md").read_text("utf-8")
HOOKS = {
    name: function
    for name, function in inspect.getmembers(hookspecs, inspect.isfunction)
    if name.startswith("rolecall_")
}


def test_there_are_ten_hooks() -> None:
    assert sorted(name.removeprefix("rolecall_") for name in HOOKS) == [
        "agents",
        "assign",
        "commands",
        "known_models",
        "limiters",
        "observers",
        "providers",
        "sandboxes",
        "team",
        "tools",
    ]


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_named_in_the_readme(name: str) -> None:
    assert f"`{name}`" in README


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_described_with_its_arguments_and_an_example(name: str) -> None:
    arguments = ", ".join(inspect.signature(HOOKS[name]).parameters)
    _, heading, rest = DOCUMENT.partition(f"\n## {name}({arguments})\n")
    assert heading
    section = rest.partition("\n## ")[0]
    assert re.search(rf"```python\n(.*\n)*@hookimpl\ndef {name}\(", section)


@pytest.mark.parametrize("name", HOOKS)
def test_the_documents_example_of_a_hook_is_a_sound_plugin(name: str) -> None:
    module = ModuleType("example")
    code = re.search(rf"## {name}\(.*?```python\n(.*?)```", DOCUMENT, re.DOTALL)
    assert code
    exec("from rolecall import *\nfrom rolecall import hookimpl\n" + code[1], vars(module))
    host = Host([Point("example", module)])
    host.check()
    assert host.plugins[0].hooks == (name,)


def test_the_readmes_plugin_is_sound() -> None:
    (code,) = re.findall(r"## Write a plugin.*?```python\n(.*?)```", README, re.DOTALL)
    module = ModuleType("example")
    exec(code, vars(module))
    host = Host([Point("echo", module)])
    host.check()
    assert host.plugins[0].hooks == ("rolecall_assign", "rolecall_providers")


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_has_a_contract_in_its_docstring(name: str) -> None:
    assert len(inspect.getdoc(HOOKS[name]) or "") > 20


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_used_by_the_tests_of_the_host(name: str) -> None:
    code = (TESTS / "core" / "plugin" / "test_manager.py").read_text("utf-8")
    assert re.search(rf"plugin\([^)]*\b{name.removeprefix('rolecall_')}=", code)


def test_a_plugin_may_implement_every_hook() -> None:
    names = [name.removeprefix("rolecall_") for name in HOOKS]
    host = Host([Point("all", plugin(**{name: lambda: None for name in names}))])
    host.check()
    assert host.plugins[0].hooks == tuple(sorted(HOOKS))
