"""What a recording has so far, kept beside its cassette so that no crash can lose it.

A line of JSON for each exchange, appended once that is over. The log is removed when the cassette
is written; where it stays behind, it can be read like a cassette.
"""

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import asdict, evolve

from rolecall import RecordedCall, WorkspaceVerified

from ..errors import CassetteError
from ..interactions import CassetteMetadata, Interaction
from ..redaction import Redaction
from ..tool_calls.form import (
    build_call,
    build_verification,
    call_as_written,
    description_as_written,
    verification_as_written,
)
from ..tool_calls.values import ActingRecord
from . import schema
from .bodies import nests_deeper
from .node import Node
from .safe_files import open_to_append, read_bytes, write_atomically
from .secret_check import place_of_secret

_FIRST = b'{"rolecall": "recording", "version": 1}\n'
_BINARY = "base64"


def log_path(path: Path) -> Path:
    """Return where the log of a cassette's recording lies."""
    return path.with_name(f"{path.name}.part")


class RecordingLog:
    """The log of one recording; a failure to append to it disturbs no call.

    length: how many exchanges it holds.
    """

    def __init__(
        self,
        path: Path,
        redaction: Redaction,
        metadata: CassetteMetadata,
        interactions: Sequence[Interaction] = (),
        acting: ActingRecord | None = None,
    ) -> None:
        """Begin the log with what is unsaved, in place of one that is there; raise OSError."""
        self.path = log_path(path)
        self.length = len(interactions)
        self._redaction = redaction
        self._failed = False
        # At once: a crash in between must not cost what the log before this one holds.
        unsaved = acting or ActingRecord()
        lines = [_FIRST, self._about(metadata), *map(_exchange, interactions)]
        lines += [*map(_act, unsaved.calls), *map(_act, unsaved.verifications)]
        write_atomically(self.path, b"".join(lines))
        self._file = open_to_append(self.path)

    def note(self, metadata: CassetteMetadata) -> None:
        """Append what is known of the whole recording; the last such line counts."""
        self._append(self._about(metadata))

    def append(self, interaction: Interaction) -> None:
        """Append an exchange, unless it holds a secret."""
        if place_of_secret(interaction, self._redaction) is None:
            self._append(_exchange(interaction))
            self.length += not self._failed

    def append_act(self, act: RecordedCall | WorkspaceVerified) -> None:
        """Append a tool call or what was verified, unless it holds a secret."""
        line = _act(act)
        if not self._redaction.finds(line.decode()):
            self._append(line)

    def close(self, keep: bool) -> None:
        """Close the log, and remove it unless it is to be kept."""
        os.close(self._file)
        if not keep:
            with suppress(OSError):  # it would only be in the way of the next recording
                self.path.unlink(missing_ok=True)

    def _about(self, metadata: CassetteMetadata) -> bytes:
        return _line({"metadata": masked_header(metadata, self._redaction)})

    def _append(self, line: bytes) -> None:
        if self._failed:  # what follows a line that was cut off could not be read
            return
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:  # a full disk, mostly: whoever saves the cassette meets it too, and says so
            self._failed = True


def _exchange(interaction: Interaction) -> bytes:
    about = {"position": interaction.position, "seconds": interaction.seconds}
    return _line({"interaction": as_written(interaction) | about})


def _act(act: RecordedCall | WorkspaceVerified) -> bytes:
    if isinstance(act, RecordedCall):
        return _line({"tool_call": call_as_written(act)})
    return _line({"verification": verification_as_written(act)})


def _line(record: Mapping[str, Any]) -> bytes:
    # JSON in ASCII: half a surrogate pair is written as an escape, and can be read again.
    return json.dumps(record, default=_binary).encode() + b"\n"


def masked_header(metadata: CassetteMetadata, redaction: Redaction) -> dict[str, Any]:
    """Return a cassette's metadata as it may stand in a file."""
    about = asdict(evolve(metadata, acting=ActingRecord()))
    del about["acting"]  # it has a place of its own in the file
    about["tools"] = {name: description_as_written(tool) for name, tool in metadata.tools.items()}
    header: dict[str, Any] = redaction.value(json.loads(json.dumps(about)))
    header["settings"] = redaction.of_errors.value(header["settings"])  # no model wrote them
    return header


def as_written(interaction: Interaction) -> dict[str, Any]:
    """Return an exchange as it stands in a file."""
    about = {
        "agent": interaction.agent,
        "route": interaction.route,
        "seconds": round(interaction.seconds, 1),
    }
    present = {name: value for name, value in about.items() if value}
    return {**present, "request": interaction.request, "response": interaction.response}


def left_behind(path: Path) -> tuple[CassetteMetadata, list[Interaction]]:
    """Read the log that a recording which was cut off left beside its cassette.

    Raises CassetteError where something else stands there.
    """
    part = log_path(path)
    if not os.path.lexists(part):
        return CassetteMetadata(), []
    if part.is_symlink() or not is_log(data := read_bytes(part)):
        raise CassetteError(f"{part} is in the way of recording in {path}; move it first")
    try:
        return parse(data)
    except CassetteError as error:
        raise CassetteError(f"{part} cannot be read: {error}") from error


def is_log(data: bytes) -> bool:
    return data.startswith(_FIRST)


def parse(data: bytes) -> tuple[CassetteMetadata, list[Interaction]]:
    """Parse a log; a last line that was cut off is left out. Raises CassetteError."""
    metadata = CassetteMetadata()
    interactions: list[Interaction] = []
    calls: list[RecordedCall] = []
    verifications: list[WorkspaceVerified] = []
    lines = data[len(_FIRST) :].split(b"\n")
    # Behind the last line break stands nothing, or what a crash left of a line.
    for number, line in enumerate(lines[:-1], start=2):
        try:
            record = json.loads(line, object_hook=_unpacked)
        except (ValueError, RecursionError) as error:
            raise CassetteError(f"line {number} is damaged") from error
        if nests_deeper(record):
            raise CassetteError(f"line {number} nests too deep")
        node = Node(record, f"line {number}")
        if node.field("metadata").value is not None:
            metadata = schema.build_metadata(node.field("metadata"))
            continue
        if node.field("tool_call").value is not None:
            calls.append(build_call(node.field("tool_call")))
            continue
        if node.field("verification").value is not None:
            verifications.append(build_verification(node.field("verification")))
            continue
        inner = node.field("interaction")
        position = inner.field("position").whole()
        interactions.append(schema.build_interaction(inner, position))
    return evolve(metadata, acting=ActingRecord(calls, verifications)), interactions


def _binary(value: object) -> Any:
    if isinstance(value, bytes):
        return {_BINARY: b64encode(value).decode()}
    raise TypeError(f"{type(value).__name__} is no JSON")


def _unpacked(table: dict[str, Any]) -> Any:
    if table.keys() == {_BINARY} and isinstance(table[_BINARY], str):
        return b64decode(table[_BINARY])
    return table
