"""A value of a cassette file that is checked where it is read, and says where it is wrong."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from attrs import frozen

from ..errors import CassetteError

LAST_MOMENT = 253_402_300_800  # the year 10000
Value = TypeVar("Value")
_KINDS = {
    dict: "a mapping",
    list: "a list",
    str: "a text",
    bytes: "binary data",
    bool: "yes or no",
    int: "a number",
    float: "a number",
    type(None): "empty",
}


@frozen
class Node:
    """A value of the file, and where it stands in it."""

    value: Any
    place: str

    def error(self, expected: str) -> CassetteError:
        kind = _KINDS.get(type(self.value), "something else")
        return CassetteError(f"{self.place} must be {expected}, and is {kind}")

    def field(self, name: str) -> "Node":
        """Return a field of a mapping; one that is missing is empty."""
        self.mapping()
        return Node(self.value.get(name), f"{self.place}.{name}" if self.place else name)

    def fields(self) -> Iterator[tuple[str, "Node"]]:
        """Yield names and values of a mapping whose names are texts; of what is empty, none."""
        if self.value is None:
            return
        self.mapping()
        for name, value in self.value.items():
            if not isinstance(name, str):
                raise CassetteError(f"{self.place} must have texts as names, and has {name!r}")
            yield name, Node(value, f"{self.place}.{name}")

    def items(self) -> Iterator["Node"]:
        """Yield the items of a list; of what is empty, none."""
        if self.value is None:
            return
        if not isinstance(self.value, list):
            raise self.error("a list")
        for number, value in enumerate(self.value):
            yield Node(value, f"{self.place}[{number}]")

    def mapping(self) -> dict[Any, Any]:
        if not isinstance(self.value, dict):
            raise self.error("a mapping")
        return self.value

    def text(self, default: str | None = None) -> str:
        if self.value is None and default is not None:
            return default
        if not isinstance(self.value, str):
            raise self.error("a text")
        return self.value

    def number(self, default: float) -> float:
        if self.value is None:
            return default
        if not isinstance(self.value, int | float) or isinstance(self.value, bool):
            raise self.error("a number")
        return self.value

    def moment(self) -> float:
        """Return a time in seconds since 1970; one that no calendar has is an error."""
        seconds = self.number(0.0)
        if not 0 <= seconds < LAST_MOMENT:
            raise self.error("a time in seconds since 1970")
        return seconds

    def whole(self) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise self.error("a whole number")
        return self.value

    def flag(self) -> bool:
        if not isinstance(self.value, bool | None):
            raise self.error("true or false")
        return bool(self.value)

    def texts(self) -> tuple[str, ...]:
        return tuple(item.text() for item in self.items())

    def converted(self, convert: Callable[[str], Value]) -> Value:
        """Convert a text; what it raises as a ValueError is the error of this place."""
        text = self.text()
        try:
            return convert(text)
        except ValueError as error:
            raise CassetteError(f"{self.place}: {error}") from error
