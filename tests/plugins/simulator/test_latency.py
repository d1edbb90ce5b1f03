"""Latencies: how they are written, and that a seed settles them."""

import statistics
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_plugins.simulator.scenario import Latency, ScenarioError


@pytest.mark.parametrize(
    ("text", "latency"),
    [
        ("0.2", Latency("constant", (0.2,))),
        ("1e-3", Latency("constant", (0.001,))),
        ("0.1-0.5", Latency("uniform", (0.1, 0.5))),
        ("uniform:0.1,0.5", Latency("uniform", (0.1, 0.5))),
        ("lognormal:0.8,0.4", Latency("lognormal", (0.8, 0.4))),
    ],
)
def test_a_latency_is_read_from_a_short_text(text: str, latency: Latency) -> None:
    assert Latency.parse(text) == latency


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("soon", "'soon' is not a number"),
        ("", "'' is not a number"),
        ("-1", "must be finite and not negative"),
        ("nan", "must be finite"),
        ("inf", "must be finite"),
        ("0.5-0.1", "from low to high"),
        ("lognormal:0.8", "needs MEDIAN,SIGMA"),
        ("lognormal:0,1", "a median above 0"),
        ("lognorml:0.8,0.4", "did you mean 'lognormal'? valid: constant, lognormal, uniform"),
    ],
)
def test_a_wrong_latency_is_named_with_what_is_right(text: str, said: str) -> None:
    with pytest.raises(ScenarioError) as error:
        Latency.parse(text)
    assert str(error.value).startswith(f"latency {text!r}: ")
    assert said in str(error.value)


@given(st.text())
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        Latency.parse(text)
    except ScenarioError:
        return


def test_the_same_seed_gives_the_same_latency() -> None:
    for text in ("0.2", "0.1-0.5", "lognormal:0.8,0.4"):
        latency = Latency.parse(text)
        assert latency.sample(Random(7)) == latency.sample(Random(7))


def test_samples_are_distributed_as_asked() -> None:
    rng = Random(1)
    constant, uniform, lognormal = map(Latency.parse, ("0.2", "0.1-0.5", "lognormal:0.8,0.4"))
    assert {constant.sample(rng) for _ in range(9)} == {0.2}
    assert all(0.1 <= uniform.sample(rng) <= 0.5 for _ in range(999))
    samples = [lognormal.sample(rng) for _ in range(4999)]
    assert statistics.median(samples) == pytest.approx(0.8, rel=0.05)
