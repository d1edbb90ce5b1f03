"""All that a report tells of a run, gathered from its events and its folder."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rolecall import (
    AgentDone,
    CallEnded,
    DeliverableKept,
    Event,
    Ledger,
    RunEnded,
    RunStarted,
    Totals,
    Usage,
)

from ..progress import FINISHED, AgentProgress, RunProgress, State


class Story:
    """Listens to a run, and tells it at its end."""

    started: RunStarted
    ended: RunEnded

    def __init__(self) -> None:
        self._progress = RunProgress()
        self._calls: list[CallEnded] = []
        self._files: dict[str, str] = {}

    @property
    def ledger(self) -> Ledger:
        return self._progress.ledger

    @property
    def planned(self) -> Counter[str]:
        """Count the agents by the provider that they were to run on."""
        return Counter(provider for _, provider in self.started.first_choices)

    def notify(self, event: Event) -> None:
        self._progress.notify(event)
        match event:
            case RunStarted():
                self.started = event
                self._calls += event.past
            case CallEnded():
                self._calls.append(event)
            case AgentDone() | DeliverableKept():
                self._files[event.agent] = event.file
            case RunEnded():
                self.ended = event
            case _:
                pass

    def told(self, folder: Path) -> dict[str, Any]:
        """Give it as JSON values; times are seconds since the first call was asked for."""
        origin = min((_asked(call) for call in self._calls), default=0.0)
        ledger, ended = self.ledger, self.ended
        planned = dict(self.started.first_choices)
        return {
            "run": folder.name,
            "request": self.started.request,
            "when": self.started.when,
            "seconds": ended.at - min(origin, 0.0),
            "now": -origin if origin < 0 else 0.0,
            "done": ended.done,
            "failed": ended.failed,
            "blocked": ended.blocked,
            "interrupted": ended.interrupted,
            "total": _sums(ledger.total),
            "agents": [
                self._agent(agent, planned, folder) for agent in self._progress.agents.values()
            ],
            "calls": [_call(call, origin) for call in self._calls],
            "providers": [
                {
                    "name": name,
                    "planned": self.planned.get(name, 0),
                    "answered": ledger.distribution.get(name, 0),
                    **_sums(ledger.providers.get(name, Totals())),
                }
                for name in sorted({*self.planned, *ledger.providers})
            ],
            "models": [{"name": name, **_sums(each)} for name, each in ledger.models.items()],
            "causes": Counter(call.cause for call in self._calls if call.cause).most_common(),
            "retries": [
                f"{each.agent}: {each.route} asked again after {each.delay:.1f} s: {each.cause}"
                for each in ledger.retries
            ],
            "hops": [
                f"{each.agent}: from {each.route} to {each.to}: {each.cause}"
                f"{'' if each.asked else ', not asked'}"
                for each in ledger.hops
            ],
            "outages": [
                f"{each.route}: left alone for {each.seconds:g} s: {each.cause}"
                for each in ledger.outages
            ],
            "elsewhere": list(ledger.compared.elsewhere) if ledger.compared else [],
            "cached": ledger.compared.cached if ledger.compared else None,
            "reused": ledger.saved if ledger.reused else None,
        }

    def _agent(
        self, agent: AgentProgress, planned: Mapping[str, str], folder: Path
    ) -> dict[str, Any]:
        file = self._files.get(agent.name, "")
        path = folder / file
        return {
            "name": agent.name,
            "level": agent.level,
            "needs": agent.needs,
            "planned": planned.get(agent.name, ""),
            "route": self.ledger.answered.get(agent.name, ""),
            "state": agent.state if agent.state in FINISHED else "not run",
            "detail": f"{agent.detail} failed" if agent.state is State.BLOCKED else agent.detail,
            "hops": agent.hops,
            "file": file,
            "text": path.read_text("utf-8") if file and path.is_file() else "",
            **_sums(self._progress.totals(agent.name)),
        }


def _asked(call: CallEnded) -> float:
    return call.at - call.took - call.waited


def _call(call: CallEnded, origin: float) -> dict[str, Any]:
    """Give a call's moments: asked for, permitted, first text, ended."""
    permitted = call.at - call.took
    first = None if call.first_text is None else permitted + call.first_text - origin
    return {
        "agent": call.agent,
        "provider": call.provider,
        "model": call.model,
        "asked": _asked(call) - origin,
        "permitted": permitted - origin,
        "first": first,
        "ended": call.at - origin,
        "cause": call.cause,
        "detail": call.detail,
        "output": call.usage.output,
    }


def _sums(totals: Totals) -> dict[str, Any]:
    usage: Usage = totals.usage
    return {
        "calls": totals.calls,
        "failures": totals.failed,
        "input": usage.input,
        "output": usage.output,
        "thinking": usage.thinking,
        "cached": usage.cache_read,
        "money": totals.money,
        "cost": totals.cost,
        "took": totals.took,
        "first": totals.first,
        "waited": totals.waited,
        "held": totals.held,
    }
