"""Who runs again although nothing has changed, and what that cost before."""

from collections.abc import Callable, Collection

from attrs import frozen

from ..errors import UsageError
from ..plugin.assignment import meant
from ..storage.call_log import Spent
from ..storage.step_store import StepStore
from ..types.agents import TeamGraph


@frozen
class Rerun:
    """Agents that are asked again, and those whose deliverables stay as they are."""

    agents: tuple[str, ...]
    frozen: tuple[str, ...]
    words: str

    @classmethod
    def plan(
        cls,
        team: TeamGraph,
        store: StepStore,
        start: Collection[str],
        only: Collection[str],
        words: tuple[str, str] = ("--from", "--only"),
        builders_on: Callable[[Collection[str]], Collection[str]] = lambda agents: (),
    ) -> "Rerun":
        """Plan who runs again from `start`, or `only` these; names or patterns.

        words: what stood before them, for messages. builders_on: lists who changed files that these
        agents had written. What they made of them would be left behind, so with `start` they run
        again as well. Raises UsageError where `only` leaves them out.
        """
        start, only = meant(start, team, words[0]), meant(only, team, words[1])
        chosen = {*start, *only}.union(*(team.downstream(name) for name in start))
        while builders := set(builders_on(chosen)).intersection(team.agents) - chosen:
            if only:
                names = ", ".join(name for name in team.agents if name in builders)
                raise UsageError(
                    f"files of {', '.join(only)} were changed later by {names}; run them again as "
                    f"well: name them, too, or take {words[0]}"
                )
            chosen = chosen.union(builders, *(team.downstream(name) for name in builders))
        agents = tuple(name for name in team.agents if name in chosen)
        others = tuple(name for name in team.agents if name not in chosen) if only else ()
        costs = [store.calls.spent.get(name, Spent()).answer for name in agents]
        known = [cost for cost in costs if cost is not None]
        unknown = len(costs) - len(known)
        rest = f" and {unknown} of unknown cost" if unknown else ""
        told = f"to run again, for about ${sum(known):.4f}{rest}: {', '.join(agents)}"
        return cls(agents, others, told)
