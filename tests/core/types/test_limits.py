"""What limiters are asked and told, and the clock they are given."""

import asyncio
import time

from attrs import evolve
from building import Gate

from rolecall import Call, Outcome, SendLimiter, SystemClock

CALL = Call(number=1, agent="writer", provider="one", model="m")


def test_the_systems_clock_is_the_one_that_all_processes_read_alike() -> None:
    before = time.monotonic()
    assert before <= SystemClock().now() <= time.monotonic()


def test_the_systems_clock_lets_other_tasks_run_while_it_sleeps() -> None:
    async def ran_meanwhile() -> list[str]:
        done: list[str] = []

        async def note() -> None:
            done.append("note")

        task = asyncio.create_task(note())
        await SystemClock().sleep(0)
        done.append("awake")
        await task
        return done

    assert asyncio.run(ran_meanwhile()) == ["note", "awake"]


def test_who_is_told_why_a_call_waits_makes_no_difference_between_calls() -> None:
    assert evolve(CALL, on_wait=print) == CALL


def test_nobody_need_listen_why_a_call_waits() -> None:
    CALL.on_wait("429, retry after 3 s", 3.0)


def test_a_call_that_ended_was_started_and_succeeded_unless_it_is_said() -> None:
    assert (Outcome().started, Outcome().cause) == (True, None)


def test_a_limiter_is_asked_at_the_sending_only_if_it_wants_to_be() -> None:
    class Sending(Gate):
        async def sending(self, call: Call) -> None:
            pass

    assert not isinstance(Gate(), SendLimiter)
    assert isinstance(Sending(), SendLimiter)
