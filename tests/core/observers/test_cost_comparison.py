"""What the same calls would have cost elsewhere."""

from typing import Any

import pytest
from building import Heard, call_ended

from rolecall import CostsCompared, Event, Price, Route, RunEnded, RunStarted, Settings, Usage
from rolecall.execution.pricing import Pricing
from rolecall.observers.cost_comparison import CostComparison
from rolecall.testing import FakeProvider

SETTINGS = Settings(
    prices={
        "one/m": Price(input=1, output=10, cache_read=0.1, cache_write=1.25),
        "two/n": Price(input=3, output=15),
    }
)
PROVIDERS = {"one": FakeProvider("one"), "two": FakeProvider("two")}
MILLION = 1_000_000
OVER = RunEnded(at=9.0, done=1, failed=0, blocked=0)


def ended(provider: str, model: str, usage: Usage, **more: Any) -> Event:
    price = SETTINGS.prices.get(f"{provider}/{model}")
    return call_ended(
        provider=provider, model=model, usage=usage, cost=price and price.cost(usage), **more
    )


def compared(*events: Event) -> CostsCompared:
    heard = Heard()
    routes = [Route("one", "m"), Route("two", "n")]
    savings = CostComparison(Pricing(SETTINGS, PROVIDERS), routes, heard.notify)
    for event in (*events, OVER):
        savings.notify(event)
    (found,) = heard
    assert isinstance(found, CostsCompared)
    return found


def test_all_calls_are_priced_on_each_route() -> None:
    calls = (
        ended("one", "m", Usage(MILLION, MILLION)),
        ended("two", "n", Usage(2 * MILLION, MILLION)),
    )
    assert compared(*calls).elsewhere == (
        ("one/m", pytest.approx(11 + 12)),
        ("two/n", pytest.approx(18 + 21)),
    )


def test_calls_of_earlier_processes_count() -> None:
    past = ended("one", "m", Usage(MILLION))
    started = RunStarted(
        at=0.0,
        folder="",
        request="",
        agents=(),
        first_choices=(),
        past=(past,),  # type: ignore[arg-type]
    )
    assert compared(started).elsewhere[1] == ("two/n", 3.0)


def test_what_a_cache_saved_is_what_its_reads_save_less_what_its_writes_cost() -> None:
    read = ended("one", "m", Usage(MILLION, cache_read=MILLION))
    assert compared(read).cached == pytest.approx(0.9)
    written = ended("one", "m", Usage(MILLION, cache_write=MILLION))
    assert compared(written).cached == pytest.approx(-0.25)


def test_another_vendors_cache_is_not_imagined() -> None:
    assert compared(ended("one", "m", Usage(MILLION, cache_read=MILLION))).elsewhere[1][1] == 3.0


def test_an_unknown_price_makes_the_sum_unknown() -> None:
    strange = ended("two", "strange", Usage(MILLION, cache_read=5))
    assert compared(strange).elsewhere == (("one/m", 1.0), ("two/n", 3.0))
    assert compared(strange).cached is None


def test_failures_that_used_no_tokens_cost_nothing_anywhere() -> None:
    failed = call_ended(cause="timeout", text="")
    assert compared(failed) == CostsCompared(
        at=9.0, elsewhere=(("one/m", 0.0), ("two/n", 0.0)), cached=0.0, calls=1
    )
