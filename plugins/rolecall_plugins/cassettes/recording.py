"""Record all traffic of this process in a cassette, and lose nothing of it."""

import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

from attrs import evolve
from vcr.patch import CassettePatcherBuilder

from rolecall import warn

from .current_call import active_cassette
from .errors import CassetteError, NotSaved
from .files.reader import load
from .files.recording_log import RecordingLog, left_behind, log_path
from .files.writer import check_target
from .interactions import CassetteMetadata, Interaction
from .recorder import Recorder
from .redaction import Redaction
from .tool_calls.values import ActingRecord


@contextmanager
def recorded_in(
    path: Path,
    redaction: Redaction,
    unfinished: Literal["add", "keep", "drop"],
    describe: Callable[[CassetteMetadata], CassetteMetadata] = lambda metadata: metadata,
) -> Iterator[Recorder]:
    """Record all traffic of this process, and save it however that ends.

    unfinished: what becomes of a recording that was cut off: it and what the file holds are added
        to, it is kept, which is an error, or it is dropped.
    Raises CassetteError before anything is recorded, and NotSaved afterwards.
    """
    check_target(path)
    unsaved_metadata, unsaved = left_behind(path)
    if unsaved and unfinished == "keep":
        raise CassetteError(
            f"{log_path(path)} holds the {len(unsaved)} calls of a recording that was cut off; go "
            f"on with it by `rolecall resume --record {shlex.quote(str(path))}`, or remove it"
        )
    metadata, interactions = CassetteMetadata(), list[Interaction]()
    acting = unsaved_metadata.acting
    if unfinished == "add":
        metadata, interactions = load(path) if path.exists() else (metadata, interactions)
        before = metadata.acting
        metadata = unsaved_metadata if unsaved else metadata
        metadata = evolve(metadata, acting=before.with_later(acting))
        interactions += unsaved
    else:
        unsaved, acting = [], ActingRecord()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        log = RecordingLog(path, redaction, metadata, unsaved, acting)
    except OSError as error:
        raise CassetteError(f"{path}: cannot be written: {error.strerror}") from error
    recorder = Recorder(path, redaction, metadata, interactions, log)
    try:
        with patched(recorder):
            yield recorder
    except BaseException:
        try:
            _save(recorder, log, describe, bool(unsaved))
        except NotSaved as error:  # what ended the run is more important
            warn(str(error))
        raise
    _save(recorder, log, describe, bool(unsaved))


def _save(
    recorder: Recorder,
    log: RecordingLog,
    describe: Callable[[CassetteMetadata], CassetteMetadata],
    anyway: bool,
) -> None:
    """Save a recording, and keep its log where that fails; anyway: also if nothing is new."""
    keep = True
    try:
        if recorder.interactions or anyway:
            recorder.save(describe)
        keep = False
    except NotSaved as error:
        keep = log.length > 0
        rest = f"; {log.length} of the calls are kept in {log.path}" if keep else ""
        raise type(error)(f"{error}{rest}") from error
    finally:
        log.close(keep)


@contextmanager
def patched(cassette: Any) -> Iterator[None]:
    """Route all clients of this process through a cassette."""
    token = active_cassette.set(cassette)
    try:
        with ExitStack() as patches:
            for patch in CassettePatcherBuilder(cassette).build():
                patches.enter_context(patch)
            yield
    finally:
        active_cassette.reset(token)
