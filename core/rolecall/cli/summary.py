"""What a run came to, as lines and JSON values; nothing here prints."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import asdict

from ..errors import BudgetReached
from ..observers.ledger import Ledger, ToolTotals, Totals
from ..scheduling.scheduler import RunOutcome
from ..scheduling.verification import check_line, verdict
from ..types.agents import TeamGraph
from ..types.events import WorkspaceVerified
from .render import counted

SHORTEST = 1.0  # seconds of waiting that are shown


def run_json(folder: str, team: TeamGraph, outcome: RunOutcome, ledger: Ledger) -> dict[str, Any]:
    return {
        "run": folder,
        "exit_code": outcome.exit_code,
        "agents": [
            {
                "agent": agent.name,
                "state": agent_state(agent.name, outcome, ledger),
                "blocked_by": outcome.blocked.get(agent.name),
                "planned": str(agent.routes[0]),
                "route": ledger.answered.get(agent.name),
                "error": str(outcome.failed[agent.name]) if agent.name in outcome.failed else None,
                **sums_json(ledger.agents.get(agent.name, Totals())),
            }
            for agent in team
        ],
        "providers": {name: sums_json(totals) for name, totals in ledger.providers.items()},
        "models": {name: sums_json(totals) for name, totals in ledger.models.items()},
        "distribution": dict(ledger.distribution),
        "moves": moves_json(ledger),
        "total": sums_json(ledger.total),
        **acts_json(ledger),
        **comparison_json(ledger),
    }


def distribution(planned: Mapping[str, str], answered: Mapping[str, int]) -> str:
    """Describe how the agents were shared out among providers, and how that was planned.

    planned: agent to provider. answered: provider to the number of agents that it answered.
    """
    counts = Counter(planned.values())
    shares = _shares(answered, len(planned))
    otherwise = "" if counts == answered else f" (planned: {_shares(counts, len(planned))})"
    return f"Distribution: {shares}{otherwise}"


def moves(ledger: Ledger) -> str:
    """Describe which steps balancing moved, and why; empty where it moved none."""
    lines = [f"  {move.agent}: {move.route} to {move.to}: {move.why}" for move in ledger.moves]
    return "\n".join(["Moved by balancing:", *lines]) if lines else ""


def moves_json(ledger: Ledger) -> list[dict[str, Any]]:
    """Return the same for programs."""
    return [
        {"agent": move.agent, "from": move.route, "to": move.to, "why": move.why}
        for move in ledger.moves
    ]


def describe_tools(sums: ToolTotals) -> str:
    """Describe an agent's tool calls in a line."""
    failed = f", {sums.failed} failed" if sums.failed else ""
    return f"{counted(sums.calls, 'tool call')}{failed}, {sums.took:.1f} s"


def verification(verified: Sequence[WorkspaceVerified]) -> str:
    """Describe what was verified last, and what failed of it; empty where nothing was."""
    if not verified:
        return ""
    failed = [f"  {check_line(check)}" for check in verified[-1].checks if not check.has_passed]
    replayed = " Replayed, not run." if verified[-1].replayed else ""
    return "\n".join([f"Verified: {verdict(verified)}{replayed}", *failed])


def acts_json(ledger: Ledger) -> dict[str, Any]:
    """Return for programs what agents did: by tool, each agent's loop, and what was verified."""
    return {
        "tools": {name: asdict(sums) for name, sums in ledger.tools.items()},
        "loops": {
            agent: {
                "rounds": rounds(ledger, agent),
                "tool_calls": sums.calls,
                "failed_tool_calls": sums.failed,
                "changes": sums.changed,
                "tool_seconds": round(sums.took, 3),
                "cost_usd": sums_json(ledger.agents.get(agent, Totals()))["cost_usd"],
            }
            for agent, sums in ledger.acting.items()
        },
        "verified": [
            {
                "passed": each.has_passed,
                "replayed": each.replayed,
                "agent": each.agent,
                "sandbox": each.sandbox,
                "when": each.when,
                "tree": each.tree,
                "checks": [
                    {"command": check.command, "exit_status": check.code, "seconds": check.seconds}
                    for check in each.checks
                ],
            }
            for each in ledger.verified
        ],
    }


def rounds(ledger: Ledger, agent: str) -> int:
    """Count how often an agent with tools was asked and answered."""
    totals = ledger.agents.get(agent, Totals())
    return totals.calls - totals.failed


def waiting(ledger: Ledger) -> str:
    """Describe what was waited for, the longest first; empty where no wait was long."""
    held = sorted(ledger.total.held.items(), key=lambda item: -item[1])
    waits = [f"{reason} {seconds:.1f} s" for reason, seconds in held if seconds >= SHORTEST]
    return f"Waited for: {', '.join(waits)}" if waits else ""


def comparison(ledger: Ledger) -> str:
    """Describe what the same calls would have cost elsewhere, and what prompt caches saved."""
    compared = ledger.compared
    if compared is None:
        return ""
    costs = [
        f"{'unknown' if cost is None else f'${cost:.4f}'} all on {route}"
        for route, cost in compared.elsewhere
        if list(ledger.models) != [route]
    ]
    if compared.cached:
        what = "saved by prompt caches" if compared.cached > 0 else "more with prompt caches"
        costs.append(f"${abs(compared.cached):.4f} {what}")
    alike = compared.calls in (0, ledger.total.calls)
    which = "The same calls" if alike else f"All {compared.calls} calls of the run"
    return f"{which}: {', '.join(costs)}" if ledger.models and costs else ""


def comparison_json(ledger: Ledger) -> dict[str, Any]:
    """Return the same for programs; what is not known is null."""
    compared = ledger.compared
    return {
        "same_calls_usd": {} if compared is None else dict(compared.elsewhere),
        "saved_by_caches_usd": None if compared is None else compared.cached,
        "saved_by_reuse_usd": ledger.saved,
    }


def _shares(counts: Mapping[str, int], total: int) -> str:
    if not counts:
        return "no agent answered"
    return ", ".join(f"{n} of {total} on {name}" for name, n in sorted(counts.items()))


def agent_state(name: str, outcome: RunOutcome, ledger: Ledger) -> str:
    """Return what became of an agent."""
    if name in outcome.failed:
        stopped = isinstance(outcome.failed[name], BudgetReached)
        return "stopped by budget" if stopped else "failed"
    if name in outcome.blocked:
        return "blocked"
    if name in outcome.cut:
        return "cut off"
    if name not in outcome.done:
        return "not run"
    if name in ledger.edited:
        return "as it stands"
    return "reused" if name in ledger.reused and name not in ledger.agents else "done"


def sums_json(totals: Totals) -> dict[str, Any]:
    """Return sums for programs; a cost that is not wholly known is null."""
    return {
        "calls": totals.calls,
        "failed_calls": totals.failed,
        "input_tokens": totals.usage.input,
        "output_tokens": totals.usage.output,
        "thinking_tokens": totals.usage.thinking,
        "cache_read_tokens": totals.usage.cache_read,
        "cache_write_tokens": totals.usage.cache_write,
        "cost_usd": None if totals.unpriced else totals.cost,
        "unpriced_calls": totals.unpriced,
        "seconds": round(totals.took, 3),
        "first_token_seconds": None if totals.first is None else round(totals.first, 3),
        "waiting_seconds": round(totals.waited, 3),
        "waiting_for": {reason: round(seconds, 3) for reason, seconds in totals.held.items()},
    }
