"""JSON is read as `json` reads it, at once or while it arrives."""

import json
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_plugins.providers.reading import json_values
from rolecall_plugins.providers.reading.json_values import JsonParser, JsonValues

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
EDGES = st.lists(st.integers(0, 400), max_size=8)
LARGE = json_values.LARGE


def at_once(*pieces: bytes) -> list[object]:
    values = JsonValues()
    for piece in pieces:
        values.add(piece)
    return list(values)


def while_arriving(*pieces: bytes) -> list[object]:
    parser = JsonParser()
    for piece in pieces:
        parser.feed(piece)
    parser.close()
    return parser.values


def large(*pieces: bytes) -> list[object]:
    return at_once(b" " * LARGE, *pieces)


READERS = [at_once, while_arriving, large]
Reader = Callable[..., list[object]]


def cut(data: bytes, edges: Iterable[int]) -> list[bytes]:
    places = [0, *sorted(edge % (len(data) + 1) for edge in edges), len(data)]
    return [data[a:b] for a, b in pairwise(places)]


@pytest.mark.parametrize("read", READERS)
@given(JSON, st.booleans(), EDGES)
def test_what_was_written_is_read_however_it_is_cut(
    read: Reader, value: Any, ascii_only: bool, edges: list[int]
) -> None:
    written = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert read(*cut(written, edges)) == [value]


@given(st.text(st.sampled_from('"\\/bfnrtu0123dD8cC{}[]:, \n'), max_size=30), st.integers(0, 29))
def test_what_is_json_and_what_it_means_is_agreed_with_json(text: str, edge: int) -> None:
    try:
        expected = [json.loads(text)]
    except ValueError:
        expected = None
    if expected is None and not text.strip():
        return
    parser = JsonParser()
    try:
        parser.feed(text[:edge].encode())
        parser.feed(text[edge:].encode())
        parser.close()
    except ValueError:
        assert expected is None
        return
    if expected is not None:
        assert parser.values == expected
    else:
        assert len(parser.values) > 1  # several values are none to `json`


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "text",
    [
        *("{", "[1,", '"a', "[1 2]", '{"a" 1}', '{"a":}', "{1:2}", "]", "}", ",", ":", "nul", "-"),
        *('"\\x"', '"\\u12"', '"\n"', "{,}", "[,]", "[1,]", '{"a":1,}', "'a'", "[}", "{]", "tru e"),
        *("1" * 5000, "<html>", "[" * 5000, '{"a":' * 5000, "\x00", "é"),
    ],
    ids=lambda text: text[:8],
)
def test_what_is_no_json_is_a_value_error(read: Reader, text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        read(text.encode())


@pytest.mark.parametrize("read", READERS)
def test_bytes_that_are_no_text_are_replaced_in_one_and_fatal_elsewhere(read: Reader) -> None:
    assert read(b'["a\xffb\xc3"]') == [["a\ufffdb\ufffd"]]
    with pytest.raises(ValueError):  # noqa: PT011
        read(b"[\xff]")


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "text", ['{"a": 1}{"a": 2}', '{"a": 1}\n{"a": 2}\n', '[{"a": 1}] {"a": 2}']
)
def test_several_values_are_read_in_their_order(read: Reader, text: str) -> None:
    first, second = read(text.encode())
    assert first in ({"a": 1}, [{"a": 1}])
    assert second == {"a": 2}


@pytest.mark.parametrize("padding", [b"", b" " * LARGE])
def test_what_stands_before_a_mistake_is_read(padding: bytes) -> None:
    values = JsonValues()
    values.add(b'{"a": 1}' + padding)
    values.add(b" and more")
    found = iter(values)
    assert next(found) == {"a": 1}
    with pytest.raises(ValueError):  # noqa: PT011
        next(found)


@pytest.mark.parametrize("text", [b"", b"  \n "])
def test_nothing_holds_no_value(text: bytes) -> None:
    assert at_once(text) == while_arriving(text) == []


def test_a_byte_order_mark_is_none_of_the_value() -> None:
    assert at_once(b"\xef\xbb\xbf[1]") == [[1]]
    assert at_once(b"\xef\xbb\xbf" + b" " * LARGE + b"[1]") == [[1]]


def test_a_key_that_comes_twice_counts_the_last_time() -> None:
    text = b'{"a": 1, "a": 2}'
    assert at_once(text) == while_arriving(text) == [{"a": 2}]


@pytest.mark.parametrize("cut_at", range(1, 15))
def test_a_pair_of_escapes_is_one_character_wherever_it_is_cut(cut_at: int) -> None:
    text = b'"\\ud83d\\ude00."'
    assert while_arriving(text[:cut_at], text[cut_at:]) == ["😀."]


def test_more_values_than_any_reply_holds_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_values, "MOST_VALUES", 10)
    with pytest.raises(ValueError, match="too many values"):
        while_arriving(b"[" + b"1," * 10 + b"1]")


def test_only_the_beginning_of_a_large_text_is_kept() -> None:
    values = JsonValues()
    values.add(b"<html>" + b"x" * 2 * LARGE)
    values.add(b"x" * LARGE)
    assert values.beginning.startswith(b"<html>")
    assert len(values.beginning) == json_values.BEGINNING


@pytest.mark.parametrize("step", [1, 700, json_values.LARGE + 1, 40_000])
def test_the_same_beginning_is_kept_however_a_long_text_is_cut(step: int) -> None:
    text = b"<" + bytes(range(97, 123)) * 1200
    values = JsonValues()
    for start in range(0, len(text), step):
        values.add(text[start : start + step])
    assert values.beginning == text[: json_values.BEGINNING]
