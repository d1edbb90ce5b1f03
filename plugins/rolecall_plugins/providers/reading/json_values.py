"""The JSON values of a body or an event that arrives in pieces, read without a long pause."""

import codecs
import json
import re
from collections.abc import Iterator

# `json.loads` cannot be interrupted and holds the event loop up, 50 ms for a megabyte of numbers.
# So what grows larger than this is parsed while it arrives; all else, that is nearly all, at once,
# which is faster.
LARGE = 8 * 1024
BEGINNING = 16 * 1024  # bytes kept to be shown
# A text that holds more is none of a vendor's.
MOST_VALUES = 200_000
DEEPEST = 500
_LONGEST_TOKEN = 5_000

_SPACE = re.compile(r"[ \t\n\r]*")
_SCALAR = re.compile(r"[-+.\w]+")
_MARK = re.compile(r'[ \t\n\r]*([\[\]{},:"])')
_SCALARS = re.compile(r"(?:[ \t\n\r]*[-+.\w]+[ \t\n\r]*,)+")
_HIGH_HALF = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}")
_AT_ONCE = json.JSONDecoder()


class JsonValues:
    """The values that one text holds: mostly one, several where a sender forgot to part them."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._large: JsonParser | None = None
        self._failure: ValueError | None = None

    def add(self, piece: bytes) -> None:
        """Take the next bytes; those behind a mistake are dropped."""
        if self._large is None:
            self._pieces.append(piece)
            self._size += len(piece)
            if self._size <= LARGE:
                return
            piece = b"".join(self._pieces)
            self._pieces = [piece[:BEGINNING]]
            self._large = JsonParser()
            piece = piece.removeprefix(codecs.BOM_UTF8)
        else:
            if self._size < BEGINNING:
                self._pieces.append(piece)
            self._size += len(piece)
        if self._failure is None:
            try:
                self._large.feed(piece)
            except ValueError as failure:
                self._failure = failure

    @property
    def beginning(self) -> bytes:
        """Return the first bytes, for a message."""
        return b"".join(self._pieces)[:BEGINNING]

    def __iter__(self) -> Iterator[object]:
        """Yield the values once all is there; raise ValueError where one is none."""
        if self._large is None:
            yield from _values(b"".join(self._pieces))
            return
        try:
            if self._failure is None:
                self._large.close()
        except ValueError as failure:
            self._failure = failure
        yield from self._large.values
        if self._failure is not None:
            raise self._failure


def _values(data: bytes) -> Iterator[object]:
    if not data.strip():
        return
    try:
        value: object = json.loads(data)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    except ValueError:
        pass
    else:
        yield value
        return
    # Something stands behind the first value, or that is none, or not all of its bytes are text.
    text = data.decode("utf-8-sig", "replace")
    place = _end(_SPACE, text, 0)
    while place < len(text):
        try:
            value, place = _AT_ONCE.raw_decode(text, place)
        except RecursionError as error:
            raise ValueError("nested too deep") from error
        yield value
        place = _end(_SPACE, text, place)


class JsonParser:
    """Parses JSON as it arrives; what it takes for a piece grows with that piece alone.

    `values` are the whole ones so far. Grammar: RFC 8259, and NaN and Infinity as `json` has them.
    """

    def __init__(self) -> None:
        self.values: list[object] = []
        # The HTML standard's decoding of streams, which replaces bytes that are no text.
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""
        self._count = 0
        # What is open, from the outermost: lists, and objects each with the key that is due.
        self._open: list[list[object] | dict[str, object]] = []
        self._keys: list[str | None] = []
        self._string: list[str] | None = None  # the pieces of a string that is not whole yet
        self._due = "value"  # or "first" (value or end), "key", "colon", "more" (comma or end)

    def feed(self, data: bytes) -> None:
        """Take the next bytes; raise ValueError where they are no JSON."""
        self._read(self._rest + self._decode(data))
        if self._string is None and len(self._rest) > _LONGEST_TOKEN:
            raise ValueError("a number or word without an end")

    def close(self) -> None:
        """Take the end; raise ValueError where a value is not whole."""
        # A number at the very end is known to be whole by the blank behind it.
        self._read(self._rest + self._decode(b"", True) + " ")
        if self._open or self._string is not None or self._rest.strip():
            raise ValueError("ends within a value")

    def _read(self, text: str) -> None:
        place, tries = 0, 8
        while True:
            if self._string is not None:
                place = self._read_string(self._string, text, place)
                if self._string is not None:
                    break
            elif mark := _MARK.match(text, place):
                place = mark.end()
                # What is there to its end is read at once. Where it is not, every container
                # around it is tried in vain as well, and looks through all the text again.
                if tries and mark[1] in "[{" and self._due in ("value", "first"):
                    end = self._read_whole(text, place - 1)
                    tries -= end is None
                    if end is not None:
                        place = end
                        continue
                self._take_mark(mark[1])
            elif (
                self._open
                and isinstance(self._open[-1], list)
                and self._due == "value"
                and (scalars := _SCALARS.match(text, place))
            ):
                place = scalars.end()
                for value in json.loads(f"[{scalars[0][:-1]}]"):
                    self._put_into(value)
                self._due = "value"
            else:
                start = _end(_SPACE, text, place)
                scalar = _SCALAR.match(text, start)
                if start < len(text) and scalar is None:
                    raise ValueError(f"no JSON: {text[start]!r}")
                if scalar is None or scalar.end() == len(text):
                    place = start
                    break
                place = scalar.end()
                self._put(json.loads(scalar[0]))
        self._rest = text[place:]

    def _read_whole(self, text: str, place: int) -> int | None:
        """Read a list or an object that ends within the text; return where it does."""
        try:
            value, end = _AT_ONCE.raw_decode(text, place)
        except (ValueError, RecursionError):
            return None  # or it is none: then reading it by its marks tells why
        self._count += text.count(",", place, end)
        self._put_into(value)
        return end

    def _read_string(self, pieces: list[str], text: str, place: int) -> int:
        """Read on in a string; return the place behind what was read of it."""
        end = text.find('"', place)
        while end >= 0 and _backslashes(text, place, end) % 2:
            end = text.find('"', end + 1)
        until = _before_escape(text, place) if end < 0 else end
        pieces.append(json.loads(f'"{text[place:until]}"'))
        if end < 0:
            return until
        self._string = None
        self._put_string("".join(pieces))
        return end + 1

    def _take_mark(self, mark: str) -> None:
        match mark, self._due:
            case '"', "value" | "first" | "key" | "first key":
                self._string = []
            case "[", "value" | "first":
                self._begin([], "first")
            case "{", "value" | "first":
                self._begin({}, "first key")
            case "]", "first" | "more" if isinstance(self._open[-1], list):
                self._end()
            case "}", "first key" | "more" if isinstance(self._open[-1], dict):
                self._end()
            case ":", "colon":
                self._due = "value"
            case ",", "more":
                self._due = "value" if isinstance(self._open[-1], list) else "key"
            case _:
                raise ValueError(f"{mark!r} in the wrong place")

    def _begin(self, value: list[object] | dict[str, object], due: str) -> None:
        if len(self._open) == DEEPEST:
            raise ValueError("nested too deep")
        self._open.append(value)
        self._keys.append(None)
        self._due = due

    def _end(self) -> None:
        self._keys.pop()
        self._put_into(self._open.pop())

    def _put_string(self, text: str) -> None:
        if self._due in ("key", "first key"):
            self._keys[-1] = text
            self._due = "colon"
        else:
            self._put(text)

    def _put(self, value: object) -> None:
        if self._due not in ("value", "first"):
            raise ValueError("a value in the wrong place")
        self._put_into(value)

    def _put_into(self, value: object) -> None:
        self._count += 1
        if self._count > MOST_VALUES:
            raise ValueError("too many values")
        match self._open[-1:]:
            case [list() as items]:
                items.append(value)
            case [dict() as members]:
                key = self._keys[-1]
                assert key is not None
                members[key] = value
            case _:
                self.values.append(value)
        self._due = "more" if self._open else "value"


def _end(pattern: re.Pattern[str], text: str, place: int) -> int:
    match = pattern.match(text, place)
    return match.end() if match else place


def _backslashes(text: str, start: int, end: int) -> int:
    """Count the backslashes right before a place."""
    place = end
    while place > start and text[place - 1] == "\\":
        place -= 1
    return end - place


def _before_escape(text: str, start: int) -> int:
    """Return where a string can be cut so that no escape is, nor a pair of them."""
    end = len(text)
    last = text.rfind("\\", max(start, end - 6))
    length = 6 if text[last + 1 : last + 2] == "u" else 2
    if last >= 0 and end - last < length and _backslashes(text, start, last + 1) % 2:
        end = last
    high = end - 6
    is_high = high >= start and _HIGH_HALF.fullmatch(text, high, end)
    return high if is_high and _backslashes(text, start, high + 1) % 2 else end
