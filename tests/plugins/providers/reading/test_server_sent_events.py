"""Streams are split at blank lines, however their bytes arrive."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_plugins.providers.reading.server_sent_events import ServerSentEvents

ENDS = st.sampled_from(["\n", "\r\n", "\r"])
EDGES = st.lists(st.integers(0, 300), max_size=8)


def cut(data: bytes, edges: list[int]) -> list[bytes]:
    places = [0, *sorted(edge % (len(data) + 1) for edge in edges), len(data)]
    return [data[a:b] for a, b in pairwise(places)]


def split(*chunks: bytes) -> list[bytes]:
    events = ServerSentEvents()
    found = [event.beginning for chunk in chunks for event in events.feed(chunk)]
    return found + [event.beginning for event in events.close()]


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1), min_size=1
    ),
    ENDS,
    EDGES,
)
def test_events_are_split_at_blank_lines_of_every_kind(
    data: list[str], end: str, edges: list[int]
) -> None:
    stream = "".join(f"event: x{end}data: {each}{end}{end}" for each in data).encode()
    assert split(*cut(stream, edges)) == [each.encode() for each in data]


@given(st.lists(st.sampled_from(["data: a", "data:b", ": c", "event: d", ""])), ENDS, EDGES)
def test_a_stream_means_the_same_however_it_is_cut(
    lines: list[str], end: str, edges: list[int]
) -> None:
    stream = end.join(lines).encode()
    assert split(*cut(stream, edges)) == split(stream)


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: 1\ndata: 2\n\n", [b"1\n2"]),
        (b"data:1\n\n", [b"1"]),
        (b"data:  1\n\n", [b" 1"]),
        (b": a comment\n\ndata: 1\n\n", [b"1"]),
        (b"id: 7\nretry: 10\ndata: 1\n\n", [b"1"]),
        (b"data: 1", [b"1"]),
        (b"data: 1\r", [b"1"]),
        (b"data:\n\n", [b""]),
        (b"database: 1\n\n", []),
        (b"\n\n\n", []),
        (b"", []),
    ],
)
def test_a_line_counts_by_its_field(stream: bytes, events: list[bytes]) -> None:
    assert split(stream) == events


def test_an_event_is_there_with_the_line_end_that_completes_it() -> None:
    events = ServerSentEvents()
    assert [event.beginning for event in events.feed(b"data: 1\r\r")] == [b"1"]
    assert list(events.feed(b"\n")) == []


def test_splitting_a_long_event_takes_time_in_proportion_to_its_length() -> None:
    def seconds(megabytes: int) -> float:
        events = ServerSentEvents()
        began = time.process_time()
        list(events.feed(b'data: "'))
        for _ in range(16 * megabytes):
            list(events.feed(b"x" * 64 * 1024))
        return time.process_time() - began

    seconds(1)
    # Going through the whole event with every chunk would take sixty times as long.
    assert seconds(8) < 25 * max(seconds(1), 0.001)
