"""Check that calls of tools and their results, and signed thoughts, stand where they must.

Source: https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use
"""

from collections import Counter
from collections.abc import Sequence

from attrs import frozen

from ..exchange import Query
from .content import Blocks, invalid
from .events import signature_of

_THINKING = ("thinking", "redacted_thinking")


@frozen
class SentMessage:
    """A message, or several of one role in a row, which count as one; `number` of the first."""

    number: int
    role: str
    blocks: Blocks


def joined(messages: Sequence[SentMessage]) -> list[SentMessage]:
    """Join messages of one role that follow each other, as the API does."""
    turns: list[SentMessage] = []
    for message in messages:
        if turns and turns[-1].role == message.role:
            before = turns.pop()
            message = SentMessage(before.number, before.role, before.blocks + message.blocks)
        turns.append(message)
    return turns


def check_calls(messages: Sequence[SentMessage]) -> None:
    """Reject a call without its result right behind it, and a result without its call."""
    turns = joined(messages)
    ids = [call.id for turn in turns for call in turn.blocks.calls]
    if len(ids) != len(set(ids)):
        raise invalid("messages: `tool_use` ids must be unique")
    waiting: tuple[str, ...] = ()
    asked_in = 0
    for turn in turns:
        if turn.role == "user":
            _check_results(turn, waiting, asked_in)
            waiting = ()
        else:
            waiting = tuple(call.id for call in turn.blocks.calls)
            asked_in = turn.number
    if waiting:
        raise _unanswered(asked_in, waiting)


def check_thinking(messages: Sequence[SentMessage]) -> None:
    """Reject an answer with calls whose thoughts do not come back, where thinking is enabled."""
    turns = joined(messages)
    if len(turns) < 2 or not turns[-1].blocks.results:
        return
    number, kinds = turns[-2].number, turns[-2].blocks.kinds
    if kinds and kinds[0] not in _THINKING:
        raise invalid(
            f"messages.{number}.content.0.type: Expected `thinking` or `redacted_thinking`, but "
            f"found `{kinds[0]}`. When `thinking` is enabled, a final `assistant` message must "
            "start with a thinking block (preceeding the lastmost set of `tool_use` and "
            "`tool_result` blocks). We recommend you include thinking blocks from previous turns. "
            "To avoid this requirement, disable `thinking`."
        )


def check_signatures(query: Query) -> None:
    """Reject thoughts that are not as they were sent."""
    for part in query.signed:
        if part.signature != signature_of(part.content):
            raise invalid(f"{part.place}: Invalid `signature` in `thinking` block")


def _check_results(turn: SentMessage, waiting: Sequence[str], asked_in: int) -> None:
    kinds = turn.blocks.kinds
    first = next((n for n, kind in enumerate(kinds) if kind != "tool_result"), len(kinds))
    answered = Counter(result.id for result in turn.blocks.results)
    in_front = {result.id for result in turn.blocks.results[:first]}
    missing = [call for call in waiting if call not in in_front]
    if missing:
        raise _unanswered(asked_in, missing)
    for number, result in enumerate(turn.blocks.results):
        place = f"messages.{turn.number}.content.{number}"
        if result.id not in waiting:
            raise invalid(
                f"{place}: unexpected `tool_use_id` found in `tool_result` blocks: {result.id}. "
                "Each `tool_result` block must have a corresponding `tool_use` block in the "
                "previous message."
            )
        if answered[result.id] > 1:
            raise invalid(
                f"{place}: each tool_use must have a single result. Found multiple `tool_result` "
                f"blocks with id: {result.id}"
            )


def _unanswered(asked_in: int, calls: Sequence[str]) -> Exception:
    return invalid(
        f"messages.{asked_in}: `tool_use` ids were found without `tool_result` blocks immediately "
        f"after: {', '.join(calls)}. Each `tool_use` block must have a corresponding `tool_result` "
        "block in the next message."
    )
