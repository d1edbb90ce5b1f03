"""The words of the code: docstrings in plain technical English."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from places import ROOT

SOURCE = sorted(path for root in (ROOT / "core", ROOT / "plugins") for path in root.rglob("*.py"))
BY_NAME = [pytest.param(path, id=str(path.relative_to(ROOT).with_suffix(""))) for path in SOURCE]
# Return, Check whether, List, Parse: what a reader of other code's docstrings expects.
FOREIGN = {"Give", "Gives", "Tell", "Tells", "Say", "Says", "Let", "Lets", "Name", "Names"}


def documented(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "lineno", 1), text


@pytest.mark.parametrize("path", BY_NAME)
def test_docstrings_begin_with_a_word_of_the_field(path: Path) -> None:
    begun = {line: text.split()[0] for line, text in documented(path)}
    assert {line: word for line, word in begun.items() if word in FOREIGN} == {}
