"""A budget holds however many calls are under way."""

import asyncio

import pytest
from attrs import evolve
from building import REQUEST
from hypothesis import given
from hypothesis import strategies as st

from rolecall import BudgetReached, Cause, Message, Price, Request, Route, UsageError
from rolecall.execution.budget import Budget, worst_case
from rolecall.execution.pricing import ResolvedRoute
from rolecall.testing import FakeClock, FakeProvider

# A million tokens of output cost a dollar.
ONE = ResolvedRoute(Route("one", "m"), FakeProvider("one"), Price(0.0, 1.0))
UNPRICED = evolve(ONE, route=Route("one", "x"), own_price=None)
CALL = evolve(REQUEST, system="", messages=(Message("user", ""),), max_output_tokens=1_000_000)


def sized(dollars: float) -> Request:
    return evolve(CALL, max_output_tokens=round(dollars * 1_000_000))


def test_without_a_budget_everything_may_be_called() -> None:
    assert asyncio.run(Budget(None).reserve(UNPRICED, CALL)) == 0.0


def test_a_call_that_could_cost_more_than_is_left_is_not_made() -> None:
    with pytest.raises(BudgetReached, match=r"\$2\.50 is reached: \$2\.0000 is spent.*\$1\.0000"):
        asyncio.run(Budget(2.5, spent=2.0).reserve(ONE, CALL))


def test_a_model_of_unknown_price_is_refused_unless_that_is_allowed() -> None:
    with pytest.raises(UsageError, match=r'the price of one/x is unknown.*prices\."x"\]'):
        asyncio.run(Budget(1.0).reserve(UNPRICED, CALL))
    assert asyncio.run(Budget(1.0, allow_unpriced=True).reserve(UNPRICED, CALL)) == 0.0


def test_a_call_waits_for_those_under_way_to_leave_enough() -> None:
    async def run() -> None:
        own = Budget(2.0)
        first = await own.reserve(ONE, CALL)
        second = asyncio.ensure_future(own.reserve(ONE, sized(1.5)))
        await asyncio.sleep(0)
        assert not second.done()
        own.reconcile(first, 0.5, None)
        assert await second == 1.5

    asyncio.run(run())


def test_a_call_that_would_have_to_wait_for_ever_is_refused_when_the_last_one_ended() -> None:
    async def run() -> None:
        own = Budget(2.0)
        first = await own.reserve(ONE, CALL)
        second = asyncio.ensure_future(own.reserve(ONE, sized(1.5)))
        await asyncio.sleep(0)
        own.reconcile(first, 0.75, None)
        with pytest.raises(BudgetReached):
            await second

    asyncio.run(run())


@pytest.mark.parametrize(
    ("cause", "left"), [(Cause.RATE_LIMITED, 1.0), (Cause.SERVER_ERROR, 1.0), (Cause.TIMEOUT, 0.0)]
)
def test_a_failed_call_counts_as_its_most_where_something_may_be_billed(
    cause: Cause, left: float
) -> None:
    async def run() -> None:
        own = Budget(1.0)
        own.reconcile(await own.reserve(ONE, CALL), None, cause)
        if left:
            assert await own.reserve(ONE, CALL) == left
        else:
            with pytest.raises(BudgetReached):
                await own.reserve(ONE, CALL)

    asyncio.run(run())


def test_a_call_that_was_never_sent_costs_nothing() -> None:
    async def run() -> None:
        own = Budget(1.0)
        own.release(await own.reserve(ONE, CALL))
        assert await own.reserve(ONE, CALL) == 1.0

    asyncio.run(run())


@given(st.text())
def test_the_worst_case_of_a_prompt_is_half_its_bytes(text: str) -> None:
    asked = evolve(CALL, system=text)
    size = len(text.encode("utf-8", "surrogatepass"))
    assert worst_case(asked).input == size // 2 + 1


@given(
    st.lists(
        st.tuples(st.floats(0.001, 1.5), st.floats(0, 1), st.floats(0, 5), st.booleans()),
        max_size=30,
    )
)
def test_what_is_spent_never_exceeds_the_budget(
    calls: list[tuple[float, float, float, bool]],
) -> None:
    own, spent = Budget(3.0), 0.0

    async def call(worst: float, share: float, took: float, fails: bool) -> None:
        nonlocal spent
        try:
            reserved = await own.reserve(ONE, sized(worst))
        except BudgetReached:
            return
        await asyncio.sleep(took)
        cost = None if fails else reserved * share
        spent += reserved if cost is None else cost
        own.reconcile(reserved, cost, Cause.TIMEOUT if fails else None)

    async def run() -> None:
        await asyncio.wait_for(asyncio.gather(*(call(*each) for each in calls)), 1000)

    FakeClock().run(run())
    assert spent <= 3.0 + 1e-9
