"""In which forms a secret may come back: whole, encoded, cut off, or split over lines."""

import base64
import re
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence

from attrs import frozen

PIECE = 10  # characters at an end of a secret that give it away
FRAGMENT = 2 * PIECE  # characters from anywhere within a secret that do
GRAM = 4  # characters by which what comes in pieces may belong to a secret
SMALL = 500  # characters of a text that is looked through at once
DEPTH = 3  # escapes of escapes that are undone
# Escapes of URLs, JSON, Python and HTML. An end of a line that is escaped means nothing here.
_ESCAPE = re.compile(
    r"%([0-9A-Fa-f]{2})|\\u([0-9A-Fa-f]{4})|\\x([0-9A-Fa-f]{2})|\\([\"'\\/])"
    r"|&#(\d{1,6});|&#[xX]([0-9A-Fa-f]{1,5});|&(amp|lt|gt|quot|apos);"
    r"|\\[nrt\n]"
)
_BASES = (16, 16, 16, 0, 10, 16)  # of the escapes' groups; 0 stands for itself
_Place = tuple[str, int]  # a form, and where in it
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_ESCAPING = re.compile(r"[%\\&]")
_BLANKS = re.compile(r"\s+")
# An escape that the next piece of a text may complete.
_UNFINISHED = re.compile(r"(?:%[0-9A-Fa-f]?|\\(?:[ux][0-9A-Fa-f]{0,3})?|&#?\w{0,6}|\s+)\Z")


def encoded(secret: str) -> Iterator[str]:
    """List what a secret looks like in one line: as it is, without blanks, in base64, in hex."""
    plain = secret.encode("utf-8", "surrogatepass")
    yield secret
    yield "".join(secret.split())
    yield plain.decode("latin-1")  # as escapes of its bytes undone come out
    yield plain.hex()
    yield plain.hex().upper()
    for offset in range(3):
        # Where it stands in a longer text decides how it is cut into groups of three bytes; the
        # characters at both ends depend on what is beside it.
        padded = base64.b64encode(b"\0" * offset + plain).decode("ascii")
        start = (0, 2, 3)[offset]
        end = len(padded) - (0, 3, 2)[-(offset + len(plain)) % 3]
        inner = padded[start:end]
        yield inner
        yield inner.replace("+", "-").replace("/", "_")


@frozen
class Plain:
    """A text without escapes, or without blanks.

    starts, origins: where its pieces begin, in it and in the text that it was made from. Every
        second piece is what an escape meant; those between are as they were.
    """

    text: str
    starts: list[int]
    origins: list[int]

    def span(self, begin: int, end: int) -> tuple[int, int]:
        """Return from where to where in the original a part of it stands."""
        first, last = bisect_right(self.starts, begin) - 1, bisect_right(self.starts, end - 1) - 1
        low, high = self.origins[first], self.origins[last]
        low += begin - self.starts[first]
        if last % 2:
            return low, self.origins[last + 1]
        return low, high + end - self.starts[last]


def unescape(text: str) -> Plain | None:
    """Undo a text's escapes once; None where it has none."""
    return _replaced(text, _ESCAPE, _meant) if _ESCAPING.search(text) else None


def squeeze(text: str) -> Plain | None:
    """Leave out a text's blanks and ends of lines; None where it has none."""
    return _replaced(text, _BLANKS, lambda _: "")


def _replaced(
    text: str, pattern: re.Pattern[str], meaning: Callable[[re.Match[str]], str]
) -> Plain | None:
    pieces: list[str] = []
    starts, origins, done, length = [0], [0], 0, 0
    for found in pattern.finditer(text):
        begin, end = found.span()
        meant = meaning(found)
        pieces += [text[done:begin], meant]
        length += begin - done
        starts += [length, length + len(meant)]
        origins += [begin, end]
        length += len(meant)
        done = end
    return Plain("".join([*pieces, text[done:]]), starts, origins) if pieces else None


def _meant(escape: re.Match[str]) -> str:
    for group, base in enumerate(_BASES, 1):
        if (digits := escape[group]) is not None:
            number = int(digits, base) if base else ord(digits)
            return chr(number) if number <= sys.maxunicode else "?"
    return _NAMED.get(escape[7] or "", "")


class Finder:
    """Finds secrets: whole ones, ten characters at an end of one, or twenty from anywhere in it.

    A vendor may shorten what it echoes; a message may have been cut before it came to us.
    """

    def __init__(self, secrets: Iterable[str], shortest: int) -> None:
        forms = {form for secret in secrets for form in encoded(secret)}
        forms = {form for form in forms if len(form) >= shortest}
        self._longest = max(map(len, forms), default=0)
        # Of what comes letter by letter, the first ones.
        self._beginnings = {form[:length] for form in forms for length in range(1, GRAM)}
        self._grams = {form[at : at + GRAM] for form in forms for at in range(len(form) - GRAM + 1)}
        # What gives a form away, and where in it that stands. Short forms are looked for whole;
        # long ones by their ends, and in samples of the text, as that costs the same for any
        # number of them.
        self._ends: dict[str, list[_Place]] = {}
        self._pieces: dict[str, list[_Place]] = {}
        for form in sorted(forms):
            if len(form) < FRAGMENT:
                self._ends.setdefault(form, []).append((form, 0))
                continue
            for at in range(len(form) - PIECE + 1):
                piece = form[at : at + PIECE]
                self._pieces.setdefault(piece, []).append((form, at))
                if at in (0, len(form) - PIECE):
                    self._ends.setdefault(piece, []).append((form, at))

    def find(self, text: str) -> list[tuple[int, int]]:
        """List from where to where a text holds secrets, in order and apart from each other."""
        if not self._longest:
            return []
        spans = [*self._in_plain(text)]
        layers: list[Plain] = []
        plain = text
        while True:
            # What is split over lines, or was before somebody joined them by blanks.
            bare = "".join(plain.split())
            if layers or len(bare) < len(plain):
                spans += _originals([*self._in_plain(bare)], layers, plain)
            if len(layers) == DEPTH or (layer := unescape(plain)) is None:
                return _merged(spans)
            layers.append(layer)
            plain = layer.text

    def begun(self, text: str) -> int:
        """Return how many characters at a text's end may belong to a secret that goes on."""
        if not self._longest:
            return 0
        tail = text[-8 * self._longest :]
        layers, plain = list[Plain](), tail
        if tail[-1:].isspace() or _ESCAPING.search(tail):
            unfinished = _UNFINISHED.search(tail)
            plain = tail[: unfinished.start()] if unfinished else tail
            if layer := unescape(plain):
                layers, plain = [layer], layer.text
        bare = "".join(plain.split())
        held = self._trailing(tail)
        if length := self._trailing(bare):
            ((begin, _),) = _originals([(len(bare) - length, len(bare))], layers, plain)
            held = max(held, len(tail) - begin)
        return held

    def _trailing(self, text: str) -> int:
        """Return how many characters at the end all stand like that in some form."""
        end = len(text)
        while end >= GRAM and text[end - GRAM : end] in self._grams:
            end -= 1
        if end < len(text):
            return len(text) - end + GRAM - 1
        lengths = range(min(GRAM - 1, len(text)), 0, -1)
        return next((each for each in lengths if text[-each:] in self._beginnings), 0)

    def _in_plain(self, text: str) -> Iterator[tuple[int, int]]:
        if len(text) < SMALL and not any(
            text[at : at + GRAM] in self._grams for at in range(0, len(text) - GRAM + 1, GRAM + 1)
        ):
            return  # eight letters of a secret would have been met
        for end, places in self._ends.items():
            found = text.find(end)
            while found >= 0:
                yield from _reached(text, found, places)
                found = text.find(end, found + len(end))
        for start in range(0, len(text) - PIECE + 1, PIECE + 1):
            if (piece := text[start : start + PIECE]) in self._pieces:
                yield from _reached(text, start, self._pieces[piece])


def _originals(
    spans: Sequence[tuple[int, int]], layers: Sequence[Plain], plain: str
) -> list[tuple[int, int]]:
    """Return from where to where parts of a text without blanks stand in the original text.

    plain: the same with blanks. layers: how that was made, the first one of the original.
    """
    squeezed = squeeze(plain) if spans else None
    originals = []
    for begin, end in spans:
        for layer in reversed([*layers, *([squeezed] if squeezed else [])]):
            begin, end = layer.span(begin, end)
        originals.append((begin, end))
    return originals


def _reached(text: str, found: int, places: Iterable[_Place]) -> Iterator[tuple[int, int]]:
    """List how far a text agrees with forms to both sides of where a piece of them was found."""
    for form, at in places:
        low, start = found, at
        while low > 0 and start > 0 and text[low - 1] == form[start - 1]:
            low, start = low - 1, start - 1
        high, stop = found, at
        while high < len(text) and stop < len(form) and text[high] == form[stop]:
            high, stop = high + 1, stop + 1
        yield low, high


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if merged and begin < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((begin, end))
    return merged
