"""What a run came to, as tables, lines and JSON values; nothing here prints."""

from collections.abc import Mapping
from typing import Any

from ..observers.ledger import Ledger, Totals
from ..scheduling.scheduler import Outcome
from ..types.agents import Team
from .render import Grid, grid

WORTH_SAYING = 1.0  # seconds of waiting


def run_json(folder: str, team: Team, outcome: Outcome, ledger: Ledger) -> dict[str, Any]:
    return {
        "run": folder,
        "exit_code": outcome.exit_code,
        "agents": [
            {
                "agent": agent.name,
                "state": _state(agent.name, outcome, ledger),
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
        "total": sums_json(ledger.total),
        **comparison_json(ledger),
    }


def run_tables(team: Team, outcome: Outcome, ledger: Ledger) -> list[Grid]:
    sums = "in> out> cost_$> time_s> wait_s>"
    by_agent = grid(
        "By agent",
        f"agent~ by calls> {sums}",
        (
            (
                agent.name,
                _by(agent.name, outcome, ledger),
                str(ledger.agents.get(agent.name, Totals()).calls),
                *_cells(ledger.agents.get(agent.name, Totals())),
            )
            for agent in team
        ),
    )
    by_model = grid(
        "By model",
        f"model~ agents> calls> failed> {sums}",
        (
            _model_row(name, list(ledger.answered.values()).count(name), totals)
            for name, totals in sorted(ledger.models.items())
        ),
        _model_row("all", len(ledger.answered), ledger.total),
    )
    return [by_agent, by_model]


def _model_row(name: str, agents: int, totals: Totals) -> tuple[str, ...]:
    failed = str(totals.failed or "–")
    model = name.partition("/")[2] or name
    return (model, str(agents), str(totals.calls), failed, *_cells(totals))


def _by(name: str, outcome: Outcome, ledger: Ledger) -> str:
    provider = ledger.answered.get(name, "").partition("/")[0]
    state = _state(name, outcome, ledger)
    return provider if state == "done" else f"{provider} {state}".strip()


def distribution(team: Team, ledger: Ledger) -> str:
    """Say how the agents were shared out, and how that was meant."""
    planned: dict[str, int] = {}
    for agent in team:
        name = agent.routes[0].provider
        planned[name] = planned.get(name, 0) + 1
    return f"Distribution: {_shares(ledger.distribution, len(team))}" + (
        "" if planned == ledger.distribution else f" (planned: {_shares(planned, len(team))})"
    )


def waiting(ledger: Ledger) -> str:
    """Say what was waited for, the longest first; nothing where it was short."""
    reasons = sorted(ledger.total.held.items(), key=lambda item: -item[1])
    told = [f"{reason} {seconds:.1f} s" for reason, seconds in reasons if seconds >= WORTH_SAYING]
    return f"Waited for: {', '.join(told)}" if told else ""


def comparison(ledger: Ledger) -> str:
    """Say what the same calls would have cost elsewhere, and what prompt caches saved."""
    compared = ledger.compared
    if compared is None:
        return ""
    told = [
        f"{'unknown' if cost is None else f'${cost:.4f}'} all on {route}"
        for route, cost in compared.elsewhere
        if list(ledger.models) != [route]
    ]
    if compared.cached:
        what = "saved by prompt caches" if compared.cached > 0 else "more with prompt caches"
        told.append(f"${abs(compared.cached):.4f} {what}")
    alike = compared.calls in (0, ledger.total.calls)
    which = "The same calls" if alike else f"All {compared.calls} calls of the run"
    return f"{which}: {', '.join(told)}" if ledger.models and told else ""


def comparison_json(ledger: Ledger) -> dict[str, Any]:
    """Give the same for programs; what is not known is null."""
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


def _state(name: str, outcome: Outcome, ledger: Ledger) -> str:
    if name in outcome.failed:
        return "failed"
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
    """Give sums for programs; a cost that is not wholly known is null."""
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


def _cells(totals: Totals) -> tuple[str, ...]:
    return (
        f"{totals.usage.input:,}",
        f"{totals.usage.output:,}",
        totals.money.replace("$", ""),
        f"{totals.took:.1f}",
        f"{totals.waited:.1f}",
    )
