"""One run of a team, put together from the plugins: the same for a new run and a resumed one."""

import asyncio
import logging
import signal
import time
from collections.abc import Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import frozen

from ..config.settings import Settings
from ..errors import BudgetReached, UsageError
from ..execution.budget import Budget
from ..execution.context import AskConsent, RunContext, close
from ..execution.pricing import Pricing
from ..execution.redaction import Redactor, masked_log
from ..observers.cost_comparison import CostComparison
from ..observers.event_bus import EventBus
from ..observers.ledger import Ledger
from ..plugin.assignment import (
    assemble,
    assign,
    check_routes,
    forecast,
    switched_off,
    unusable,
)
from ..plugin.manager import Host, supplied
from ..plugin.sandboxes import PickedSandbox, pick_sandbox
from ..plugin.tool_use import fit_tools
from ..storage.acting.tree_entries import builders_on
from ..storage.acting.workspace import GitWorkspace
from ..storage.history import Past, expected
from ..storage.origin import Signer
from ..storage.run_folder import RunFolder, deliverable_file
from ..storage.run_index import StateKeeper, past_history
from ..storage.run_toml import RunToml
from ..storage.step_cache import StepCache
from ..types.agents import EVERYONE, Agent, Route, TeamGraph
from ..types.events import Observer
from ..types.limits import Clock, Limiter, SystemClock
from ..types.messages import Provider
from ..types.run_options import RunOptions
from ..types.tools import ToolRecorder
from .checks.plan_head import headed
from .estimate import Estimate, estimate_run
from .rerun import Rerun
from .run_description import describe
from .scheduler import RunOutcome, Scheduler
from .toolbox import choose
from .triage import check_updatable

_log = logging.getLogger("rolecall")
LONG = 100_000  # characters of a request from which on it is compared with context windows


@frozen
class SharedResources:
    """What runs may have in common: then their calls queue in one line, on the same connections."""

    providers: Mapping[str, Provider]
    limiters: Sequence[Limiter]
    redact: Redactor

    @classmethod
    def collect(cls, host: Host, settings: Settings) -> "SharedResources":
        """Ask the plugins for them."""
        providers, limiters = host.providers(settings), host.limiters(settings)
        listed = list(supplied(limiters).values())
        return cls(supplied(providers), listed, Redactor.of(settings))


class Session:
    """A team ready to run; everything that can be found wrong is found before the first call.

    team: instead of the plugins' and the settings'. shared: instead of limiters and providers of
    its own; who shares them closes the providers. consent: asks about calls that change something
    outside of the workspace; without it those are refused that the settings do not allow.
    recorder: hears what tools' calls come to.
    """

    def __init__(
        self,
        host: Host,
        settings: Settings,
        options: RunOptions,
        clock: Clock | None = None,
        team: TeamGraph | None = None,
        shared: "SharedResources | None" = None,
        consent: AskConsent | None = None,
        recorder: ToolRecorder | None = None,
    ) -> None:
        host.check()
        for folder in settings.reuse:
            if not Path(folder).is_dir():
                where = settings.source_of("reuse")
                raise UsageError(f"{where}: {folder} is no folder of runs; take it out")
        self.clock = clock or SystemClock()
        self.settings = settings
        self._options = options
        self._closes = shared is None
        shared = shared or SharedResources.collect(host, settings)
        self._providers = shared.providers
        whole, off = _whole(host, settings, self._providers, options, team)
        self._numbers = {agent.name: number for number, agent in enumerate(whole, 1)}
        assembled, self._left_out = assemble(
            whole, options.only, (*options.skip, *off), options.prefix
        )
        tools = host.tools(settings) if any(agent.tools for agent in assembled) else {}
        self.team, self._without_tools = fit_tools(
            assembled, self._providers, settings, supplied(tools)
        )
        self._limiters = shared.limiters
        self.redact = shared.redact
        self.pricing = Pricing(settings, self._providers)
        if settings.budget is not None:
            check = Budget(settings.budget, settings.allow_unpriced).check
            for agent in self.team:
                for route in agent.routes:
                    check(self.pricing.resolve(route))
        self._observers = host.observers(settings)
        self._tools = supplied(tools) if any(agent.tools for agent in self.team) else {}
        self._tool_plugins = {name: plugin for name, (_, plugin) in tools.items()}
        self._consent = consent
        self._recorder, self._player = recorder, host.tool_player
        needs_sandbox = self._tools and self._player is None
        self._sandbox = pick_sandbox(host, settings) if needs_sandbox else PickedSandbox(None)
        for agent in self.team:
            choose(agent, self._tools, has_sandbox=True)
        self.ledger = Ledger()
        self.signer = Signer(settings.identity)

    @property
    def warnings(self) -> list[str]:
        """List what a person should know first: who falls back, has no route, or does not get all.

        Raises UsageError where no agent has a route.
        """
        warnings = forecast(self.team, unusable(self.team, self._providers))
        warnings += [
            f"{name} goes without {', '.join(needs)}, left out of this run"
            for name, needs in self._left_out.items()
        ]
        for agent in self.team:
            if EVERYONE in agent.needs and (behind := self.team.downstream(agent.name)):
                waiting = ", ".join(name for name in self.team.agents if name in behind)
                warnings.append(
                    f"{agent.name} needs everyone, but goes without {waiting}, who need it"
                )
        warnings += self._without_tools
        if self._tools and self._sandbox.sandbox is None and self._player is None:
            warnings.append(f"no command can be run, nothing verified: {self._sandbox.why}")
        return warnings

    def check(self) -> None:
        """Raise UsageError where no agent has a route that can be called."""
        forecast(self.team, unusable(self.team, self._providers))

    def describe(self, flags: Sequence[str]) -> dict[str, object]:
        """Return what run.toml keeps."""
        return describe(self.settings, self._options, self.team, flags)

    def masked(self, text: str, what: str) -> str:
        """Mask the secrets in a text of the operator's, and warn where it holds one."""
        masked = self.redact.known(text)
        if masked != text:
            names = ", ".join(self.redact.names(text))
            _log.warning(
                "%s holds a secret (the value of %s), which is masked: it is neither sent nor kept",
                what,
                names,
            )
        return masked

    def begin(
        self, request: str, flags: Sequence[str] = (), folder: str | Path | None = None
    ) -> RunFolder:
        """Make the folder of a new run, by default one among the settings' `runs`."""
        request = self.masked(request, "the request")
        if len(request) > LONG and (line := self.estimate(request, Past()).too_long):
            _log.warning("%s", line)
        runs, about = Path(self.settings.runs), self.describe(flags)
        return RunFolder.begin(runs, request, about, folder, self.signer)

    def plan(self, request: str) -> Estimate:
        """Estimate what a new run among the settings' `runs` will come to."""
        return self.estimate(request, past_history(Path(self.settings.runs), (), self.signer))

    def estimate(self, request: str, past: Past) -> Estimate:
        """Estimate what a run will come to, from what past ones did."""
        return estimate_run(self.team, request, self.settings, self.pricing, past.agents)

    def enough(self, folder: RunFolder, outcome: RunOutcome) -> float | None:
        """Return a budget in US dollars that lets a stopped run be finished, as far as can be told.

        It is what was spent, what the rest is expected to cost, and the worst case of the call that
        was refused. None where no budget stopped the run, or a price is unknown.
        """
        refused = [each for each in outcome.failed.values() if isinstance(each, BudgetReached)]
        if not refused:
            return None
        flags = RunToml.read(folder.path).flags
        estimate = self.estimate(
            folder.request, past_history(folder.path.parent, flags, self.signer)
        )
        rest = [each.cost for each in estimate.agents if each.agent.name not in outcome.done]
        known = [cost for cost in rest if cost is not None]
        if len(known) < len(rest):
            return None
        return max(each.enough for each in refused) + sum(known)

    def reopening(self, folder: RunFolder) -> list[str]:
        """List what is odd about a run's folder that is opened again.

        Raises UsageError where the run's agents are all unknown: the team is another one.
        """
        oddities = [*self._secrets(folder), *self._strangers(folder)]
        if folder.torn:
            oddities.append(f"{folder.path}: the journal's last line was unfinished and is dropped")
        if folder.store.calls.in_doubt:
            billed = "" if self.settings.rehearsal else ", perhaps billed,"
            doubtful = ", ".join(folder.store.calls.in_doubt)
            oddities.append(f"cut off under way{billed} and asked again: {doubtful}")
        return oddities

    def _secrets(self, folder: RunFolder) -> list[str]:
        """Mask secrets that a person wrote into deliverables; list those in the request, if any.

        The request stays as it is: what was paid for as its answers must not be asked for again.
        """
        for name in self.team.agents:
            text = folder.read(file := self.file(name))
            if text and folder.store.texts.is_new_edit(name, text):
                masked = self.masked(text, f"{folder.path / file}")
                if masked != text:
                    folder.save(file, masked)
        names = self.redact.names(folder.request)
        if not names:
            return []
        return [
            f"{folder.path / 'request.md'}: holds a secret (the value of {', '.join(names)}), "
            "which is sent and kept; begin a new run without it"
        ]

    def _strangers(self, folder: RunFolder) -> list[str]:
        """List which of a run's agents are known no more, and who is asked that it did not have.

        A plugin may be gone since. Whom a person leaves out is known all the same.
        """
        before = RunToml.read(folder.path).routes
        missing = [name for name in before if name not in self._numbers]
        if not missing:
            return []
        names = ", ".join(missing)
        if len(missing) == len(before):
            raise UsageError(
                f"{folder.path}: no agent of this run is known: {names}; install the plugin that "
                "supplies them (rolecall plugins lists what is installed), or begin a new run"
            )
        new = [name for name in self.team.agents if name not in before]
        more = f"; asked, and new to it: {', '.join(new)}" if new else ""
        return [f"{folder.path}: agents of this run are known no more, and left out: {names}{more}"]

    def edits(self, folder: RunFolder) -> list[str]:
        """List whose deliverables a person edited since the last time, and who is asked again."""
        edited = [
            name
            for name in self.team.agents
            if (text := folder.read(self.file(name))) and folder.store.texts.is_new_edit(name, text)
        ]
        if not edited:
            return []
        again = frozenset[str]().union(*(self.team.downstream(name) for name in edited))
        others = [name for name in self.team.agents if name in again - set(edited)]
        rest = f"; asked again: {', '.join(others)}" if others else ""
        return [f"edited, and kept as it is: {', '.join(edited)}{rest}"]

    def rerun(
        self,
        folder: RunFolder,
        start: Collection[str],
        only: Collection[str],
        words: tuple[str, str] = ("--from", "--only"),
    ) -> Rerun:
        """Plan who runs again from `start`, or `only` these; names or patterns.

        words: what stood before them, for messages.
        """
        workspace = GitWorkspace(folder.path, self.settings.environment)
        changes = folder.store.tools.changes()

        def builders(agents: Collection[str]) -> Collection[str]:
            return builders_on(workspace, changes, agents) if changes else ()

        return Rerun.plan(self.team, folder.store, start, only, words, builders)

    def update(self, folder: RunFolder, change: str, date: str) -> None:
        """Record a change for the next `run` to work in; raise UsageError where that cannot be."""
        store = folder.store
        if store.updates and store.updates[-1].touched is None:
            raise UsageError("the last change is not worked in yet; finish it with resume")
        files = {name: self.file(name) for name in self.team.agents}
        texts = {name: text for name, file in files.items() if (text := folder.read(file))}
        change = self.masked(change, "the change")
        check_updatable(self.team, texts)
        changes = "\n\n".join(update.section for update in store.updates)
        for agent in self.team:
            # A person's edits are revised like the rest, so they count as the agent's from now on.
            store.record_edit(agent.name, texts[agent.name])
            store.record_deliverable(agent.name, texts[agent.name])
            if agent.plan:
                plan = headed(texts[agent.name], "")
                texts[agent.name] = plan.removesuffix(changes)
        store.record_update(change, date, texts)

    def file(self, agent: str) -> str:
        """Return the name of the file of an agent's deliverable."""
        return deliverable_file(self._numbers[agent], agent)

    def observe(self, observer: Observer) -> None:
        """Add an observer, which hears the events of `run`."""
        self._observers.append(observer)

    async def run(self, folder: RunFolder, frozen: Collection[str] = ()) -> RunOutcome:
        """Run the team in a folder.

        frozen: agents that are not asked; their deliverables stand as they are.
        """
        if self.settings.reuse:
            reused = map(Path, self.settings.reuse)
            folder.store.use_cache(StepCache(reused, folder.path, self.signer))
        flags = RunToml.read(folder.path).flags
        bus = EventBus([folder.store, self.ledger, StateKeeper(folder, flags)], self._observers)
        providers = {route.provider: Route(route.provider) for a in self.team for route in a.routes}
        bus.keep(CostComparison(self.pricing, providers.values(), bus))
        past = past_history(folder.path.parent, flags, self.signer)
        seconds = expected(
            self.team.agents, {name: history.seconds for name, history in past.agents.items()}
        )
        is_new = not folder.store.calls.last and not self.settings.rehearsal
        context = RunContext(
            providers=self._providers,
            limiters=self._limiters,
            settings=self.settings,
            clock=self.clock,
            emit=bus,
            pricing=self.pricing,
            redact=self.redact,
            calls=folder.store.calls.last,
            spent=folder.store.calls.total.charged,
            past=past,
            team=self.team,
            request=folder.request,
            numbers=self._numbers,
            priorities=self.team.paths(seconds),
            left_out=self._left_out,
            frozen=frozen,
            tools=self._tools,
            tool_plugins=self._tool_plugins,
            sandbox=self._sandbox.sandbox,
            consent=self._consent,
            recorder=self._recorder,
            player=self._player,
            forecast=self.estimate(folder.request, past).forecast if is_new else None,
            when=time.time(),
        )
        with masked_log(self.redact):
            try:
                return await Scheduler(context, folder).run()
            finally:
                if self._closes:
                    await close(self._providers.values(), self.redact)
                await bus.aclose()


async def terminable(run: Coroutine[Any, Any, RunOutcome]) -> RunOutcome:
    """Run with SIGTERM ending the run as Ctrl-C does."""
    task = asyncio.current_task()
    assert task is not None
    with suppress(NotImplementedError, RuntimeError):  # Windows, or not the main thread
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await run


def _whole(
    host: Host,
    settings: Settings,
    providers: Collection[str],
    options: RunOptions,
    team: TeamGraph | None,
) -> tuple[Sequence[Agent], Sequence[str]]:
    """Collect all agents, also those that are not part of the run, and who is switched off."""
    if team is not None:
        for agent in team:
            check_routes(agent.name, agent.routes, providers)
        return tuple(team), ()
    assigned = assign(host, settings, providers, options.assign, f"{options.prefix}assign")
    return [member.agent for member in assigned.values()], switched_off(assigned, options.only)
