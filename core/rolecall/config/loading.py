"""Reads the settings of a folder: its pyproject.toml, the `.env` beside it, the environment.

Nothing else reads the environment or looks for files of settings.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from attrs import evolve
from platformdirs import user_state_dir

from ..errors import SettingsError
from .layers import Layer, Level
from .project import find_project, read_table
from .settings import AgentSettings, Settings
from .structure import structure

VARIABLES = ("ROLECALL_DEBUG",)


def load_settings(directory: Path, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings that apply in a folder; raise SettingsError naming file and key."""
    pyproject = find_project(directory.absolute())
    dotenv = (pyproject.parent if pyproject else directory) / ".env"
    process = os.environ if environ is None else environ
    state = user_state_dir("rolecall", appauthor=False)
    settings = Settings(
        environment={**_dotenv(dotenv), **process},
        source=str(pyproject) if pyproject else "the settings",
        state=state,
        identity=state,
    )
    where = "the environment" if "ROLECALL_DEBUG" in process else str(dotenv)
    variables = _variables(settings.environment, where)
    if pyproject is not None:
        settings = evolve(settings, runs=_beside(pyproject, settings.runs))
        settings = settings.with_layer(_project(pyproject))
    return settings.with_layer(variables)


def read_environment() -> Mapping[str, str]:
    """Return the variables of the process, with those of the current folder's `.env`."""
    with suppress(SettingsError):
        pyproject = find_project(Path.cwd())
        return {**_dotenv((pyproject.parent if pyproject else Path.cwd()) / ".env"), **os.environ}
    return os.environ


def _project(pyproject: Path) -> Layer:
    """Read `[tool.rolecall]`; its relative paths start at the file's folder."""
    table = read_table(pyproject)
    settings = structure(table, str(pyproject)) if table else Settings()
    settings = evolve(
        settings,
        agents=_with_files(settings.agents, pyproject),
        runs=_beside(pyproject, settings.runs),
        state=_beside(pyproject, settings.state),
        reuse=tuple(_beside(pyproject, folder) for folder in settings.reuse),
    )
    values = {name: getattr(settings, name) for name in table}
    return Layer(Level.PROJECT, str(pyproject), values, prefix="tool.rolecall.")


def _beside(pyproject: Path, path: str) -> str:
    """Return a path that starts at the file's folder; as it is where that is the current one."""
    return str(pyproject.parent / path) if path and pyproject.parent != Path.cwd() else path


def _variables(environment: Mapping[str, str], where: str) -> Layer:
    debug = _flag(environment, "ROLECALL_DEBUG")
    values = {} if debug is None else {"debug": debug}
    return Layer(Level.ENVIRONMENT, f"ROLECALL_DEBUG in {where}", values)


def _with_files(
    agents: Mapping[str, AgentSettings], pyproject: Path
) -> Mapping[str, AgentSettings]:
    """Read the files that agents' prompts and schemas are in."""
    read = partial(_file_of, pyproject)
    return {
        name: evolve(
            agent,
            prompt=read(name, "prompt", agent.prompt),
            schema=read(name, "schema", agent.schema),
        )
        for name, agent in agents.items()
    }


def _file_of(pyproject: Path, agent: str, key: str, name: str) -> str:
    if not name:
        return ""
    place = f"{pyproject}: tool.rolecall.agents.{agent}.{key}"
    file = pyproject.parent / name
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{place}: cannot be read: {error}") from error
    if not text.strip():
        raise SettingsError(f"{place}: {file} is empty")
    return text


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


def _flag(environment: Mapping[str, str], name: str) -> bool | None:
    """Read a variable that is on or off; None where it is not set."""
    value = environment.get(name, "").strip().lower()
    if value not in ("", "0", "1", "true", "false", "yes", "no", "on", "off"):
        raise SettingsError(f"{name}: must be 1 or 0, not {value!r}")
    return value in ("1", "true", "yes", "on") if value else None
