"""Load YAML that a stranger may have written: plain values alone, within fixed limits.

PyYAML's safe loader builds no Python objects, but it expands a few hundred bytes of aliases to
gigabytes once they are walked, and recurses as deep as the file nests. So values are built from
the parser's events, without recursion, and whatever exceeds a limit is refused with its place.
"""

from collections.abc import Iterator
from typing import Any

import yaml
from attrs import define, field

from ..errors import CassetteError

MAX_DEPTH = 100
MAX_VALUES = 2_000_000  # what an alias stands for counts each time
_TAG = "tag:yaml.org,2002:"
_PLAIN = {f"{_TAG}{name}" for name in ("null", "bool", "int", "float", "str", "binary")}
# As PyYAML's safe loader tells 1.0, 0x10, yes and ~ from texts.
_scalars = yaml.SafeLoader("")
_Parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@define
class _Open:
    """A list or mapping whose end has not come yet, and the key that waits for its value."""

    value: list[Any] | dict[Any, Any]
    anchor: str | None
    size: int = 1
    key: list[Any] = field(factory=list)

    def add(self, value: Any, place: str) -> None:
        if isinstance(self.value, list):
            self.value.append(value)
        elif self.key:
            self.value[self.key.pop()] = value
        elif isinstance(value, list | dict):
            raise CassetteError(f"{place}: a key must be a text or a number")
        elif value in self.value:
            raise CassetteError(f"{place}: the key {value!r} is there twice")
        else:
            self.key.append(value)


def load_yaml(text: str | bytes) -> Any:
    """Build the value of the only document; raise CassetteError with the line that is wrong."""
    try:
        return _build(yaml.parse(text, Loader=_Parser))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        raise CassetteError(f"{where}{error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise CassetteError(" ".join(str(error).split())[:200]) from error


def _build(events: Iterator[Any]) -> Any:
    root: list[Any] = []
    stack = [_Open(root, None)]
    anchors: dict[str, tuple[Any, int]] = {}
    for event in events:
        size = 1
        place = f"line {event.start_mark.line + 1}" if event.start_mark else "the file"
        match event:
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                _check_tag(event, place)
                if len(stack) > MAX_DEPTH:
                    raise CassetteError(f"{place}: it nests more than {MAX_DEPTH} levels deep")
                is_list = isinstance(event, yaml.SequenceStartEvent)
                stack.append(_Open([] if is_list else {}, event.anchor))
                continue
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                closed = stack.pop()
                value, size, anchor = closed.value, closed.size, closed.anchor
            case yaml.ScalarEvent():
                value, anchor = _scalar(event, place), event.anchor
            case yaml.AliasEvent():
                if event.anchor not in anchors:
                    raise CassetteError(f"{place}: the alias {event.anchor!r} has no value yet")
                (value, size), anchor = anchors[event.anchor], None
            case yaml.DocumentStartEvent() if root:
                raise CassetteError(f"{place}: it holds more than one document")
            case _:
                continue
        if anchor is not None:
            anchors[anchor] = value, size
        stack[-1].add(value, place)
        stack[-1].size += size
        if stack[-1].size > MAX_VALUES:
            raise CassetteError(f"{place}: it holds more than {MAX_VALUES} values")
    return root[0] if root else None


def _scalar(event: Any, place: str) -> Any:
    if event.tag is None and event.implicit[1] and not event.implicit[0]:
        return event.value  # quoted, or a block: always a text
    _check_tag(event, place)
    tag = event.tag or _scalars.resolve(yaml.ScalarNode, event.value, event.implicit)
    if tag not in _PLAIN:
        return event.value  # a date, say: to a cassette it is a text
    try:
        return _scalars.construct_object(yaml.ScalarNode(tag, event.value, event.start_mark))
    except (ValueError, OverflowError) as error:
        raise CassetteError(f"{place}: {event.value[:40]!r} cannot be read: {error}") from error


def _check_tag(event: Any, place: str) -> None:
    plain = _PLAIN | {f"{_TAG}seq", f"{_TAG}map"}
    if event.tag is not None and event.tag not in {*plain, "!"}:
        raise CassetteError(f"{place}: the tag {event.tag[:80]!r} is not allowed")
