"""How calls of tools and checks are told in a line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_plugins.progress import SHOWN, describe_arguments, shorten


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, ""),
        ({"path": "app.py"}, "app.py"),
        ({"path": "app.py", "first": 1, "all": True}, "app.py, first=1, all=true"),
        ({"path": "app.py", "content": "one\ntwo\n"}, "app.py, content: 2 lines"),
        ({"path": "app.py", "content": ""}, "app.py, content="),
        ({"path": "a", "old": "x", "new": "y" * 2000}, "a, old=x, new: 2,000 characters"),
        ({"command": "for i in 1 2\ndo\n  echo\ndone"}, "for i in 1 2 do echo done"),
        ({"list": [{"a": 1}]}, 'list=[{"a": 1}]'),
    ],
)
def test_arguments_are_told_in_a_line(arguments: dict[str, object], said: str) -> None:
    assert describe_arguments(arguments) == said


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.text(), VALUES))
def test_whatever_the_arguments_are_the_line_is_short_and_printable(
    arguments: dict[str, object],
) -> None:
    line = describe_arguments(arguments)
    assert len(line) <= SHOWN
    assert line.isprintable()


def test_a_text_is_cut_where_it_is_too_long() -> None:
    assert shorten("a" * 10, 10) == "a" * 10
    assert shorten("a" * 11, 10) == "a" * 9 + "…"
