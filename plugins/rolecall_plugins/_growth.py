"""The last line of a terminal: who is being answered, and how far the text has come."""

import shutil
from typing import TextIO

from rolecall import CallEnded, CallStarted, CallText, Event, RunEnded

EVERY = 0.1  # seconds between two drawings of a growing text
CLEAR = "\r\x1b[K"


class GrowthLine:
    """Draws one line on a terminal and takes it back before anything else is written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._characters: dict[str, int] = {}
        self._drawn_at = float("-inf")

    def notify(self, event: Event) -> None:
        match event:
            case CallStarted():
                self._characters[event.agent] = 0
            case CallText():
                self._characters[event.agent] = self._characters.get(event.agent, 0) + len(
                    event.delta
                )
                if event.at - self._drawn_at < EVERY:
                    return
            case CallEnded():
                self._characters.pop(event.agent, None)
            case RunEnded():
                self._characters.clear()
            case _:
                return
        self._drawn_at = event.at
        self.draw()

    def draw(self) -> None:
        growing = ", ".join(f"{agent} {count:,}" for agent, count in self._characters.items())
        width = shutil.get_terminal_size().columns - 1
        line = f"        writing: {growing}"[:width] if growing else ""
        self._stream.write(CLEAR + line)
        self._stream.flush()

    def clear(self) -> None:
        self._stream.write(CLEAR)
