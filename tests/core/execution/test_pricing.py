"""What calls cost: the user's prices first, then the provider's."""

import pytest

from rolecall import HasPrices, Price, Route, Settings, Usage
from rolecall.execution.pricing import Pricing
from rolecall.testing import FakeProvider

MILLION = Usage(input=1_000_000, output=1_000_000)


class Priced(FakeProvider):
    model = "m"

    def cost(self, model: str, usage: Usage) -> float | None:
        return usage.input * 1e-6 if model == "m" else None


def prices(**own: Price) -> Pricing:
    return Pricing(Settings(prices=own), {"one": Priced("one"), "two": FakeProvider("two")})


def test_a_provider_that_has_prices_is_one() -> None:
    assert isinstance(Priced("one"), HasPrices)
    assert not isinstance(FakeProvider("two"), HasPrices)


@pytest.mark.parametrize(
    ("route", "cost"),
    [("one", 1.0), ("one/m", 1.0), ("one/n", None), ("two", None), ("two/m", None)],
)
def test_a_provider_prices_its_models_as_far_as_it_knows_them(
    route: str, cost: float | None
) -> None:
    assert prices().resolve(Route.parse(route)).cost(MILLION) == cost


@pytest.mark.parametrize("name", ["m", "one/m"])
def test_the_users_price_of_a_model_wins(name: str) -> None:
    assert prices(**{name: Price(3.0, 15.0)}).resolve(Route("one")).cost(MILLION) == 18.0


def test_what_came_from_a_cache_has_a_price_of_its_own() -> None:
    usage = Usage(input=1_000_000, cache_read=500_000, cache_write=250_000)
    assert Price(4.0, 0.0, cache_read=0.4, cache_write=5.0).cost(usage) == 1.0 + 0.2 + 1.25
    assert Price(4.0, 0.0).cost(usage) == 4.0
