"""A command on a terminal of its own, as a person has it before them."""

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 60.0  # seconds until something must have been shown
MAIN = "from rolecall.cli.main import main; main()"
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """What a command has shown so far, and its keyboard."""

    def __init__(self, process: "subprocess.Popen[bytes]", keyboard: int) -> None:
        self._process = process
        self._keyboard = keyboard
        self._raw = ""
        self._seen = 0

    @property
    def shown(self) -> str:
        """Return all that was shown, without what moves the cursor or colours."""
        return _ESCAPE.sub("", self._raw).replace("\r", "")

    def type(self, keys: str) -> None:
        os.write(self._keyboard, keys.encode())

    def wait_for(self, text: str) -> str:
        """Wait until a text is shown that was not waited for yet; return what came before it."""
        until = time.monotonic() + PATIENCE
        while text not in self.shown[self._seen :]:
            if time.monotonic() > until or not self._read(until):
                raise AssertionError(f"{text!r} was not shown:\n{self.shown}")
        before, _, _ = self.shown[self._seen :].partition(text)
        self._seen += len(before) + len(text)
        return before

    def end(self) -> int:
        """Wait for the command's end; return its exit code."""
        until = time.monotonic() + PATIENCE
        while self._read(until):
            pass
        return self._process.wait(PATIENCE)

    def _read(self, until: float) -> bool:
        """Read what is shown next; return False at its end."""
        ready, _, _ = select.select([self._keyboard], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._keyboard, 65536)
        except OSError:  # the command has closed the terminal
            return False
        self._raw += data.decode("utf-8", "replace")
        return bool(data)


@contextmanager
def on_terminal(
    folder: Path, environment: Mapping[str, str], *arguments: str, typed: str = ""
) -> Iterator[Terminal]:
    """Run `rolecall` on a terminal; typed: what its keyboard holds before it starts."""
    import fcntl
    import pty
    import termios

    keyboard, screen = pty.openpty()
    termios.tcsetwinsize(keyboard, (40, 100))
    if typed:
        os.write(keyboard, typed.encode())

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # Ctrl-C reaches who controls it alone

    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, *arguments],
        cwd=folder,
        env={**environment, "TERM": "xterm-256color", "PYTHONUTF8": "1"},
        stdin=screen,
        stdout=screen,
        stderr=screen,
        start_new_session=True,
        preexec_fn=take_terminal,
    )
    os.close(screen)
    try:
        yield Terminal(process, keyboard)
    finally:
        process.kill()
        process.wait()
        os.close(keyboard)
