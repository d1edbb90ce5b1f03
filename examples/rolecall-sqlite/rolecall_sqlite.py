"""The tools `sqlite.schema` and `sqlite.query`: agents look into a database, and change nothing."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from rolecall import Settings, Tool, ToolResult, Work, hookimpl

VARIABLE = "SQLITE_DATABASE"
MOST_ROWS = 50
MOST_SECONDS = 2.0
LONGEST = 200  # characters of a value
# What a statement may do, by SQLite's word; ATTACH, PRAGMA and every change are not among it.
ALLOWED = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
}
DEFINITIONS = "select sql from sqlite_master where sql is not null order by type desc, name"


class Database:
    """A database that is opened to read only, anew for each look: calls run beside each other."""

    def __init__(self, path: str, now: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._now = now

    def look(self, statement: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Return the columns and the first rows that a statement finds; raise ValueError."""
        if not self._path:
            raise ValueError(f"there is no database: set the variable {VARIABLE} to its file")
        try:
            address = f"{Path(self._path).absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(address, uri=True)) as connection:
                connection.set_authorizer(_authorize)
                end = self._now() + MOST_SECONDS
                connection.set_progress_handler(lambda: self._now() > end, 10_000)
                found = connection.execute(statement)
                columns = [each[0] for each in found.description or ()]
                return columns, found.fetchmany(MOST_ROWS + 1)
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise ValueError(f"SQLite says: {error}") from error


def _authorize(action: int, *about: str | None) -> int:
    is_harmless = action in ALLOWED and "load_extension" not in about
    return sqlite3.SQLITE_OK if is_harmless else sqlite3.SQLITE_DENY


class Schema:
    """Shows how the tables were created."""

    name = "sqlite.schema"
    description = "Show the tables, views and indexes of the project's SQLite database."
    parameters: Mapping[str, Any] = {"type": "object", "properties": {}}
    read_only = True

    def __init__(self, database: Database) -> None:
        self._database = database

    async def call(self, arguments: Mapping[str, Any], work: Work) -> ToolResult:
        return await _told(lambda: "\n\n".join(f"{sql};" for sql in self._definitions()))

    def _definitions(self) -> list[str]:
        _, rows = self._database.look(DEFINITIONS)
        return [str(sql) for (sql,) in rows] or ["-- the database is empty"]


class Query:
    """Shows what a SELECT finds."""

    name = "sqlite.query"
    description = (
        f"Run one SELECT on the project's SQLite database; shows at most {MOST_ROWS} rows. "
        "Nothing can be changed by it."
    )
    parameters: Mapping[str, Any] = {
        "type": "object",
        "properties": {"sql": {"type": "string", "description": "The statement."}},
        "required": ["sql"],
        "additionalProperties": False,
    }
    read_only = True

    def __init__(self, database: Database) -> None:
        self._database = database

    async def call(self, arguments: Mapping[str, Any], work: Work) -> ToolResult:
        return await _told(lambda: _table(*self._database.look(arguments["sql"])))


async def _told(look: Callable[[], str]) -> ToolResult:
    """Return what a look finds; what is wrong with it is the model's to know."""
    try:
        return ToolResult(await asyncio.to_thread(look))
    except ValueError as error:
        return ToolResult(str(error), is_error=True)


def _table(columns: list[str], rows: list[tuple[Any, ...]]) -> str:
    lines = [" | ".join(columns), *(" | ".join(map(_shown, row)) for row in rows[:MOST_ROWS])]
    more = ["[there are more rows]"] if len(rows) > MOST_ROWS else []
    return "\n".join([*lines, *more])


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    text = "NULL" if value is None else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


@hookimpl
def rolecall_tools(settings: Settings) -> Iterable[Tool]:
    database = Database(settings.variable(VARIABLE))
    return [Schema(database), Query(database)]
