"""An event loop in a thread of its own, for programs that have none."""

import asyncio
import threading
import weakref
from collections.abc import Coroutine
from typing import Any, TypeVar

from .loop_scope import LoopScope

T = TypeVar("T")
ENDING = 5.0  # seconds for what the loop closes as it ends


class BackgroundLoop:
    """Runs coroutines for whoever waits in a thread; all in one loop, so that connections last.

    Its thread starts with the first and ends once nobody holds this object, or with the process.

    scope: what was opened in the loop; it lasts as long as the loop does, which closes it.
    """

    def __init__(self, scope: LoopScope) -> None:
        self._scope = scope
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine returns; who stops waiting for it cancels it."""
        loop = self._started()
        if self._thread is threading.current_thread():
            coroutine.close()
            raise RuntimeError("this thread runs the loop that it would wait for; await instead")
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        try:
            return future.result()
        finally:
            future.cancel()

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            # In a process that was forked, the thread of its parent does not run.
            if self._loop is None or self._thread is None or not self._thread.is_alive():
                self._loop = loop = asyncio.new_event_loop()
                self._thread = thread = threading.Thread(target=_run, args=(loop,), daemon=True)
                thread.start()
                weakref.finalize(self, _end, loop, thread, self._scope)
            return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _end(loop: asyncio.AbstractEventLoop, thread: threading.Thread, scope: LoopScope) -> None:
    if thread.is_alive():
        loop.call_soon_threadsafe(loop.stop)
        if thread is not threading.current_thread():  # which may be collecting garbage
            thread.join(ENDING)
