"""What is printed can do nothing to a terminal, and nobody need be there to read it."""

import io
import logging
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall import echo, warn
from rolecall.cli.console import LOOKALIKES, encode_anything, warn_of_logged
from rolecall.cli.render import printable

UNSAFE = {
    "escape": "\x1b[2J",
    "C1 control sequence": "\x9b2J",
    "backspace": "\b",
    "carriage return": "fine\rforged",
    "delete": "\x7f",
    "right-to-left override": "\u202e",
    "left-to-right embedding": "\u202a",
    "right-to-left isolate": "\u2067",
    "pop of an isolate": "\u2069",
}


@pytest.mark.parametrize("text", UNSAFE.values(), ids=UNSAFE)
def test_what_drives_a_terminal_is_replaced(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    echo(f"before {text} after")
    warn(f"before {text} after")
    out, err = capsys.readouterr()
    for said in (out, err.removeprefix("rolecall: ")):
        assert said.startswith("before ")
        assert said.endswith(" after\n")
        assert printable(said) == said
        assert text not in said


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cf"))))
def test_a_text_that_only_shows_is_printed_as_it_is(text: str) -> None:
    assert printable(text) == text


@given(st.text(st.characters(categories=("Cc",), exclude_characters="\t\n\r"), min_size=1))
def test_no_control_character_is_printed(text: str) -> None:
    assert printable(text) == "�" * len(text)


def test_tabs_and_line_feeds_of_a_result_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    echo("one\ttwo\r\nthree\nfour")
    assert capsys.readouterr().out == "one\ttwo\nthree\nfour\n"


def test_each_warning_is_one_line_that_says_who_warns(capsys: pytest.CaptureFixture[str]) -> None:
    warn("one\ntwo", "three\u2028four")
    assert capsys.readouterr().err == "rolecall: one two\nrolecall: three four\n"


def test_a_result_may_go_to_another_stream() -> None:
    stream = io.StringIO()
    echo("\x1b", file=stream)
    assert stream.getvalue() == "�\n"


def test_what_is_logged_as_a_warning_is_printed_as_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "root", logging.RootLogger(logging.WARNING))
    monkeypatch.setattr(logging.Logger, "root", logging.root)
    monkeypatch.setattr(logging.Logger, "manager", logging.Manager(logging.root))
    warn_of_logged()
    logging.getLogger("client").warning("odd: %s", "\x1b[31m")
    logging.getLogger("client").info("nothing")
    assert capsys.readouterr().err == "rolecall: odd: �[31m\n"


def test_nothing_is_raised_and_nothing_said_where_the_reader_of_a_pipe_is_gone() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as stream:
        echo("nobody", file=stream)
        echo("nobody", file=stream)


def test_another_failure_to_print_is_an_error() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        echo("text", file=Full())


def test_a_character_that_the_encoding_lacks_becomes_one_that_looks_like_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1"))
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    encode_anything()
    echo("gemini → claude … é 漢")
    assert raw.getvalue() == b"gemini -> claude ... \xe9 ?\n"


def test_what_looks_like_one_of_our_characters_is_as_wide_as_it() -> None:
    assert {len(each) for name, each in LOOKALIKES.items() if name not in "→…"} == {1}
    assert "".join(LOOKALIKES.values()).isascii()
