"""A turn with tool calls, as it goes back into the conversation."""

from collections.abc import Iterable

from attrs import evolve

from rolecall import Part, ToolCall

OWN_ID = "rolecall-"  # begins the ids of calls to which the vendor gave none of their own


def identified(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Return the parts of a turn, each call with an id that no other call of the turn has."""
    ids: set[str] = set()
    turn = []
    for place, part in enumerate(parts, 1):
        if isinstance(part, ToolCall):
            if not part.id or part.id in ids:
                part = evolve(part, id=f"{OWN_ID}{place}")
            ids.add(part.id)
        turn.append(part)
    return tuple(turn)
