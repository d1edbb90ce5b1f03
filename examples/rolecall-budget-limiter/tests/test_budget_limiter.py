"""The limiter, with days that pass when they are told to; run with `pytest`."""

import asyncio
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from rolecall import (
    Agent,
    AllRoutesFailed,
    Call,
    CallContext,
    Dispatcher,
    Message,
    Outcome,
    ProviderError,
    ProviderSettings,
    Request,
    Settings,
    SettingsError,
    Usage,
)
from rolecall.testing import FakeClock, FakeProvider, LimiterContract
from rolecall_budget_limiter import DailyBudget, rolecall_limiters

TODAY = date(2026, 11, 23)


def settings(state: object = "", **options: Any) -> Settings:
    return Settings(state=str(state), providers={"one": ProviderSettings(options=options)})


def call(provider: str = "one") -> Call:
    return Call(number=1, agent="tester", provider=provider, model="m")


def use(limiter: DailyBudget, usage: Usage, provider: str = "one") -> None:
    asyncio.run(limiter.acquire(call(provider)))
    limiter.ended(call(provider), Outcome(usage=usage))


def is_used_up(limiter: DailyBudget, provider: str = "one") -> bool:
    try:
        asyncio.run(limiter.acquire(call(provider)))
    except ProviderError as error:
        return error.cause == "quota_exhausted"
    return False


class TestDailyBudget(LimiterContract):
    limiter = DailyBudget(settings(tokens_per_day=1000))


def test_a_provider_is_refused_once_its_tokens_are_used_up() -> None:
    limiter = DailyBudget(settings(tokens_per_day=1000))
    use(limiter, Usage(600, 399))
    assert not is_used_up(limiter)
    use(limiter, Usage(1, 0))
    with pytest.raises(ProviderError, match=r"^today's 1,000 tokens of one are used up$"):
        asyncio.run(limiter.acquire(call()))


def test_each_provider_has_a_budget_of_its_own() -> None:
    limiter = DailyBudget(settings(tokens_per_day=1000))
    use(limiter, Usage(9999), "another")
    assert not is_used_up(limiter)
    assert not is_used_up(limiter, "another")


def test_a_new_day_brings_new_tokens() -> None:
    days = iter([TODAY, TODAY, TODAY, date(2026, 11, 24)])
    limiter = DailyBudget(settings(tokens_per_day=1000), lambda: next(days))
    use(limiter, Usage(1000))
    assert is_used_up(limiter)
    assert not is_used_up(limiter)


def test_the_count_holds_over_runs(tmp_path: Path) -> None:
    own = settings(tmp_path / "state", tokens_per_day=1000)
    use(DailyBudget(own), Usage(1000))
    assert is_used_up(DailyBudget(own))


def test_an_agent_falls_back_and_fails_only_where_it_has_no_other_route() -> None:
    one, two = FakeProvider("one"), FakeProvider("two")
    limiter = DailyBudget(settings(tokens_per_day=15))  # a call of FakeProvider takes as many
    providers = {"one": one, "two": two}
    context = CallContext(providers=providers, limiters=[limiter], clock=FakeClock())
    dispatcher = Dispatcher(context)
    request = Request("You test.", (Message("user", "Hello"),))

    def ask(*routes: str) -> str:
        agent = Agent(name="a", title="A", goal="test", prompt="", routes=routes)
        return asyncio.run(dispatcher.run(agent, request)).route

    assert [ask("one", "two") for _ in range(3)] == ["one", "two", "two"]
    with pytest.raises(AllRoutesFailed, match="quota_exhausted"):
        ask("one")


@pytest.mark.parametrize("value", ["many", 1.5, True])
def test_a_budget_that_is_no_number_names_the_key(value: object) -> None:
    key = r"tool\.rolecall\.providers\.one\.options\.tokens_per_day: must be a whole number"
    with pytest.raises(SettingsError, match=key):
        rolecall_limiters(settings(tokens_per_day=value))


def test_without_a_budget_there_is_no_limiter() -> None:
    assert rolecall_limiters(settings()) == []


def test_what_is_simulated_or_replayed_is_not_limited() -> None:
    asked = evolve(settings(tokens_per_day=1), rehearsal=True)
    assert list(rolecall_limiters(asked)) == []
