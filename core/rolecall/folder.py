"""A run's folder: what is in it, who may write it, and the memo of answered steps."""

import hashlib
import json
import os
import re
import tomllib
import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from attrs import asdict, evolve, frozen

from .agents import Route
from .errors import RunBusy, RunError, UsageError
from .events import CallEnded, CallStarted, Event
from .journal import Journal
from .messages import Request, Response, Stop

if TYPE_CHECKING:
    from filelock import FileLock

LATEST = "latest"
Ask = Callable[[], Awaitable[tuple[Response, Route]]]


@frozen
class Answer:
    """What a step came to; `reused` where it was paid for before."""

    text: str
    stop: Stop
    route: str
    reused: bool = False


def step_key(agent: str, ordinal: int, request: Request) -> str:
    """Hash what a step asks: agent, ordinal, prompt, messages and parameters, not the route.

    SHA-256 over the UTF-8 of a JSON array, so it is the same in every process and system.
    """
    asked = [
        agent,
        ordinal,
        request.system,
        [[message.role, message.text] for message in request.messages],
        request.max_output_tokens,
        request.temperature,
    ]
    text = json.dumps(asked, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def name_run(request: str, now: datetime) -> str:
    """Name a run's folder after its time and the request's first words."""
    plain = unicodedata.normalize("NFKD", request).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain)
    slug = ""
    for word in words:
        if len(slug) + len(word) > 48:
            break
        slug = f"{slug}-{word}"
    return f"{now:%Y%m%d-%H%M%S}{slug or '-run'}"


class RunFolder:
    """A run's folder, open for this process alone.

    `step` is the durable memo around whatever asks a model; the scheduler above does not know
    where it is kept.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = _lock(path)
        try:
            self._journal = Journal(path / "journal.jsonl")
        except BaseException:
            self._lock.release()
            raise
        self._answers, self.calls = _recall(self._journal)
        self._ended: dict[str, int] = {}
        self.torn = self._journal.torn

    @classmethod
    def create(cls, path: Path, request: str, about: Mapping[str, Any]) -> "RunFolder":
        """Make a folder for a new run; `about` becomes run.toml."""
        import tomli_w

        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UsageError(
                f"{path} is there already and is not an empty folder; name another one"
            )
        try:
            (path / "deliverables").mkdir(parents=True)
            (path / "request.md").write_text(request.rstrip() + "\n", "utf-8")
            (path / "run.toml").write_bytes(tomli_w.dumps(about).encode())
        except OSError as error:
            raise RunError(f"{path}: cannot be written: {error.strerror}") from error
        return cls(path)

    @property
    def request(self) -> str:
        try:
            return (self.path / "request.md").read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RunError(f"{self.path / 'request.md'}: cannot be read: {error}") from error

    async def step(self, key: str, ask: Ask) -> Answer:
        """Give the answer of a step; ask for it only where it was never answered."""
        if key in self._answers:
            return evolve(self._answers[key], reused=True)
        response, route = await ask()
        self._journal.append("step_done", step=key, call=self._ended[key], route=str(route))
        self._answers[key] = Answer(response.text, response.stop, str(route))
        return self._answers[key]

    def notify(self, event: Event) -> None:
        """Record the run's calls; raise RunError where the disk does not take them."""
        if isinstance(event, CallStarted | CallEnded):
            if isinstance(event, CallEnded):
                self._ended[event.step] = event.call
            self.calls = max(self.calls, event.call)
            kind = "call_ended" if isinstance(event, CallEnded) else "call_started"
            self._journal.append(kind, **asdict(event))

    def save(self, name: str, text: str) -> str:
        """Write a file of the run, whole or not at all; give its name within the folder."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".part")
        try:
            partial.write_text(text.rstrip() + "\n", "utf-8")
            os.replace(partial, path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise RunError(f"{path}: cannot be written: {error.strerror}") from error
        return name

    def close(self) -> None:
        self._journal.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def point_latest(path: Path) -> None:
    """Let `latest` beside a run's folder lead to it: a link, or a file where links are barred."""
    latest = path.parent / LATEST
    partial = path.parent / f"{LATEST}.{os.getpid()}"
    try:
        partial.symlink_to(path.name, target_is_directory=True)
    except OSError:
        partial.write_text(path.name, "utf-8")
    os.replace(partial, latest)


def find_run(runs: Path, name: str | None) -> Path:
    """Find a run by path or by name in the folder of runs; the latest where none is named."""
    candidates = [Path(name), runs / name] if name else [runs / LATEST]
    for path in candidates:
        if path.is_file() and path.name == LATEST:
            path = runs / path.read_text("utf-8").strip()
        if (path / "journal.jsonl").is_file():
            return path.parent / path.readlink() if path.is_symlink() else path
    if name is None:
        raise UsageError(f"there is no run in {runs}; start one with: rolecall run 'REQUEST'")
    raise UsageError(f"{name} is no run: it has no journal.jsonl, nor has {runs / name}")


def read_flags(path: Path) -> list[str]:
    """Give the options that a run was started with."""
    try:
        return [
            str(flag) for flag in tomllib.loads((path / "run.toml").read_text("utf-8"))["flags"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path / 'run.toml'}: cannot be read: {error}") from error


def _recall(journal: Journal) -> tuple[dict[str, Answer], int]:
    """Give the answered steps of a journal and the number of its last call."""
    ended: dict[int, Answer] = {}
    answers: dict[str, Answer] = {}
    last = 0
    for record in journal.records:
        if record["type"] == "call_started":
            last = max(last, record["call"])
        elif record["type"] == "call_ended":
            route = str(Route(record["provider"], record["model"]))
            answer = Answer(record["text"], Stop(record["stop"]), route)
            ended[record["call"]] = answer
            if record["cause"] is None:
                answers[record["step"]] = answer
        elif record["type"] == "step_done":
            answers[record["step"]] = evolve(ended[record["call"]], route=record["route"])
    return answers, last


def _lock(path: Path) -> "FileLock":
    """Take the folder's lock, which the system frees when the process dies."""
    from filelock import FileLock, Timeout

    lock = FileLock(path / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise RunBusy(f"{path} is being written by another rolecall; wait for it") from error
    except OSError as error:
        raise RunError(f"{path}: cannot be locked: {error.strerror}") from error
    return lock
