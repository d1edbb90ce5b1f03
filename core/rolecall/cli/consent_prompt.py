"""Asks the operator on a terminal whether a tool may change something outside of the workspace."""

import asyncio
import json
import os
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress

from ..config.settings import Settings
from ..execution.redaction import Redactor
from ..types.consent import Consent
from ..types.events import ConsentAsked
from .console import echo, prompt

LONGEST = 500  # characters of an argument that are shown at first
GRACE = 0.2  # seconds
ANSWERS: Mapping[str, Consent] = {
    **dict.fromkeys(("y", "yes"), Consent.ONCE),
    **dict.fromkeys(("a", "all"), Consent.ALWAYS),
    **dict.fromkeys(("n", "no", ""), Consent.REFUSED),
}


class ConsentPrompt:
    """Shows a call and reads a line; what is neither yes nor all nor no is asked again.

    The end of the input is a no. Ctrl-C ends the run as it does anywhere else, for the line is read
    beside the event loop, and nobody waits for who reads it.
    """

    def __init__(self, settings: Settings) -> None:
        self._redact = Redactor.of(settings)

    async def __call__(self, question: ConsentAsked) -> Consent:
        arguments = {
            _visible(name): self._shown(value) for name, value in question.arguments.items()
        }
        is_long = any(len(text) > LONGEST for text in arguments.values())
        plugin = f", of the plugin {question.plugin}" if question.plugin else ""
        _say(f"\n{question.agent} wants to call {question.tool}{plugin}.")
        _say(f"It changes something outside of the workspace{':' if arguments else '.'}")
        _list(arguments, LONGEST)
        _discard_typed()
        more = ", s: show all" if is_long else ""
        while True:
            prompt(f"Allow it? y: once, a: every {question.tool} in this run, n: no{more} [y/a/N] ")
            try:
                line = await _read_line()
            except asyncio.CancelledError:
                _say()
                raise
            if line is None:
                _say()
                # On Windows Ctrl-C ends the input as well, a moment before it ends the run.
                await asyncio.sleep(GRACE)
                return Consent.REFUSED
            answer = line.strip().lower()
            if answer in ANSWERS:
                return ANSWERS[answer]
            if answer == "s":
                _list(arguments)

    def _shown(self, value: object) -> str:
        """Write a value as JSON without secrets, and without a character that cannot be seen."""
        return _visible(self._redact(json.dumps(value, ensure_ascii=False)))


def is_somebody_there() -> bool:
    """Check whether standard input and error are a terminal, and this process may read from it."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    if sys.platform == "win32":
        return True
    # Who reads from a terminal in the background is stopped by it, with all its agents.
    with suppress(OSError):
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    return False


def _visible(text: str) -> str:
    return "".join(
        character if character.isprintable() else f"\\u{ord(character):04x}" for character in text
    )


def _list(arguments: Mapping[str, str], longest: int | None = None) -> None:
    for name, text in arguments.items():
        left_out = 0 if longest is None else len(text) - longest
        more = f" … {left_out:,} more characters" if left_out > 0 else ""
        _say(f"  {name}: {text[:longest]}{more}")


def _say(text: str = "") -> None:
    echo(text, file=sys.stderr)


def _discard_typed() -> None:
    """Forget what was typed before there was a question: it cannot have been the answer to it."""
    if sys.platform == "win32":
        import msvcrt

        while msvcrt.kbhit():
            msvcrt.getwch()
    else:
        import termios

        with suppress(termios.error):
            termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


async def _read_line() -> str | None:
    """Return a line of the terminal; None at its end."""
    loop = asyncio.get_running_loop()
    line: asyncio.Future[bytes] = loop.create_future()

    def read() -> None:
        # Not by sys.stdin, whose lock this thread would still hold when the interpreter ends.
        try:
            data = os.read(sys.stdin.fileno(), 4096)
        except OSError:
            data = b""
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(_settle, line, data)

    threading.Thread(target=read, daemon=True).start()
    data = await line
    return data.decode("utf-8", "replace") if data else None


def _settle(line: "asyncio.Future[bytes]", data: bytes) -> None:
    if not line.done():
        line.set_result(data)
