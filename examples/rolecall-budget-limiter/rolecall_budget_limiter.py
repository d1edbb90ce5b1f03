"""The limiter `daily-budget`: once a provider's tokens of the day are used up, others are asked."""

import sqlite3
import weakref
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from pathlib import Path

from rolecall import Call, Cause, Limiter, Outcome, ProviderError, Settings, SettingsError, hookimpl

OPTION = "tokens_per_day"
TABLE = "create table if not exists used (day, provider, tokens, primary key (day, provider))"
LOOK = "select sum(tokens) from used where day = ? and provider = ?"
NOTE = """insert into used values (?, ?, ?)
    on conflict do update set tokens = tokens + excluded.tokens"""


class DailyBudget:
    """Counts the tokens that each provider reads and writes in a day, over all the user's runs.

    What is under way when a budget is reached is finished, and may exceed it.
    """

    name = "daily-budget"

    def __init__(self, settings: Settings, today: Callable[[], date] = date.today) -> None:
        self._budgets = budgets(settings)
        self._today = today
        if settings.state:
            Path(settings.state).mkdir(parents=True, exist_ok=True)
        path = Path(settings.state, "daily-budget.db") if settings.state else ":memory:"
        # Each statement is a transaction of its own, so threads and processes can share it.
        self._used = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._used.execute(TABLE)
        weakref.finalize(self, self._used.close)

    async def acquire(self, call: Call) -> None:
        most = self._budgets.get(call.provider)
        (used,) = self._used.execute(LOOK, (str(self._today()), call.provider)).fetchone()
        if most is not None and (used or 0) >= most:
            why = f"today's {most:,} tokens of {call.provider} are used up"
            raise ProviderError(Cause.QUOTA_EXHAUSTED, why)

    def ended(self, call: Call, outcome: Outcome) -> None:
        tokens = outcome.usage.input + outcome.usage.output
        self._used.execute(NOTE, (str(self._today()), call.provider, tokens))


def budgets(settings: Settings) -> Mapping[str, int]:
    """Read each provider's tokens per day; raise SettingsError where that is no number."""
    found = {
        name: own.options[OPTION]
        for name, own in settings.providers.items()
        if OPTION in own.options
    }
    for name, most in found.items():
        if type(most) is not int:
            key = f"tool.rolecall.providers.{name}.options.{OPTION}"
            raise SettingsError(f"{settings.source}: {key}: must be a whole number, not {most!r}")
    return found


@hookimpl
def rolecall_limiters(settings: Settings) -> Iterable[Limiter]:
    wanted = budgets(settings) and not settings.rehearsal
    return [DailyBudget(settings)] if wanted else []
