"""Who works on a request: agents, the routes they run on, and the graph of a team."""

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Any

from attrs import evolve, field, frozen

from ..errors import TeamError, nearest

NAME = re.compile(r"[a-z0-9]+([-_.][a-z0-9]+)*")
EVERYONE = "*"


class Balance(StrEnum):
    """How one of an agent's routes is chosen for a step; a failure asks the others in any case.

    FIXED: the first that can be called.
    SPILL: the next one where the first would let it wait for longer than the next one takes.
    FASTEST: where the answer is expected first. CHEAPEST: where it is expected to cost least.
    """

    FIXED = "fixed"
    SPILL = "spill"
    FASTEST = "fastest"
    CHEAPEST = "cheapest"


@frozen
class Route:
    """A provider, and a model of it where the provider's own default is not meant."""

    provider: str
    model: str = ""

    @classmethod
    def parse(cls, text: str) -> "Route":
        """Read `provider` or `provider/model`; raise ValueError on anything else."""
        provider, slash, model = text.strip().partition("/")
        if not NAME.fullmatch(provider) or (slash and not model) or re.search(r"\s", model):
            raise ValueError(f"{text!r} is not a route; write PROVIDER or PROVIDER/MODEL")
        return cls(provider, model)

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}" if self.model else self.provider


def _routes(value: "str | Route | Iterable[str | Route]") -> tuple[Route, ...]:
    items = [value] if isinstance(value, str | Route) else value
    return tuple(item if isinstance(item, Route) else Route.parse(item) for item in items)


def _is_name(_: object, __: object, value: str) -> None:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise ValueError(f"{value!r} is not an agent's name; use lower-case words and '-'")


def _texts(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@frozen
class Agent:
    """A role.

    name: lower-case words joined by `-`.
    prompt: the role, as the system prompt; behind the deliverables where there is a `shared` text.
    shared: what several agents are told alike, as the system prompt. Such agents' requests begin
        alike, with this and the request and the deliverables, so that vendors' caches can hit.
    needs: the agents whose deliverables it gets; `"*"` stands for everyone who does not need it.
    routes: where it runs, in order of preference: routes, or texts like `"gemini"`.
    max_output_tokens, temperature: None takes the settings' value.
    plan: its deliverable is also the run's PLAN.md; one agent of a team may write it.
    balance: how one of its routes is chosen for a step; None takes the settings'.
    tier: the kind of model it needs; balancing leaves its first route only for others of the tier,
        which the settings list.
    schema: the JSON Schema that its deliverable must fit, which then is one JSON value.
    schema_is_part: its deliverable is a text, and its first block of JSON must fit the schema.
    verify: once it is done, rolecall runs the workspace's checks, and what fails goes back to it.
    tools: what it may use: tools by name, a group (the part before a dot), or patterns.
    """

    name: str = field(validator=_is_name)
    title: str
    goal: str
    prompt: str = field(repr=False)
    routes: tuple[Route, ...] = field(converter=_routes)
    needs: tuple[str, ...] = field(default=(), converter=_texts)
    max_output_tokens: int | None = None
    temperature: float | None = None
    plan: bool = False
    shared: str = field(default="", repr=False)
    tools: tuple[str, ...] = field(default=(), converter=_texts)
    verify: bool = False
    schema: Mapping[str, Any] | None = field(default=None, repr=False)
    schema_is_part: bool = False
    balance: Balance | None = None
    tier: str = ""


def _by_name(agents: Iterable[Agent]) -> Mapping[str, Agent]:
    found: dict[str, Agent] = {}
    for agent in agents:
        if agent.name in found:
            raise TeamError(f"two agents are called {agent.name!r}; rename or drop one")
        found[agent.name] = agent
    return MappingProxyType(found)


@frozen(slots=False)
class TeamGraph:
    """The agents of a run; their order is kept, their graph is checked when it is built."""

    agents: Mapping[str, Agent] = field(converter=_by_name)

    def __attrs_post_init__(self) -> None:
        if not self.agents:
            raise TeamError("the team is empty; no plugin supplies an agent, or all are skipped")
        for agent in self:
            for need in agent.needs:
                if need != EVERYONE and need not in self.agents:
                    hint = nearest(need, self.agents)
                    raise TeamError(f"{agent.name} needs {need!r}, which is not in the team{hint}")
        planners = [agent.name for agent in self if agent.plan]
        if len(planners) > 1:
            raise TeamError(
                f"several agents write the plan: {', '.join(planners)}; leave plan = true to one"
            )
        self._check_cycles()

    def __iter__(self) -> Iterator[Agent]:
        return iter(self.agents.values())

    def __len__(self) -> int:
        return len(self.agents)

    def needs(self, name: str) -> tuple[str, ...]:
        """List the agents whose deliverables `name` gets, in the team's order."""
        return self._graph[name]

    @cached_property
    def _graph(self) -> Mapping[str, tuple[str, ...]]:
        wanted = {agent.name: set(agent.needs) - {EVERYONE} for agent in self}
        place = {name: number for number, name in enumerate(self.agents)}
        graph: dict[str, tuple[str, ...]] = {}
        for agent in self:
            needs = set(wanted[agent.name])
            if EVERYONE in agent.needs:
                # Everyone, except those who wait for this agent, and others who want everyone.
                others = {name for name in wanted if EVERYONE not in self.agents[name].needs}
                needs |= others - _reach(agent.name, _reverse(wanted)) - {agent.name}
            graph[agent.name] = tuple(sorted(needs, key=place.__getitem__))
        return MappingProxyType(graph)

    @cached_property
    def dependants(self) -> Mapping[str, tuple[str, ...]]:
        """Map each agent to those that need it directly."""
        return MappingProxyType(_reverse(self._graph))

    @cached_property
    def order(self) -> tuple[str, ...]:
        """List every agent after all that it needs; the team's order where that is free."""
        waiting = {name: len(needs) for name, needs in self._graph.items()}
        ready = [name for name in self.agents if not waiting[name]]
        for name in ready:  # grows while it is read
            for dependant in self.dependants[name]:
                waiting[dependant] -= 1
                if not waiting[dependant]:
                    ready.append(dependant)
        return tuple(ready)

    def paths(self, seconds: Mapping[str, float]) -> Mapping[str, float]:
        """Map each agent to the seconds of the longest path from it to the end, itself included.

        seconds: what each agent takes.
        """
        length: dict[str, float] = {}
        for name in reversed(self.order):
            longest = max((length[other] for other in self.dependants[name]), default=0.0)
            length[name] = seconds[name] + longest
        return length

    def downstream(self, name: str) -> frozenset[str]:
        """List all agents that need `name`, directly or through others."""
        return frozenset(_reach(name, self.dependants)) - {name}

    def upstream(self, name: str) -> frozenset[str]:
        """List all agents whose work `name` gets, directly or through others."""
        return frozenset(_reach(name, self._graph)) - {name}

    def keep(self, names: Iterable[str]) -> "TeamGraph":
        """Build the team of these agents alone; needs of others are left out."""
        kept = set(names)
        for name in kept - self.agents.keys():
            raise TeamError(f"no agent is called {name!r}{nearest(name, self.agents)}")
        known = kept | {EVERYONE}
        return TeamGraph(
            evolve(agent, needs=tuple(need for need in agent.needs if need in known))
            for agent in self
            if agent.name in kept
        )

    def _check_cycles(self) -> None:
        if len(self.order) == len(self):
            return
        rest = set(self.agents) - set(self.order)
        trail = [next(name for name in self.agents if name in rest)]
        while trail.count(trail[-1]) == 1:
            trail.append(next(need for need in self._graph[trail[-1]] if need in rest))
        cycle = trail[trail.index(trail[-1]) :]
        raise TeamError(f"the agents wait for each other in a circle: {' needs '.join(cycle)}")


def _reverse(graph: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    back: dict[str, list[str]] = {name: [] for name in graph}
    for name, needs in graph.items():
        for need in needs:
            back[need].append(name)
    return {name: tuple(others) for name, others in back.items()}


def _reach(start: str, graph: Mapping[str, Iterable[str]]) -> set[str]:
    seen = {start}
    ahead = [start]
    for name in ahead:  # grows while it is read
        new = set(graph[name]) - seen
        seen |= new
        ahead.extend(new)
    return seen
