"""Tells a cassette as a conversation."""

from collections.abc import Callable, Iterator, Sequence

from rolecall import ProviderError

from ..providers.anthropic_reply import ClaudeReply
from ..providers.gemini_reply import GeminiReply
from ..providers.reply_reader import Reading, Reply
from .takes import Head, Take

REPLIES: dict[str, Callable[[], Reply]] = {"anthropic": ClaudeReply, "gemini": GeminiReply}
WIDTH = 78


def conversation(head: Head, takes: Sequence[Take]) -> Iterator[str]:
    """Give the lines: what was asked of whom, and what came back; a repeated prompt only once."""
    when = f" on {head.recorded}" if head.recorded else ""
    yield f"recorded from {head.source}{when}, {len(takes)} calls"
    if head.request:
        yield from ("", head.request)
    told = ""
    for take in takes:
        asked = take.asked
        who = f"{take.agent or asked.wire} → {take.route or asked.model or asked.host}"
        took = f", {take.seconds:.1f} s" if take.seconds else ""
        yield from ("", f"{'═' * WIDTH}", f"{who}{took}")
        if asked.system:
            yield _rule("system")
            yield "(the same as before)" if asked.system == told else asked.system
            told = asked.system
        for role, text in asked.messages:
            yield from (_rule(role), text)
        yield from (_rule(f"reply {take.response['status']['code']}"), _said(take))


def _said(take: Take) -> str:
    """Give what a reply says, put together where it was streamed."""
    body = (take.response.get("body") or {}).get("string") or ""
    text = body if isinstance(body, str) else body.decode("utf-8", "replace")
    if take.asked.wire not in REPLIES:
        return text
    headers = {name: str(values[0]) for name, values in take.response["headers"].items()}
    reading = Reading(REPLIES[take.asked.wire](), take.response["status"]["code"], headers)
    try:
        reading.feed(text.encode())
        reading.close()
        response = reading.finish()
    except ProviderError as error:
        return f"[{error.cause}] {error}"
    note = f"[{response.detail}]" if response.detail else "[empty]"
    return response.text or note


def _rule(word: str) -> str:
    return f"── {word} {'─' * (WIDTH - 4 - len(word))}"
