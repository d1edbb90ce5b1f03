"""The failures that look alike at every vendor: silence, cut connections, broken payloads."""

from collections.abc import Callable

from attrs import evolve

from .cases import Case
from .exchange import Chunk, Ending, Framing, HttpReply

_HTML = b"<!doctype html>\n<title>Simulated gateway</title>\n<p>This is not the API.</p>\n"

Break = Callable[[Framing, Case], HttpReply]


def unanswered(ending: Ending) -> Break:
    """Send nothing at all."""
    return lambda _framing, _case: HttpReply(status=None, ending=ending)


def midway(ending: Ending) -> Break:
    """Send the beginning of a good answer."""
    return lambda framing, case: broken_off(_begun(framing, case), ending)


def cut_json(framing: Framing, case: Case) -> HttpReply:
    """End properly, with JSON that does not."""
    whole = _begun(framing, case)
    if not whole.streamed:
        return evolve(whole, chunks=(Chunk(_most(whole.body)),))
    *opening, last = broken_off(whole, Ending.DONE).chunks or whole.chunks
    return evolve(whole, chunks=(*opening, Chunk(_most(last.data))))


def html(_framing: Framing, _case: Case) -> HttpReply:
    """Answer 200 with a page of HTML, as a gateway in between would."""
    headers = (("content-type", "text/html; charset=utf-8"),)
    return HttpReply(status=200, headers=headers, chunks=(Chunk(_HTML),))


def broken_off(answer: HttpReply, ending: Ending) -> HttpReply:
    """Leave out what ends a stream, or the last third of a plain answer."""
    if answer.streamed:
        opening = tuple(chunk for chunk in answer.chunks if not chunk.closing)
        return evolve(answer, chunks=opening, ending=ending)
    chunks = (Chunk(_most(answer.body)),)
    return evolve(answer, chunks=chunks, ending=ending, promised=len(answer.body))


def _begun(framing: Framing, case: Case) -> HttpReply:
    """Frame the good answer as far as it is to come; calls stand at its end, and are broken off."""
    return framing.reply(case.query, case.beginning, case.calls)


def _most(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]
