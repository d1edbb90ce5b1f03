"""Writes the project of a new plugin from the templates beside this file."""

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template

from attrs import frozen

from rolecall import UsageError, __version__

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@frozen
class Kind:
    """What a kind of plugin is described as, and where one looks whether it is at work."""

    description: str
    look: str


KINDS = {
    "provider": Kind(
        "Adds the provider `$name`, and lets the `research-analyst` run on it.",
        "rolecall providers                      # `$name` is among them",
    ),
    "limiter": Kind(
        "Lets only so many calls of a run be made at once.",
        "rolecall plugins                        # `$name` is among them",
    ),
    "agents": Kind(
        "Adds the agent `$name` to the team.",
        "rolecall agents                         # `$name` is among them",
    ),
    "observer": Kind(
        "Leaves a table of the calls, `$name.csv`, in the folder of each run.",
        "rolecall plugins                        # `$name` is among them",
    ),
    "command": Kind(
        "Adds the command `rolecall $name`, which counts the words of a run's deliverables.",
        "rolecall $name --help                   # the command",
    ),
    "tool": Kind(
        "Adds the tool `$tool`, which counts the lines of a file.",
        "rolecall plugins                        # `$name` is among them",
    ),
}


def write_project(folder: Path, name: str, kind: str = "provider") -> Path:
    """Write a plugin's project into a new folder; return the folder.

    Raises UsageError where the name is not one of a plugin, or the folder exists.
    """
    name = name.removeprefix("rolecall-")
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name of a plugin; use lower-case words and '-'")
    project = folder / f"rolecall-{name}"
    if project.exists():
        raise UsageError(f"{project} is there already; choose another name")
    words = _words(name, kind)
    try:
        for path, template in _templates(words["module"], kind).items():
            (project / path).parent.mkdir(parents=True, exist_ok=True)
            text = Template(_read(template)).substitute(words)
            (project / path).write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(f"{project}: cannot be written: {error.strerror}") from error
    return project


def _templates(module: str, kind: str) -> Mapping[str, str]:
    """Map each file of a project to its template."""
    return {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"{module}.py": f"{kind}/module.py",
        f"tests/test_{module}.py": f"{kind}/tests.py",
    }


def _words(name: str, kind: str) -> Mapping[str, str]:
    """Return what templates may name."""
    parts = name.split("-")
    words = {
        "name": name,
        "module": "_".join(["rolecall", *parts]),
        "class_name": "".join(part.title() for part in parts),
        "title": " ".join(part.title() for part in parts),
        "words": " ".join(parts),
        "tool": "_".join(parts),
        "version": __version__,
    }
    about = KINDS[kind]
    description = Template(about.description).substitute(words)
    return {**words, "description": description, "look": Template(about.look).substitute(words)}


def _read(template: str) -> str:
    return files(__package__).joinpath("templates", f"{template}.tmpl").read_text("utf-8")
