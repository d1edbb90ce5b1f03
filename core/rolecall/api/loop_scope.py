"""What stays open as long as an event loop runs: connections cannot be shared between loops."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable


class LoopScope:
    """Calls `close` in each event loop in which something was held, as that loop ends."""

    def __init__(self, close: Callable[[], Awaitable[None]]) -> None:
        self._close = close
        self._held: dict[asyncio.AbstractEventLoop, AsyncIterator[None]] = {}

    async def hold(self) -> None:
        """Close what is opened in this loop as the loop ends, and not after it.

        As it ends, a loop closes what generators were begun in it.
        """
        loop = asyncio.get_running_loop()
        if loop not in self._held:
            self._held[loop] = closing = self._close_at_last(loop)
            await anext(closing)

    async def _close_at_last(self, loop: asyncio.AbstractEventLoop) -> AsyncIterator[None]:
        try:
            yield
        finally:
            del self._held[loop]  # it holds the loop
            await self._close()
