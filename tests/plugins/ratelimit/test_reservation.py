"""How much a call will write, by what was written before."""

from hypothesis import given
from hypothesis import strategies as st

from rolecall import Call
from rolecall_plugins.ratelimit.reservation import SHARE, TokenForecast


def call(agent: str = "architect", most: int = 4000) -> Call:
    return Call(number=1, agent=agent, provider="one", model="m", max_output_tokens=most)


def test_the_first_guess_is_a_share_of_the_budget() -> None:
    assert TokenForecast().expect(call(most=4000)) == 4000 / SHARE
    assert TokenForecast().expect(call(most=1)) == 1


def test_an_agent_is_expected_to_write_as_before() -> None:
    forecast = TokenForecast()
    forecast.learn(call("architect"), 900)
    forecast.learn(call("writer"), 100)
    assert forecast.expect(call("architect")) == 900
    assert forecast.expect(call("writer")) == 100


def test_a_new_agent_is_expected_to_write_as_the_others() -> None:
    forecast = TokenForecast()
    forecast.learn(call("architect"), 900)
    forecast.learn(call("writer"), 100)
    assert forecast.expect(call("newcomer")) == 900 - 800 / 4


def test_without_a_budget_what_was_written_before_is_all_there_is() -> None:
    forecast = TokenForecast()
    assert forecast.expect(call(most=0)) == 0
    forecast.learn(call(), 900)
    assert forecast.expect(call(most=0)) == 900


def test_newer_answers_count_more() -> None:
    forecast = TokenForecast()
    for output in (*[100] * 10, *[1000] * 10):
        forecast.learn(call(), output)
    assert 900 < forecast.expect(call()) < 1000


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=20), st.integers(1, 20_000))
def test_it_keeps_within_what_was_written_and_within_the_budget(
    outputs: list[int], most: int
) -> None:
    forecast = TokenForecast()
    for output in outputs:
        forecast.learn(call(), output)
    expected = forecast.expect(call(most=most))
    assert min(most, *outputs) <= expected <= min(most, max(outputs))
