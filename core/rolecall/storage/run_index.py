"""The runs in a folder: what state they are in, what differs between two, and their end."""

import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from difflib import unified_diff
from itertools import islice
from math import inf, isfinite
from pathlib import Path

from attrs import asdict, define, field, fields

from ..errors import RunError
from ..types.agents import Route
from ..types.events import (
    AgentDone,
    AgentFailed,
    CallEnded,
    DeliverableKept,
    Event,
    RunEnded,
    RunStarted,
)
from ..usage import Usage
from .history import AgentHistory, Past, RouteHistory, average, joined
from .origin import NOBODY, Signer
from .run_folder import HISTORY, RunFolder
from .run_lock import is_busy, take_lock
from .run_paths import LATEST, is_run, point_latest, points_to
from .safe_folder import SafeFolder
from .step_store import StepStore

_log = logging.getLogger("rolecall")
STATE = "state.json"
LARGEST = 4 * 1024**2  # bytes of a state
RECENT = 20  # runs that are averaged
PAUSE = 50  # times what writing the state took, before it is written again


@define
class RunState:
    """What a run's state.json tells, so that nobody who looks at many runs reads whole journals.

    state: running, done, failed, interrupted or stopped by budget. cost: US dollars, of all its
    processes so far. updated: seconds since 1970. flags: those of the command line that the run
    keeps. figures, routes: what each agent's calls came to, and each route's answers.
    """

    state: str = "running"
    agents: int = 0
    done: int = 0
    failed: int = 0
    calls: int = 0
    cost: float = 0.0
    updated: float = 0.0
    flags: list[str] = field(factory=list)
    figures: dict[str, AgentHistory] = field(factory=dict)
    routes: dict[str, RouteHistory] = field(factory=dict)


class StateKeeper:
    """Listens to a run and keeps its state.json, at a small part of what the run takes.

    now: seconds that never go back.
    """

    def __init__(
        self,
        folder: RunFolder,
        flags: Iterable[str] = (),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now = now
        self._next = -inf
        self._has_failed = False
        self._folder = folder
        self._store: StepStore = folder.store
        self._state = RunState(flags=list(flags))
        self._by_budget = False

    def notify(self, event: Event) -> None:
        state = self._state
        match event:
            case RunStarted():
                state.agents = len(event.agents)
                for call in event.past:
                    self._count(call)
            case CallEnded():
                self._count(event)
                return
            case AgentDone() | DeliverableKept():
                state.done += 1
            case AgentFailed():
                state.failed += 1
                self._by_budget |= event.by_budget
            case RunEnded():
                whole = state.done == state.agents
                stopped = "stopped by budget" if self._by_budget else "failed"
                ended = "done" if whole else stopped
                state.state = "interrupted" if event.interrupted else ended
            case _:
                return
        began = self._now()
        if began < self._next and not isinstance(event, RunEnded):
            return
        state.calls, state.cost = self._store.calls.total.calls, self._store.calls.total.cost
        state.updated = time.time()
        try:
            self._folder.save(STATE, json.dumps(asdict(state)))
        except RunError as error:  # a mere index; the journal says whether the run can go on
            if not self._has_failed:
                _log.warning("%s", error)
            self._has_failed = True
        done = self._now()
        self._next = done + PAUSE * (done - began)

    def _count(self, call: CallEnded) -> None:
        if call.usage == Usage():
            return  # what a failed call took is no measure of an answer
        self._state.figures.setdefault(call.agent, AgentHistory()).add(call)
        if call.cause is None:
            route = str(Route(call.provider, call.model))
            self._state.routes.setdefault(route, RouteHistory()).add(call)


def past_history(runs: Path, flags: Collection[str], signer: Signer = NOBODY) -> Past:
    """Return what the user's latest runs in a folder that had the same flags came to."""
    latest = ((Path(path), read_state(Path(path))) for path in _latest(runs))
    own = (state for path, state in latest if state.flags == list(flags) and not signer.doubt(path))
    alike = list(islice(own, RECENT))
    return Past(average(state.figures for state in alike), joined(state.routes for state in alike))


def _latest(runs: Path) -> list[str]:
    return [path for _, path in sorted(_touched(runs), reverse=True)]


def _touched(runs: Path) -> Iterator[tuple[float, str]]:
    """Find when the states of the runs in a folder were written last, without reading them."""
    with suppress(OSError):
        for name in set(os.listdir(runs)) - {LATEST}:
            with suppress(OSError):  # no run, or one that has only begun
                yield os.stat(f"{runs}/{name}/{STATE}").st_mtime, f"{runs}/{name}"


def list_runs(runs: Path) -> list[tuple[Path, RunState]]:
    """List the runs in a folder, the newest first, without reading their journals."""
    listed = [(path, read_state(path)) for path in _folders(runs)]
    return sorted(listed, key=lambda run: run[1].updated, reverse=True)


def _folders(runs: Path) -> list[Path]:
    try:
        listed = [path for path in runs.iterdir() if not path.is_symlink()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunError(f"{runs}: cannot be read: {error.strerror}; set `runs` elsewhere") from error
    return [path for path in listed if path.name != LATEST and is_run(path)]


def read_state(path: Path) -> RunState:
    """Read a run's state, corrected where the process that ran it died."""
    try:
        values = json.loads(SafeFolder(path).read(STATE, LARGEST) or b"")
        figures = {name: AgentHistory(**agent) for name, agent in values.pop("figures", {}).items()}
        routes = {name: RouteHistory(**route) for name, route in values.pop("routes", {}).items()}
        state = RunState(figures=figures, routes=routes, **values)
        _check_types(state, *figures.values(), *routes.values())
    except (RunError, ValueError, TypeError, AttributeError, RecursionError):
        return RunState("unknown")  # written by an older version, or damaged
    if state.state == "running" and not is_busy(path):
        state.state = "interrupted"
    return state


def _check_types(*values: RunState | AgentHistory | RouteHistory) -> None:
    """Raise TypeError where what was read is not what was written."""
    for checked in values:
        for attribute in fields(type(checked)):
            value = getattr(checked, attribute.name)
            if attribute.type in (int, float) and not _is_number(value):
                raise TypeError(f"{attribute.name} cannot be {value!r}")
            if attribute.type is str and not isinstance(value, str):
                raise TypeError(f"{attribute.name} cannot be {value!r}")
            if attribute.type == list[float] and not all(map(_is_number, value)):
                raise TypeError(f"{attribute.name} cannot be {value!r}")
            if attribute.type == list[str] and not all(isinstance(flag, str) for flag in value):
                raise TypeError(f"{attribute.name} cannot be {value!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def differences(old: Path, new: Path) -> Iterator[str]:
    """Compare all that two runs wrote, as a unified diff."""
    return _diff({*_texts(old), *_texts(new)}, old, new)


def last_change(path: Path) -> Iterator[str]:
    """Compare a run with its state before the last change; nothing where it had none."""
    states = SafeFolder(path).folders(HISTORY)
    if not states:
        return iter(())
    before = path / HISTORY / states[-1]
    return _diff(_texts(before), before, path)


def remove(path: Path) -> None:
    """Delete a run, and let the newest of the others be the latest if it was that.

    Raises RunBusy where a process is writing it, and RunError where it must stay.
    """
    take_lock(path).release()
    was_latest = points_to(path)
    try:
        # Out of sight at once or not at all: what is left of a run is none.
        doomed = path.rename(path.with_name(f".{path.name}.removed"))
        shutil.rmtree(doomed)
    except OSError as error:
        raise RunError(f"{path}: cannot be removed: {error.strerror}") from error
    if was_latest:
        others = list_runs(path.parent)
        if others:
            point_latest(others[0][0])
        else:
            (path.parent / LATEST).unlink()


def _diff(names: Collection[str], old: Path, new: Path) -> Iterator[str]:
    for name in sorted(names):
        before, after = (_lines(folder, name) for folder in (old, new))
        yield from unified_diff(before, after, f"{old.name}/{name}", f"{new.name}/{name}")


def _texts(folder: Path) -> set[str]:
    names = (name for name in SafeFolder(folder).files() if name.endswith(".md"))
    return {
        name
        for name in names
        if "/" not in name.removeprefix("deliverables/") and name != "report.md"
    }


def _lines(folder: Path, name: str) -> list[str]:
    return (SafeFolder(folder).read_text(name) or "").splitlines(keepends=True)
