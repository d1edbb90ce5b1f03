"""Foreign JSON is taken by type, and texts are whole."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_plugins.providers.reading import fields
from rolecall_plugins.providers.reading.fields import TextPieces, Unsound, count, well_formed

ANYTHING: list[Any] = [None, True, 3, 0.5, "text", [], ["x"], {}, {"a": 1}]
SURROGATES = st.text(st.characters(codec=None) | st.characters(categories=["Cs"]))


@pytest.mark.parametrize("value", ANYTHING)
@pytest.mark.parametrize(
    ("take", "kind", "nothing"),
    [(fields.table, dict, {}), (fields.items, list, ()), (fields.text, str, "")],
)
def test_a_field_of_a_success_is_of_its_type_or_unsound(
    take: Any, kind: type, nothing: Any, value: Any
) -> None:
    if isinstance(value, kind) or value is None:
        assert take(value) == (nothing if value is None else value)
        return
    with pytest.raises(Unsound, match=type(value).__name__):
        take(value)


@pytest.mark.parametrize("value", ANYTHING)
def test_a_field_beside_a_success_is_of_its_type_or_absent(value: Any) -> None:
    assert fields.table_or_empty(value) == (value if isinstance(value, dict) else {})
    assert fields.items_or_empty(value) == (value if isinstance(value, list) else ())


@pytest.mark.parametrize(
    ("value", "text"), [("text", "text"), (3, "3"), (True, ""), (10**40, ""), (None, ""), ([], "")]
)
def test_an_id_may_be_a_number(value: object, text: str) -> None:
    assert fields.text_or_empty(value) == text


@pytest.mark.parametrize(("value", "tokens"), [(0, 0), (7, 7), (7.0, 7), (10**8, 10**8)])
def test_a_count_is_a_number_of_tokens(value: object, tokens: int) -> None:
    assert count(value) == tokens


@pytest.mark.parametrize(
    "value",
    [*(-1, 0.5, 10**8 + 1, 1e400, -1e400, float("nan"), True), *("7", None, [7], {"tokens": 7})],
)
def test_what_cannot_be_believed_is_no_count(value: object) -> None:
    assert count(value) is None


@given(SURROGATES)
def test_a_text_can_be_written_whatever_it_holds(text: str) -> None:
    well_formed(text).encode()


@given(st.text())
def test_a_text_of_whole_characters_stays_as_it_is(text: str) -> None:
    assert well_formed(text) == text


@given(st.lists(SURROGATES))
def test_pieces_come_to_the_same_as_the_whole(pieces: list[str]) -> None:
    text = TextPieces()
    shown = "".join(text.add(piece) for piece in pieces)
    assert str(text) == well_formed("".join(pieces))
    shown.encode()
    assert str(text).startswith(shown)


def test_a_character_whose_halves_come_apart_is_shown_once_it_is_whole() -> None:
    text = TextPieces()
    assert [text.add("a\ud83d"), text.add("\ude00b")] == ["a", "😀b"]
