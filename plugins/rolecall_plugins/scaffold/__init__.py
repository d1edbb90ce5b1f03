"""`rolecall plugins new`: a project with a provider, an agent moved to it, and their tests."""

import re
from collections.abc import Mapping
from pathlib import Path

import click

from rolecall import echo, hookimpl

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "rolecall-{name}"
version = "0.1.0"
description = "A provider for rolecall."
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["rolecall>={version}"]

[project.optional-dependencies]
test = ["pytest"]

[project.entry-points.rolecall]
{name} = "{module}"

[tool.hatch.build.targets.wheel]
only-include = ["{module}.py"]
"""
MODULE = '''\
"""The provider `{name}`."""

from collections.abc import Iterable

from rolecall import Agent, Provider, Request, Response, hookimpl


class {kind}:
    """Answers with what it was asked; put a vendor in its place."""

    name = "{name}"
    model = "{name}-1"

    async def complete(self, request: Request) -> Response:
        # One HTTP attempt: return what came, or raise ProviderError(cause, message).
        # Retries, waiting and fallbacks are rolecall's business.
        await request.watch.sending()
        return Response(text=request.messages[-1].text, model=request.model)


@hookimpl
def rolecall_providers() -> Iterable[Provider]:
    return [{kind}()]


@hookimpl
def rolecall_assign(agent: Agent) -> list[str] | None:
    return ["{name}", "claude"] if agent.name == "research-analyst" else None
'''
TESTS = '''\
"""The provider `{name}` keeps to the contract, and its plugin does what it says."""

from {module} import {kind}

from rolecall import Host, Settings, current_team
from rolecall.testing import ProviderContract


class Test{kind}(ProviderContract):
    provider = {kind}()


def test_the_plugin_is_found_where_it_is_installed() -> None:
    host = Host()
    host.check()
    assert "{name}" in host.providers(Settings())


def test_the_research_analyst_runs_on_it() -> None:
    routes = current_team(Host(), Settings()).agents["research-analyst"].routes
    assert str(routes[0]) == "{name}/{name}-1"
'''
README = """\
# rolecall-{name}

Adds the provider `{name}` to [rolecall](https://pypi.org/project/rolecall/), and lets the
`research-analyst` run on it.

```sh
pip install -e ".[test]" && pytest      # its tests
rolecall providers                      # `{name}` is among them
rolecall agents                         # who runs on it, and that this plugin decided so
```
"""


@hookimpl
def rolecall_commands(cli: click.Group) -> None:
    plugins = cli.commands["plugins"]
    assert isinstance(plugins, click.Group)
    plugins.add_command(new)


@click.command()
@click.argument("name")
def new(name: str) -> None:
    """Write the project of a new plugin, with tests that pass."""
    project = write_plugin(Path(), name)
    echo(f"{project}/\nIts tests: cd {project} && pip install -e '.[test]' && pytest")


def write_plugin(folder: Path, name: str) -> Path:
    """Write a plugin's project into a new folder; give the folder.

    Raises UsageError where the name is none, or the folder is there already.
    """
    from importlib.metadata import version

    from rolecall import UsageError

    name = name.removeprefix("rolecall-")
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name of a plugin; use lower-case words and '-'")
    project = folder / f"rolecall-{name}"
    if project.exists():
        raise UsageError(f"{project} is there already; choose another name")
    words = name.split("-")
    named = {
        "name": name,
        "module": "_".join(["rolecall", *words]),
        "kind": "".join(word.title() for word in words),
        "version": version("rolecall"),
    }
    try:
        for path, text in _files(named).items():
            (project / path).parent.mkdir(parents=True, exist_ok=True)
            (project / path).write_text(text.format(**named), "utf-8")
    except OSError as error:
        raise UsageError(f"{project}: cannot be written: {error.strerror}") from error
    return project


def _files(named: Mapping[str, str]) -> dict[str, str]:
    module = named["module"]
    return {
        "pyproject.toml": PYPROJECT,
        f"{module}.py": MODULE,
        f"tests/test_{module}.py": TESTS,
        "README.md": README,
    }
