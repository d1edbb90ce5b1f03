"""One run of a team, put together from the plugins: the same for a new run and a resumed one."""

import asyncio
import signal
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from attrs import asdict, evolve, field, filters, frozen

from .agents import Route, Team
from .budget import Budget
from .bus import Bus
from .config import Settings
from .dispatch import Dispatcher
from .errors import UsageError, nearest
from .estimate import Estimate, estimate_run
from .figures import Figures
from .folder import RunFolder, deliverable_file, read_about
from .host import Host
from .ledger import Ledger
from .limits import Clock, SystemClock
from .memo import Memo
from .prices import Prices
from .reuse import Elsewhere
from .routing import assemble, assign, forecast, switched_off, unusable
from .runner import Outcome, Runner
from .runs import StateKeeper, past_figures
from .savings import Savings
from .updates import check_updatable

# What run.toml keeps of the settings: nothing secret, and no path of this machine.
KEPT = (
    "interval",
    "attempts",
    "max_wait",
    "continuations",
    "max_output_tokens",
    "temperature",
    "timeout",
    "idle_timeout",
    "stream",
)


@frozen
class Choices:
    """What the command line chose of a team; a run keeps it.

    assign: agent to its routes. only, skip: agents, by name. budget: most US dollars.
    """

    assign: Mapping[str, Sequence[str]] = field(factory=dict)
    only: Sequence[str] = ()
    skip: Sequence[str] = ()
    budget: float | None = None

    @classmethod
    def read(cls, about: Mapping[str, Any]) -> "Choices":
        """Read what run.toml keeps."""
        return cls(
            about.get("assign", {}),
            about.get("only", ()),
            about.get("skip", ()),
            about.get("budget"),
        )

    def changed(
        self,
        assign: Mapping[str, Sequence[str]],
        only: Sequence[str] = (),
        skip: Sequence[str] = (),
        budget: float | None = None,
    ) -> "Choices":
        """Give these choices with what is newly chosen in their place."""
        return Choices(
            {**self.assign, **assign},
            only or self.only,
            skip or self.skip,
            self.budget if budget is None else budget,
        )


@frozen
class Rerun:
    """Agents that are asked again, and those whose deliverables stay as they are."""

    agents: tuple[str, ...]
    frozen: tuple[str, ...]
    words: str

    @classmethod
    def plan(cls, team: Team, memo: Memo, start: Collection[str], only: Collection[str]) -> "Rerun":
        """Say who runs again from `start`, or `only` these, and what that cost before."""
        for name in (*start, *only):
            if name not in team.agents:
                raise UsageError(f"no agent is called {name!r}{nearest(name, team.agents)}")
        chosen = {*start, *only}.union(*(team.downstream(name) for name in start))
        agents = tuple(name for name in team.agents if name in chosen)
        others = tuple(name for name in team.agents if name not in chosen) if only else ()
        costs = [memo.spent[name].answer if name in memo.spent else None for name in agents]
        known = [cost for cost in costs if cost is not None]
        rest = f" and {len(costs) - len(known)} of unknown cost" if len(known) < len(costs) else ""
        words = f"to run again, for about ${sum(known):.4f}{rest}: {', '.join(agents)}"
        return cls(agents, others, words)


class Session:
    """A team ready to run; everything that can be found wrong is found before the first call."""

    def __init__(
        self,
        host: Host,
        settings: Settings,
        choices: Choices,
        clock: Clock | None = None,
    ) -> None:
        host.check()
        if choices.budget is not None:
            settings = evolve(settings, budget=choices.budget)
        self._clock = clock or SystemClock()
        self._settings = settings
        self._choices = choices
        self._providers = {
            name: provider for name, (provider, _) in host.providers(settings).items()
        }
        assigned = assign(host, settings, self._providers, choices.assign)
        self._numbers = {name: number for number, name in enumerate(assigned, 1)}
        self.team, self._left_out = assemble(
            (each.agent for each in assigned.values()),
            choices.only,
            (*choices.skip, *switched_off(assigned, choices.only)),
        )
        self._limiters = [limiter for limiter, _ in host.limiters(settings).values()]
        self.prices = Prices(settings, self._providers)
        if settings.budget is not None:
            check = Budget(settings.budget, self.prices, settings.allow_unpriced).check
            for agent in self.team:
                for route in agent.routes:
                    check(self.prices.full(route))
        self._observers = host.observers(settings)
        self.ledger = Ledger()

    @property
    def notes(self) -> list[str]:
        """Say what a person should know first: who falls back, who has no route, who is left out.

        Raises UsageError where no agent has a route.
        """
        return forecast(self.team, unusable(self.team, self._providers)) + [
            f"{name} goes without {', '.join(needs)}, left out of this run"
            for name, needs in self._left_out.items()
        ]

    def describe(self, flags: Sequence[str]) -> dict[str, Any]:
        """Give what run.toml keeps: the settings as they were resolved, and no secret."""
        kept = {
            name: value
            for name, value in asdict(self._settings, filter=filters.include(*KEPT)).items()
            if value is not None
        }
        actions = {str(cause): str(action) for cause, action in self._settings.actions.items()}
        return {
            "rolecall": version("rolecall"),
            "flags": list(flags),
            "assign": {name: list(routes) for name, routes in self._choices.assign.items()},
            "only": list(self._choices.only),
            "skip": list(self._choices.skip),
            **({} if self._settings.budget is None else {"budget": self._settings.budget}),
            "settings": {**kept, "on": actions},
            "routes": {agent.name: [str(route) for route in agent.routes] for agent in self.team},
        }

    def estimate(self, request: str, past: Mapping[str, Figures]) -> Estimate:
        """Say what a run will come to, from what past ones did."""
        return estimate_run(self.team, request, self._settings, self.prices, past)

    def edits(self, folder: RunFolder) -> list[str]:
        """Say whose deliverables a person edited since the last time, and who is asked again."""
        edited = [
            name
            for name in self.team.agents
            if (text := folder.read(deliverable_file(self._numbers[name], name)))
            and folder.memo.is_new_edit(name, text)
        ]
        if not edited:
            return []
        again = frozenset[str]().union(*(self.team.downstream(name) for name in edited))
        asked = [name for name in self.team.agents if name in again - set(edited)]
        rest = f"; asked again: {', '.join(asked)}" if asked else ""
        return [f"edited, and kept as it is: {', '.join(edited)}{rest}"]

    def update(self, folder: RunFolder, change: str, date: str) -> None:
        """Let a finished run be changed by its next `run`; raise UsageError where it cannot be."""
        memo = folder.memo
        if memo.updates and memo.updates[-1].touched is None:
            raise UsageError("the last change is not worked in yet; finish it with resume")
        files = {name: deliverable_file(self._numbers[name], name) for name in self.team.agents}
        texts = {name: text for name, file in files.items() if (text := folder.read(file))}
        check_updatable(self.team, texts)
        told = "\n\n".join(each.section for each in memo.updates)
        for agent in self.team:
            memo.wrote(agent.name, texts[agent.name])  # a person's edits are revised like the rest
            if agent.plan:
                texts[agent.name] = texts[agent.name].strip().removesuffix(told)
        memo.begin(change, date, texts)

    async def run(self, folder: RunFolder, frozen: Collection[str] = ()) -> Outcome:
        """Run the team in a folder; SIGTERM ends it as Ctrl-C does.

        frozen: agents that are not asked; their deliverables stand as they are.
        """
        task = asyncio.current_task()
        assert task is not None
        with suppress(NotImplementedError, RuntimeError):  # Windows, or not the main thread
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        if self._settings.reuse:
            folder.memo.look_in(Elsewhere(map(Path, self._settings.reuse), folder.path))
        bus = Bus([folder.memo, self.ledger, StateKeeper(folder)], self._observers)
        providers = {route.provider: Route(route.provider) for a in self.team for route in a.routes}
        bus.keep(Savings(self.prices, providers.values(), bus))
        dispatcher = Dispatcher(
            self._providers,
            self._limiters,
            self._settings,
            self._clock,
            bus,
            calls=folder.memo.calls,
            spent=sum(spent.cost for spent in folder.memo.spent.values()),
        )
        figures = past_figures(folder.path.parent, read_about(folder.path).get("flags", ()))
        runner = Runner(
            self.team,
            dispatcher,
            folder,
            self._settings,
            bus,
            self._numbers,
            self._left_out,
            frozen,
            {name: each.seconds for name, each in figures.items()},
            None if folder.memo.calls else self.estimate(folder.request, figures).forecast,
            time.time(),
        )
        try:
            return await runner.run(folder.request)
        finally:
            await dispatcher.aclose()
            await bus.aclose()
