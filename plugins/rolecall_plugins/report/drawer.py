"""Lets report.html be drawn in a process of its own: what draws the charts is large."""

import json
import logging
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LONGEST = 120.0  # seconds that drawing may take
_log = logging.getLogger("rolecall")


class Drawer:
    """The process, which gets ready in most of the time that it takes, and waits for the story."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.page", str(folder / "report.html")],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the run, whose report is drawn all the same
        )

    def draw(self, told: Mapping[str, Any]) -> None:
        """Draw the page, and wait until it is written."""
        self._end(json.dumps(told).encode())

    def leave(self) -> None:
        """Let the process end without a page."""
        self._end(b"")

    def _end(self, story: bytes) -> None:
        try:
            _, said = self._process.communicate(story, LONGEST)
        except subprocess.TimeoutExpired:
            self._process.kill()
            _, said = self._process.communicate()
        if self._process.returncode:
            why = said.decode(errors="replace").strip().rpartition("\n")[2]
            why = why or f"exit code {self._process.returncode}"
            _log.warning("report.html could not be drawn: %s", why)
