"""An event loop in a thread of its own."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
from functools import partial

import pytest

from rolecall.api.background_loop import BackgroundLoop
from rolecall.api.loop_scope import LoopScope


class Opened:
    """What is open in a loop, and was closed."""

    def __init__(self) -> None:
        self.closed = 0
        self.scope = LoopScope(self._close)

    async def _close(self) -> None:
        await asyncio.sleep(0)
        self.closed += 1


async def where() -> tuple[asyncio.AbstractEventLoop, threading.Thread]:
    return asyncio.get_running_loop(), threading.current_thread()


def test_all_that_it_runs_runs_in_one_loop_of_another_thread() -> None:
    background = BackgroundLoop(Opened().scope)
    first, second = background.run(where()), background.run(where())
    assert first == second
    assert first[1] is not threading.current_thread()


def test_no_thread_starts_before_something_runs() -> None:
    before = threading.active_count()
    BackgroundLoop(Opened().scope)
    assert threading.active_count() == before


def test_what_a_coroutine_raises_is_raised() -> None:
    async def fail() -> None:
        raise ValueError("as told")

    with pytest.raises(ValueError, match="as told"):
        BackgroundLoop(Opened().scope).run(fail())


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself Ctrl-C there")
def test_who_is_interrupted_cancels_what_it_waited_for() -> None:
    cancelled = threading.Event()

    async def wait() -> None:
        interrupt = partial(os.kill, os.getpid(), signal.SIGINT)
        asyncio.get_running_loop().call_later(0.05, interrupt)  # by then it is waited for
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(KeyboardInterrupt):
        BackgroundLoop(Opened().scope).run(wait())
    assert cancelled.wait(10)


def test_the_loop_ends_with_its_owner_and_closes_what_is_open() -> None:
    opened = Opened()
    background = BackgroundLoop(opened.scope)
    background.run(opened.scope.hold())
    loop, thread = background.run(where())
    del background
    gc.collect()
    assert opened.closed == 1
    assert loop.is_closed()
    assert not thread.is_alive()


def test_what_runs_in_the_loop_cannot_wait_for_it() -> None:
    background = BackgroundLoop(Opened().scope)

    async def wait() -> None:
        background.run(where())

    with pytest.raises(RuntimeError, match="await instead"):
        background.run(wait())


def test_what_is_open_is_closed_as_the_process_ends() -> None:
    code = """
import asyncio
from rolecall.api.background_loop import BackgroundLoop
from rolecall.api.loop_scope import LoopScope

async def close():
    await asyncio.sleep(0)
    print("closed")

scope = LoopScope(close)
background = BackgroundLoop(scope)
background.run(scope.hold())
background.run(asyncio.to_thread(print, "ran"))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["ran", "closed"]
    assert ran.stderr == ""
