"""What a run's calls came to, in all its processes."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from attrs import define, evolve

from ..types.causes import Cause
from ..types.charge import believable, charge
from ..types.events import CallEnded, CallStarted, Rerouted, ToolEnded, WorkspaceVerified
from .acting.tool_results import ToolResults
from .journal import read_records
from .records import ProcessRecord, Record

Ended = CallEnded | ToolEnded | WorkspaceVerified


@define
class Spent:
    """What some calls cost so far.

    cost: as far as it is known. charged: what they may have cost, by the rule of `charge`, those
        included that never ended.
    answer: US dollars of the last answer, None where there is none or its price is unknown.
    """

    calls: int = 0
    cost: float = 0.0
    charged: float = 0.0
    answer: float | None = None

    def add(self, call: CallEnded, worst: float) -> None:
        """Add a call. worst: what it counted as while it was under way."""
        self.calls += 1
        self.cost += believable(call.cost) or 0.0
        self.charged += charge(call.cost, call.cause, worst, has_begun=call.has_begun) - worst
        if call.cause is None:
            self.answer = call.cost


class CallLog:
    """Sums up the calls among a journal's records, and those that are added.

    last: the number of the run's last call.
    spent, total: by agent, and in all.
    past: the ends of the calls among the records given first, which earlier processes made; their
        `at` counts back from now. acted, verified: what became of their tool calls, and
        what they verified.
    in_doubt: agents of calls that the last process started and did not end; they may be billed.
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.last = 0
        self.spent: dict[str, Spent] = {}
        self.total = Spent()
        self._open: dict[int, CallStarted] = {}
        self._ended: set[int] = set()
        self._exhausted: dict[str, int] = {}
        processes: list[list[Ended]] = [[]]
        known: set[int] = set()
        for record in records:
            self.add(record)
            match record:
                case ProcessRecord():
                    processes.append([])
                    known = set(self._open)  # a person was told of them when that process began
                case CallEnded() | ToolEnded() | WorkspaceVerified():
                    processes[-1].append(record)
                case _:
                    pass
        past = _counted_back(processes)
        self.past = [record for record in past if isinstance(record, CallEnded)]
        self.acted = [record for record in past if isinstance(record, ToolEnded)]
        self.verified = [record for record in past if isinstance(record, WorkspaceVerified)]
        fresh = (call.agent for number, call in self._open.items() if number not in known)
        self.in_doubt = sorted(set(fresh))

    def add(self, record: Record) -> None:
        match record:
            case CallStarted():
                self.last = max(self.last, record.call)
                # A stranger's record must not make room in a budget.
                begun = evolve(record, worst=max(0.0, record.worst))
                self._open[record.call] = begun
                for spent in self._of(record.agent):
                    spent.charged += begun.worst
            case CallEnded():
                self._ended.add(record.call)
                open_ = self._open.pop(record.call, None)
                for spent in self._of(record.agent):
                    spent.add(record, open_.worst if open_ else 0.0)
                if record.cause is Cause.THINKING_ONLY:
                    most = max(record.max_output_tokens, self.exhausted_budget(record.step))
                    self._exhausted[record.step] = most
            case _:
                pass

    def _of(self, agent: str) -> tuple[Spent, Spent]:
        return self.spent.setdefault(agent, Spent()), self.total

    def has_ended(self, number: int) -> bool:
        """Check whether the end of a call is on record."""
        return number in self._ended

    def exhausted_budget(self, step: str) -> int:
        """Return the largest output budget that went to a step's thinking alone; 0 if none did."""
        return self._exhausted.get(step, 0)


def past_calls(path: Path) -> list[CallEnded]:
    """Read the ends of all calls from a run's folder, whether or not the run goes on."""
    return [record for record in read_records(path) if isinstance(record, CallEnded)]


def past_acts(path: Path) -> list[ToolEnded | WorkspaceVerified]:
    """Read from a run's folder the ends of all tool calls, and what was verified.

    What was verified of the present state comes last: it is not verified again.
    """
    ended: list[ToolEnded | WorkspaceVerified] = []
    results = ToolResults()
    for record in read_records(path):
        results.add(record)
        if isinstance(record, ToolEnded):
            ended.append(record)
    return [*ended, *results.verifications()]


def past_moves(path: Path) -> list[Rerouted]:
    """Read from a run's folder what balancing moved."""
    return [record for record in read_records(path) if isinstance(record, Rerouted)]


def _counted_back(processes: Sequence[Sequence[Ended]]) -> list[Ended]:
    """Count what each process did back from the end of the last, without the time between them."""
    counted: list[Ended] = []
    length = 0.0
    for records in reversed(processes):
        length += max((record.at for record in records), default=0.0)
        counted[:0] = [evolve(record, at=record.at - length) for record in records]
    return counted
