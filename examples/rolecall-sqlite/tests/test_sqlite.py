"""The tools, on a small database; run with `pytest`."""

import asyncio
import sqlite3
from contextlib import closing
from itertools import count
from pathlib import Path
from types import MappingProxyType

import pytest

from rolecall import Host, Settings, ToolResult, Work
from rolecall.testing import ToolContract
from rolecall_sqlite import MOST_ROWS, Database, Query, Schema

ITEMS = "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, picture BLOB)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "a shop?.db"
    with closing(sqlite3.connect(made)) as connection, connection:
        connection.execute(ITEMS)
        connection.execute("CREATE INDEX by_name ON items (name)")
        connection.executemany(
            "INSERT INTO items (name, picture) VALUES (?, ?)", [("tea", b"\0\1"), (None, None)]
        )
    return made


class TestSchema(ToolContract):
    @pytest.fixture(autouse=True)
    def _made(self, path: Path) -> None:
        self.tool = Schema(Database(str(path)))


class TestQuery(ToolContract):
    arguments = MappingProxyType({"sql": "SELECT name FROM items"})

    @pytest.fixture(autouse=True)
    def _made(self, path: Path) -> None:
        self.tool = Query(Database(str(path)))


def query(path: Path | str, sql: str) -> ToolResult:
    return asyncio.run(Query(Database(str(path))).call({"sql": sql}, Work("tester")))


def test_the_schema_is_shown_as_it_was_created(path: Path) -> None:
    result = asyncio.run(Schema(Database(str(path))).call({}, Work("tester")))
    assert result.text == f"{ITEMS};\n\nCREATE INDEX by_name ON items (name);"


def test_rows_are_shown_with_their_columns(path: Path) -> None:
    result = query(path, "SELECT name, picture FROM items ORDER BY id")
    assert result == ToolResult("name | picture\ntea | <2 bytes>\nNULL | NULL")


def test_no_more_rows_are_shown_than_a_model_can_use(path: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    lines = query(path, endless).text.splitlines()
    assert len(lines) == MOST_ROWS + 2
    assert lines[-1] == "[there are more rows]"


def test_a_long_value_is_shortened(path: Path) -> None:
    assert query(path, "SELECT hex(zeroblob(1000)) AS x").text.endswith(f"{'0' * 200}…")


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO items (name) VALUES ('x')",
        "DELETE FROM items",
        "DROP TABLE items",
        "CREATE TABLE mine (x)",
        "CREATE TEMP TABLE mine (x)",
        "ATTACH 'other.db' AS other",
        "PRAGMA writable_schema = 1",
        "VACUUM INTO 'copy.db'",
        "SELECT load_extension('x')",
        "BEGIN",
        "SELECT 1; DELETE FROM items",
        "not a statement",
        "SELECT * FROM nothing",
    ],
)
def test_whatever_is_no_look_is_refused(
    path: Path, sql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    before = path.read_bytes()
    assert query(path, sql).is_error
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_query_that_takes_too_long_is_ended(path: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n"
    database = Database(str(path), now=count().__next__)
    result = asyncio.run(Query(database).call({"sql": endless}, Work("tester")))
    assert result == ToolResult("SQLite says: interrupted", is_error=True)


@pytest.mark.parametrize(
    ("path", "why"), [("", "set the variable SQLITE_DATABASE"), ("gone.db", "unable to open")]
)
def test_a_database_that_is_not_there_is_said_and_not_made(
    path: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = query(path, "SELECT 1")
    assert result.is_error
    assert why in result.text
    assert list(tmp_path.iterdir()) == []


def test_the_plugin_is_found_where_it_is_installed(path: Path) -> None:
    host = Host()
    host.check()
    tools = host.tools(Settings(environment={"SQLITE_DATABASE": str(path)}))
    assert {name for name, (_, plugin) in tools.items() if plugin == "sqlite"} == {
        "sqlite.schema",
        "sqlite.query",
    }
