"""Reads settings: `[tool.rolecall]` of the nearest pyproject.toml, `.env` beside it, environment.

Nothing else reads the environment or looks for files of settings.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from attrs import evolve
from platformdirs import user_state_dir

from ..errors import SettingsError
from .project import find_project, read_table
from .settings import Settings
from .structure import structure

VARIABLES = ("ROLECALL_DEBUG",)


def load_settings(directory: Path, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings that apply in a folder; raise SettingsError naming file and key."""
    pyproject = find_project(directory)
    table = read_table(pyproject) if pyproject else {}
    settings = structure(table, str(pyproject)) if table else Settings()
    dotenv = (pyproject.parent if pyproject else directory) / ".env"
    if pyproject is not None:
        settings = _with_prompts(settings, pyproject)
    process = os.environ if environ is None else environ
    environment = {**_dotenv(dotenv), **process}
    sources = dict.fromkeys(table, str(pyproject))
    if "debug" not in table and _flag(environment, "ROLECALL_DEBUG"):
        place = "the environment" if "ROLECALL_DEBUG" in process else str(dotenv)
        sources["debug"] = f"ROLECALL_DEBUG in {place}"
    return evolve(
        settings,
        environment=environment,
        source=str(pyproject) if pyproject else "the settings",
        state=settings.state or user_state_dir("rolecall", appauthor=False),
        debug=settings.debug or _flag(environment, "ROLECALL_DEBUG"),
        sources=sources,
    )


def _with_prompts(settings: Settings, pyproject: Path) -> Settings:
    """Read the files that agents' prompts are in."""
    agents = dict(settings.agents)
    for name, agent in agents.items():
        if agent.prompt:
            path = pyproject.parent / agent.prompt
            try:
                text = path.read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                key = f"tool.rolecall.agents.{name}.prompt"
                raise SettingsError(f"{pyproject}: {key}: cannot be read: {error}") from error
            if not text.strip():
                key = f"tool.rolecall.agents.{name}.prompt"
                raise SettingsError(f"{pyproject}: {key}: {path} is empty")
            agents[name] = evolve(agent, prompt=text)
    return evolve(settings, agents=agents)


def _dotenv(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    import logging

    from dotenv import dotenv_values

    def name_file(record: logging.LogRecord) -> bool:
        record.msg = f"{path}: {record.msg}"
        return True

    log = logging.getLogger("dotenv.main")
    log.addFilter(name_file)  # it warns of a line that it cannot read, not of whose
    try:
        return {name: value for name, value in dotenv_values(path).items() if value is not None}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    finally:
        log.removeFilter(name_file)


def _flag(environment: Mapping[str, str], name: str) -> bool:
    value = environment.get(name, "").strip().lower()
    if value not in ("", "0", "1", "true", "false", "yes", "no", "on", "off"):
        raise SettingsError(f"{name}: must be 1 or 0, not {value!r}")
    return value in ("1", "true", "yes", "on")
