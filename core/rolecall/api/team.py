"""A team for programs: put to work with `await`, its events as an async iterator."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Generator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from attrs import evolve, field, frozen

from ..config.layers import Layer, Level
from ..config.loading import load_settings
from ..config.settings import Settings
from ..errors import RolecallError, UsageError
from ..execution.context import AskConsent, close
from ..execution.redaction import Redactor, masked_errors
from ..observers.ledger import Ledger
from ..plugin.manager import Host
from ..scheduling.agent_task import PLAN
from ..scheduling.estimate import Estimate
from ..scheduling.run_description import started_with
from ..scheduling.scheduler import RunOutcome
from ..scheduling.session import Session, SharedResources
from ..storage.origin import Signer
from ..storage.run_folder import RunFolder
from ..storage.run_toml import RunToml
from ..types import agents
from ..types.events import CallText, Event
from ..types.run_options import RunOptions
from .loop_scope import LoopScope

_log = logging.getLogger("rolecall")


@frozen
class Result:
    """What a run came to.

    done: agents whose deliverable is there, in the team's order. failed: agent to its error.
    blocked: agent to the failed one that it waited for. cut: whose deliverable stayed cut off.
    deliverables: agent to its text. plan: the text of PLAN.md, where an agent writes it.
    """

    folder: Path
    done: tuple[str, ...]
    failed: Mapping[str, RolecallError]
    blocked: Mapping[str, str]
    cut: tuple[str, ...]
    deliverables: Mapping[str, str] = field(repr=False)
    plan: str | None = field(repr=False)
    ledger: Ledger = field(repr=False)

    @property
    def ok(self) -> bool:
        """Check whether every agent is done, and nothing is cut off."""
        return not (self.failed or self.blocked or self.cut)


@frozen(slots=False)
class Team(agents.TeamGraph):
    """Agents that can be put to work together; their graph is checked when the team is built.

    `Team.load()` gives the team of the plugins and settings, `Team([...])` one of your own.
    settings, host: by default those of the current folder, and all plugins. All runs of one team
    share its limiters and its connections: their calls queue in one line, in the settings' order.
    consent: an async function that is asked before a tool changes something outside of the
    workspace. It gets a `ConsentAsked` and returns a `Consent`, or True or False for this call;
    without one, such calls are refused unless the setting `allow` names the tool.
    """

    settings: Settings = field(
        factory=lambda: _quiet(Path.cwd()),
        kw_only=True,
        eq=False,
        repr=False,
    )
    host: Host | None = field(default=None, kw_only=True, eq=False, repr=False)
    consent: AskConsent | None = field(default=None, kw_only=True, eq=False, repr=False)
    _options: RunOptions | None = field(default=None, kw_only=True, eq=False, repr=False)

    @classmethod
    def load(
        cls,
        directory: str | Path = ".",
        *,
        settings: Settings | None = None,
        host: Host | None = None,
        assign: Mapping[str, Sequence[str]] = MappingProxyType({}),
        only: Sequence[str] = (),
        skip: Sequence[str] = (),
        budget: float | None = None,
        consent: AskConsent | None = None,
    ) -> Self:
        """Return the team as `rolecall run` would put it to work in a folder.

        settings: instead of the folder's. assign: agent or pattern to its routes. only, skip:
        agents, by name. budget: most US dollars of each run. consent: as of a team. Raises
        UsageError where something is configured wrongly.
        """
        if settings is None:
            settings = _quiet(Path(directory))
        if budget is not None:
            settings = settings.with_layer(Layer(Level.CODE, "Team.load", {"budget": budget}))
        host = host or Host(block=settings.block)
        options = RunOptions(assign, only, skip, prefix="")
        with masked_errors(Redactor.of(settings)):
            team = Session(host, settings, options).team
        return cls(team, settings=settings, host=host, options=options, consent=consent)

    def plan(self, request: str) -> Estimate:
        """Estimate what a run on a request will take and cost; no call is made."""
        request = _given(request, "request")
        return self._session(self._options or RunOptions(prefix=""), self.settings).plan(request)

    def run(self, request: str, folder: str | Path | None = None) -> "Run":
        """Put the team to work on a request: await the run, or iterate over its events first.

        folder: of the run, new or empty; by default one among the settings' `runs`.
        """

        request = _given(request, "request")

        def begin(session: Session) -> RunFolder:
            return session.begin(request, folder=folder)

        session = self._session(self._options or RunOptions(prefix=""), self.settings)
        return Run(session, begin, _none_frozen, self._connections)

    def resume(self, folder: str | Path, *, trust: bool = False) -> "Run":
        """Finish a run; what was answered is not asked again.

        trust: go on with a run that somebody else may have made or changed, as if it were the
        user's own; without it, such a run is UntrustedRun.
        """

        def prepare(session: Session, folder: RunFolder) -> Collection[str]:
            _warn(session.edits(folder))
            return ()

        return self._reopen(Path(folder), prepare, trust)

    def update(self, folder: str | Path, change: str, *, trust: bool = False) -> "Run":
        """Work a change of plan into a finished run: who is touched by it revises.

        trust: as for `resume`. Awaiting raises UsageError where the run is not finished, or no
        agent writes the plan.
        """
        change = _given(change, "change")

        def prepare(session: Session, folder: RunFolder) -> Collection[str]:
            session.update(folder, change, datetime.now().date().isoformat())
            return ()

        return self._reopen(Path(folder), prepare, trust)

    def rerun(
        self,
        folder: str | Path,
        *,
        start: str | Sequence[str] = (),
        only: str | Sequence[str] = (),
        trust: bool = False,
    ) -> "Run":
        """Ask agents of a run again although nothing has changed; names or patterns.

        start: with all who need them. only: alone, the others' deliverables stay as they are.
        trust: as for `resume`.
        Raises UsageError unless one of the two is given.
        """
        if bool(start) == bool(only):
            raise UsageError("which agents? start=[...] with all who need them, or only=[...]")
        first, alone = [(each,) if isinstance(each, str) else tuple(each) for each in (start, only)]

        def prepare(session: Session, folder: RunFolder) -> Collection[str]:
            again = session.rerun(folder, first, alone, ("start", "only"))
            folder.store.forget(again.agents)
            return again.frozen

        return self._reopen(Path(folder), prepare, trust)

    def _reopen(self, path: Path, prepare: "Preparation", trust: bool) -> "Run":
        """Open a run's folder again, as the run was started."""
        options, settings = RunOptions(prefix=""), self.settings
        signer = Signer(settings.identity)
        signer.check(path, trust)  # before anything of it counts
        if self._options is not None:
            options = evolve(RunToml.read(path).options, prefix="")
            settings = settings.with_layer(started_with(path))

        def checked(session: Session, folder: RunFolder) -> Collection[str]:
            _warn(session.reopening(folder))
            return prepare(session, folder)

        session = self._session(options, settings)
        return Run(
            session, lambda _: RunFolder(path, signer, trust=trust), checked, self._connections
        )

    @cached_property
    def _plugins(self) -> Host:
        return self.host or Host(block=self.settings.block)

    @cached_property
    def _redact(self) -> Redactor:
        return Redactor.of(self.settings)

    @cached_property
    def _shared(self) -> SharedResources:
        return SharedResources.collect(self._plugins, self.settings)

    @cached_property
    def _connections(self) -> LoopScope:
        return LoopScope(lambda: close(self._shared.providers.values(), self._redact))

    def _session(self, options: RunOptions, settings: Settings) -> Session:
        own = self if self._options is None else None
        with masked_errors(self._redact):
            return Session(
                self._plugins,
                settings,
                options,
                team=own,
                shared=self._shared,
                consent=self.consent,
            )


# Makes a run's folder ready, and returns whose deliverables stay as they are.
Preparation = Callable[[Session, RunFolder], Collection[str]]


class Run:
    """One run of a team: it begins when it is first awaited or iterated over.

    Awaiting gives the `Result`, iterating the events as they happen; each may be done once the run
    is over, too, and a run goes on when its iteration is left. Pieces of text come only to those
    who iterate meanwhile: nobody keeps them.
    """

    def __init__(
        self,
        session: Session,
        open_folder: Callable[[Session], RunFolder],
        prepare: Preparation,
        connections: LoopScope,
    ) -> None:
        self._session = session
        self._connections = connections
        self._open = open_folder
        self._prepare = prepare
        self._events: list[Event] = []  # without pieces of text
        self._ahead: dict[int, deque[Event]] = {}  # of each iteration, what it has not given yet
        self._iterations = count()
        self._news = asyncio.Event()
        self._task: asyncio.Task[Result] | None = None

    def __await__(self) -> Generator[Any, None, Result]:
        return self._begun().__await__()

    async def __aiter__(self) -> AsyncIterator[Event]:
        task = self._begun()
        number, ahead = next(self._iterations), deque(self._events)
        self._ahead[number] = ahead
        try:
            while True:
                while ahead:
                    yield ahead.popleft()
                if task.done():
                    return
                self._news.clear()
                await self._news.wait()
        finally:
            del self._ahead[number]

    def cancel(self) -> None:
        """End the run as Ctrl-C does; what is answered is kept, and `resume` goes on."""
        self._begun().cancel()

    def notify(self, event: Event) -> None:
        """Hear an event; an observer's part."""
        if not isinstance(event, CallText):
            self._events.append(event)
        for ahead in self._ahead.values():
            ahead.append(event)
        self._news.set()

    def _begun(self) -> asyncio.Task[Result]:
        if self._task is None:
            self._session.observe(self)
            self._task = asyncio.get_running_loop().create_task(self._run())
            self._task.add_done_callback(lambda _: self._news.set())
        return self._task

    async def _run(self) -> Result:
        with masked_errors(self._session.redact):
            self._session.check()
            await self._connections.hold()
            with self._open(self._session) as folder:
                frozen = self._prepare(self._session, folder)
                outcome = await self._session.run(folder, frozen)
                return _result(self._session, folder, outcome)


def _given(text: object, what: str) -> str:
    """Return a text without the blanks around it; raise UsageError where it is none."""
    if not isinstance(text, str):
        raise UsageError(f"the {what} must be a text, not {text!r:.100}")
    if not text.strip():
        raise UsageError(f"the {what} is empty")
    return text.strip()


def _none_frozen(session: Session, folder: RunFolder) -> Collection[str]:
    return ()


def _warn(lines: Sequence[str]) -> None:
    for line in lines:
        _log.warning("%s", line)


def _quiet(directory: Path) -> Settings:
    """Read a folder's settings for a program, whose standard error is its own."""
    return load_settings(directory).with_layer(Layer(Level.CODE, "Team", {"quiet": True}))


def _result(session: Session, folder: RunFolder, outcome: RunOutcome) -> Result:
    texts = {name: folder.read(session.file(name)) for name in outcome.done}
    return Result(
        folder=folder.path,
        done=outcome.done,
        failed=outcome.failed,
        blocked=outcome.blocked,
        cut=outcome.cut,
        deliverables={name: text for name, text in texts.items() if text is not None},
        plan=folder.read(PLAN),
        ledger=session.ledger,
    )
