"""Slow imports of providers, in threads while the run starts."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future

from ..types.messages import Preparable, Provider


class Preparation:
    """Prepares each provider once, however many calls wait for it."""

    def __init__(self) -> None:
        self._started: dict[str, Future[None] | None] = {}

    def start(self, provider: Provider) -> None:
        """Begin to prepare a provider, if it wants that and is not prepared yet."""
        if provider.name not in self._started:
            # Also noted where there is nothing to do: asking for a protocol takes long.
            preparing = _in_thread(provider.prepare) if isinstance(provider, Preparable) else None
            self._started[provider.name] = preparing

    async def wait(self, provider: Provider) -> None:
        """Return once a provider is prepared; raise what its preparation raised."""
        self.start(provider)
        if (started := self._started.get(provider.name)) is None:
            return
        if started.done():  # waiting for it all the same would wake the loop three times
            started.result()
        else:
            await asyncio.shield(asyncio.wrap_future(started))


def _in_thread(work: Callable[[], None]) -> "Future[None]":
    """Run something in a thread that does not keep the process alive, as an executor's would."""
    future: Future[None] = Future()

    def run() -> None:
        try:
            work()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(None)

    threading.Thread(target=run, daemon=True).start()
    return future
