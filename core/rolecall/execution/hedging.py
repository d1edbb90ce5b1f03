"""A second call for the same answer, where the first is late to begin.

Source: Jeffrey Dean and Luiz André Barroso, "The Tail at Scale", CACM 56(2), 2013.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class CallWatch:
    """What is to be known of a call while it is under way.

    is_beaten: the other call's answer was taken, so that this one is cancelled.
    """

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.answering = asyncio.Event()
        self.is_beaten = False


class Race(Generic[T]):
    """One call, and a second where the first has not begun to answer in time.

    call: makes a call, the first or the second. has_answered: whether a call's result is an answer;
    one that is none loses. ignored: errors of the second call that are nobody's concern.
    """

    def __init__(
        self,
        call: Callable[[int, CallWatch], Coroutine[Any, Any, T]],
        has_answered: Callable[[T], bool],
        ignored: tuple[type[Exception], ...] = (),
    ) -> None:
        self._call = call
        self._has_answered = has_answered
        self._ignored = ignored
        self._watches: list[CallWatch] = []
        self._calls: list[asyncio.Task[T]] = []
        self._is_won = False

    async def run(self, patience: float, on_late: Callable[[], bool]) -> T:
        """Return the result of the call that answers first, else of the first call.

        patience: seconds from the first call's permit to its first piece of text. on_late: returns
        whether the second call is made.
        """
        try:
            self._start()
            if await self._is_late(patience) and on_late():
                self._start()
            return await self._winner()
        finally:
            await self._end()

    def _start(self) -> None:
        watch = CallWatch()
        call = self._call(len(self._calls), watch)
        self._watches.append(watch)
        self._calls.append(asyncio.create_task(call))

    async def _is_late(self, patience: float) -> bool:
        """Wait for the first call to begin to answer; return whether it has not."""
        call, watch = self._calls[0], self._watches[0]
        await _either(call, watch.started.wait())
        await _either(call, watch.answering.wait(), patience)
        return not (call.done() or watch.answering.is_set())

    async def _winner(self) -> T:
        pending = set(self._calls)
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for call in done:
                is_second = call is not self._calls[0]
                if is_second and isinstance(call.exception(), self._ignored):
                    continue
                if self._has_answered(call.result()):
                    self._is_won = True
                    return call.result()
        return self._calls[0].result()

    async def _end(self) -> None:
        """Cancel the calls that are still under way, and wait until they are over."""
        for call, watch in zip(self._calls, self._watches, strict=True):
            watch.is_beaten = self._is_won
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)


async def _either(
    call: "asyncio.Task[T]", other: Awaitable[object], patience: float | None = None
) -> None:
    """Wait until a call is over or something else happens, for so many seconds at most."""
    waiting = asyncio.ensure_future(other)
    try:
        await asyncio.wait({call, waiting}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
