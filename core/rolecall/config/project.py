"""Finds the pyproject.toml that applies in a folder, and reads its `[tool.rolecall]`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import SettingsError


def find_project(directory: Path) -> Path | None:
    """Find the nearest pyproject.toml, in a folder or above it."""
    candidates = (folder / "pyproject.toml" for folder in (directory, *directory.parents))
    return next((path for path in candidates if path.is_file()), None)


def read_table(pyproject: Path) -> Mapping[str, Any]:
    """Read `[tool.rolecall]`, which may be missing; raise SettingsError where it cannot be read."""
    import tomllib

    try:
        table: Any = tomllib.loads(pyproject.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingsError(f"{pyproject}: cannot be read: {error}") from error
    for path in ("tool", "tool.rolecall"):
        table = table.get(path.rpartition(".")[2], {})
        if not isinstance(table, dict):
            raise SettingsError(f"{pyproject}: {path}: must be a table, not {table!r}")
    return dict(table)
