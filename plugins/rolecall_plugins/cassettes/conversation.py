"""Write a cassette as a conversation."""

import json
from collections.abc import Callable, Iterator, Sequence

from rolecall import ProviderError

from ..providers.anthropic_reply import ClaudeReply
from ..providers.gemini_reply import GeminiReply
from ..providers.reply_reader import Reading, Reply
from .files.bodies import parse_json
from .interactions import CassetteMetadata, Interaction
from .tool_calls.values import ActingRecord

REPLIES: dict[str, Callable[[], Reply]] = {"anthropic": ClaudeReply, "gemini": GeminiReply}
WIDTH = 78


def conversation(metadata: CassetteMetadata, interactions: Sequence[Interaction]) -> Iterator[str]:
    """Yield lines: what was asked of whom and what came back; a repeated prompt only once."""
    when = f" on {metadata.recorded}" if metadata.recorded else ""
    calls = "1 call" if len(interactions) == 1 else f"{len(interactions)} calls"
    yield f"recorded from {metadata.source}{when}, {calls}"
    if metadata.request:
        yield from ("", metadata.request)
    shown_system = shown_tools = ""
    for interaction in interactions:
        request = interaction.canonical
        where = interaction.route or request.model or request.host
        who = f"{interaction.agent or request.wire} → {where}"
        duration = f", {interaction.seconds:.1f} s" if interaction.seconds else ""
        yield from ("", f"{'═' * WIDTH}", f"{who}{duration}")
        if request.system:
            yield _rule("system")
            yield "(the same as before)" if request.system == shown_system else request.system
            shown_system = request.system
        if request.tools:
            yield _rule("tools")
            yield (
                "(the same as before)" if request.tools == shown_tools else _indented(request.tools)
            )
            shown_tools = request.tools
        for role, text in request.messages:
            yield from (_rule(role), text)
        yield from (
            _rule(f"reply {interaction.response['status']['code']}"),
            _reply_text(interaction),
        )
    yield from _acts(metadata.acting)


def _acts(acting: ActingRecord) -> Iterator[str]:
    """Yield what tool calls came to and what was verified; neither is in the exchanges."""
    for call in acting.calls:
        yield from ("", f"{'═' * WIDTH}", f"{call.agent}: {call.tool}")
        yield from (_rule("arguments"), json.dumps(dict(call.arguments), ensure_ascii=False))
        yield from (_rule("error" if call.is_error else "result"), call.text)
        if call.files is None:
            yield from (_rule("files"), "too large to be recorded")
        elif call.files:
            yield _rule("files")
            for file in call.files:
                yield f"{'-' if file.content is None else '+'} {file.path}"
    for verified in acting.verifications:
        yield from ("", f"{'═' * WIDTH}", f"{verified.agent}: verified in {verified.sandbox}")
        for check in verified.checks:
            fate = "passed" if check.has_passed else f"failed: {check.stopped or check.code}"
            yield from (_rule(fate), f"$ {check.command}", check.output)


def _indented(text: str) -> str:
    value = parse_json(text)
    return text if value is None else json.dumps(value, ensure_ascii=False, indent=1)


def _reply_text(interaction: Interaction) -> str:
    """Return the text of a reply, put together where it was streamed."""
    reply = interaction.reply
    text = reply if isinstance(reply, str) else reply.decode("utf-8", "replace")
    wire = interaction.canonical.wire
    if wire not in REPLIES:
        return text
    headers = {name: str(values[0]) for name, values in interaction.response["headers"].items()}
    reading = Reading(REPLIES[wire](), interaction.response["status"]["code"], headers)
    try:
        reading.feed(text.encode("utf-8", "replace"))
        reading.close()
        response = reading.finish()
    except ProviderError as error:
        return f"[{error.cause}] {error}"
    calls = [
        f"[calls {call.name} {json.dumps(dict(call.arguments), ensure_ascii=False, indent=1)}]"
        for call in response.tool_calls
    ]
    note = f"[{response.detail}]" if response.detail else "[empty]"
    return "\n".join([response.text, *calls]).strip() if calls else response.text or note


def _rule(word: str) -> str:
    return f"── {word} {'─' * (WIDTH - 4 - len(word))}"
