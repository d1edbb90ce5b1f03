"""One answer of a model, piece by piece, while the calls for it are made."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from itertools import count

from attrs import frozen

from ..types.causes import Cause
from ..types.events import CallEnded, CallStarted, CallText, Event


@frozen
class Restart:
    """What was streamed so far is void: the text begins again.

    cause: why the call failed whose pieces they were; None where the vendor's whole answer was
        another text than its pieces.
    """

    cause: Cause | None = None


class TextStream:
    """The pieces of one answer: what comes after the last `Restart` is the judged text."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[str | Restart | None] = asyncio.Queue()
        self._streamed: list[str] = []
        self._judged = ""
        self._cause: Cause | None = None

    def began(self) -> None:
        """Begin a call: what an earlier one streamed, and was not found good, is void."""
        if "".join(self._streamed) != self._judged:
            self._restart(self._cause, self._judged)

    def add(self, piece: str) -> None:
        """Stream a piece that is not judged yet."""
        if piece:
            self._streamed.append(piece)
            self._queue.put_nowait(piece)

    def ended(self, cause: Cause | None) -> None:
        """Remember why a call failed."""
        self._cause = cause

    def judged(self, text: str) -> None:
        """Take the answer so far as it was found good, and stream what is missing of it."""
        streamed = "".join(self._streamed)
        if text.startswith(streamed):
            self.add(text[len(streamed) :])
        else:
            self._restart(None, text)
        self._judged = text

    def close(self) -> None:
        """End the stream; nothing comes after what is in it."""
        self._queue.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[str | Restart]:
        while (piece := await self._queue.get()) is not None:
            yield piece

    def _restart(self, cause: Cause | None, text: str) -> None:
        self._queue.put_nowait(Restart(cause))
        self._streamed = []
        self.add(text)


class TextStreams:
    """Listens to all calls, and passes what each streams on to the one that it is made for."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._by_step: dict[str, TextStream] = {}
        self._by_call: dict[int, TextStream] = {}

    def notify(self, event: Event) -> None:
        """Hear an event; an observer's part."""
        match event:
            case CallStarted() if (stream := self._by_step.get(event.step)) is not None:
                self._by_call[event.call] = stream
                stream.began()
            case CallText() if (stream := self._by_call.get(event.call)) is not None:
                stream.add(event.delta)
            case CallEnded() if (stream := self._by_call.pop(event.call, None)) is not None:
                stream.ended(event.cause)

    async def follow(
        self, answer: Callable[[str, Callable[[str], None]], Awaitable[object]]
    ) -> AsyncGenerator[str | Restart, None]:
        """Yield what the calls for an answer stream, and raise what they end in.

        answer: makes the calls, under a key of their step; it tells what of the text is judged.
        """
        stream, step = TextStream(), f"stream-{next(self._numbers)}"
        self._by_step[step] = stream
        task = asyncio.ensure_future(answer(step, stream.judged))
        task.add_done_callback(lambda _: stream.close())
        try:
            async for piece in stream:
                yield piece
            await task
        finally:
            # Whoever leaves the iteration wants no more of it.
            task.cancel()
            await asyncio.wait([task])
            del self._by_step[step]
            for call, other in list(self._by_call.items()):
                if other is stream:  # a call that is cancelled has no end
                    del self._by_call[call]
