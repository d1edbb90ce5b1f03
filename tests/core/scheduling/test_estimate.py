"""What a run is expected to come to."""

import pytest
from building import agent

from rolecall import Forecast, Price, Settings, Team
from rolecall.execution.attempt import CHARACTERS_PER_TOKEN, estimate
from rolecall.execution.pricing import Pricing
from rolecall.scheduling.estimate import OUTPUT, Estimate, estimate_run
from rolecall.scheduling.prompts import compose
from rolecall.storage.history import USUAL, AgentHistory
from rolecall.testing import FakeProvider

PRICED = Settings(interval=0.5, continuations=1, prices={"m": Price(1.0, 10.0)})
TEAM = Team(
    [
        agent("a", routes=["one/m"]),
        agent("b", "a", routes=["one/m", "one/dear"]),
        agent("c", "a", routes=["one/m"]),
        agent("d", "b", "c", routes=["one/m"]),
    ]
)


def estimated(settings: Settings = PRICED, **past: AgentHistory) -> Estimate:
    prices = Pricing(settings, {"one": FakeProvider("one")})
    return estimate_run(TEAM, "Build it.", settings, prices, past)


def test_without_past_runs_each_agent_is_taken_to_be_usual() -> None:
    first, *_, last = estimated().agents
    assert (first.output, first.seconds, first.calls, first.known) == (OUTPUT, USUAL, 1, False)
    assert last.input > 2 * OUTPUT  # it reads what two others wrote


def test_a_prompt_is_as_long_as_that_which_is_composed_with_what_others_write() -> None:
    needs = dict.fromkeys("bc", ("", "x" * CHARACTERS_PER_TOKEN * 700))
    last = estimated(b=AgentHistory(1.0, 1.0, 1.0, 700.0)).agents[-1]
    assert last.input == estimate(compose(last.agent, "Build it.", needs))


def test_past_runs_tell_better_and_stand_in_for_agents_that_they_had_not() -> None:
    one, two, *_ = estimated(a=AgentHistory(12.0, 2.0, 300.0, 700.0, 0.5)).agents
    assert (one.calls, one.input, one.output, one.seconds, one.known) == (2, 300, 700, 12, True)
    assert (two.output, two.seconds, two.known) == (700, 12, False)


def test_the_longest_path_says_how_long_it_takes() -> None:
    expected = estimated(
        b=AgentHistory(5.0, 1.0),
        c=AgentHistory(50.0, 1.0),
        a=AgentHistory(1.0),
        d=AgentHistory(2.0),
    )
    assert expected.critical == ("a", "c", "d")
    assert expected.seconds == 53.0


def test_pacing_says_how_long_it_takes_where_calls_are_quick() -> None:
    quick = {name: AgentHistory(0.01, 10.0) for name in TEAM.agents}
    assert estimated(**quick).seconds == pytest.approx(39 * 0.5, abs=0.1)


def test_a_cost_has_a_low_an_expected_and_a_most() -> None:
    forecast = estimated().forecast
    assert forecast.low is not None
    assert forecast.cost is not None
    assert forecast.most is not None
    assert 0 < forecast.low < forecast.cost < forecast.most
    each = PRICED.max_output_tokens * 10e-6
    assert forecast.most > len(TEAM) * 2 * each  # a whole budget, and another to go on


def test_an_unknown_price_makes_the_costs_unknown() -> None:
    expected = estimated(Settings())
    assert expected.unpriced == ("one/m",)
    forecast = expected.forecast
    assert (forecast.low, forecast.cost, forecast.most) == (None,) * 3


def test_a_forecast_is_said_in_a_line() -> None:
    told = Forecast(13, 79_482, 12_892, 90.0, 0.1, 0.2, 2.5)
    assert told.words == ("13 calls, 79k + 13k tokens, $0.20 (at most $2.50), 1.5 min")
    assert "at an unknown price" in Forecast(1, 1, 1, 1.0).words
