"""In which forms a secret may come back: whole, encoded, cut off, or in pieces."""

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, quote_plus, unquote

ANCHOR = 10  # characters of a secret that give a fragment of it away
FRAGMENTED = 2 * ANCHOR  # characters from which on fragments are looked for, too
_USERINFO = re.compile(r"\w://([^\s/?#@]*)@")


def encoded(secret: str) -> Iterator[str]:
    """List what a secret looks like: as it is, in JSON, in URLs, in base64 and in hex."""
    plain = secret.encode("utf-8", "surrogatepass")
    yield secret
    yield secret.encode("unicode_escape").decode("ascii")
    for quoted in (quote(plain, safe=""), quote_plus(plain)):
        yield quoted
        yield re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), quoted)
    yield plain.hex()
    yield plain.hex().upper()
    for offset in range(3):
        # Where it stands in a longer text decides how it is cut into groups of three bytes; the
        # characters at both ends depend on what is beside it.
        padded = base64.b64encode(b"\0" * offset + plain).decode("ascii")
        start = (0, 2, 3)[offset]
        end = len(padded) - (0, 3, 2)[(offset + len(plain)) % 3 and 3 - (offset + len(plain)) % 3]
        inner = padded[start:end]
        yield inner
        yield inner.replace("+", "-").replace("/", "_")


def passwords(values: Iterable[str]) -> Iterator[str]:
    """List what stands for a password in the addresses among some values."""
    for value in values:
        for userinfo in _USERINFO.findall(value):
            _, colon, password = userinfo.partition(":")
            yield password if colon else userinfo
            yield unquote(password)


def header_values(environment: Mapping[str, str]) -> Iterator[str]:
    """List the values of headers that variables hold as `name=value,name=value`."""
    for name, value in environment.items():
        if name.upper().endswith("_HEADERS"):
            for pair in value.split(","):
                header = pair.partition("=")[2].strip()
                yield from (header, unquote(header), unquote(header).rpartition(" ")[2])


class Fragments:
    """Finds parts of secrets: ten characters at their beginning, or twenty anywhere.

    A vendor may shorten what it echoes; a message may have been cut before it came to us.
    """

    def __init__(self, forms: Iterable[str]) -> None:
        self._at: dict[str, list[tuple[str, int]]] = {}
        for form in forms:
            if len(form) >= FRAGMENTED:
                for start in range(0, len(form) - ANCHOR + 1, ANCHOR):
                    anchor = form[start : start + ANCHOR]
                    self._at.setdefault(anchor, []).append((form, start))
                end = form[-ANCHOR:]
                self._at.setdefault(end, []).append((form, len(form) - ANCHOR))
        self._anchor = re.compile("|".join(map(re.escape, self._at)) or r"(?!)")

    @property
    def anchors(self) -> Iterable[str]:
        """List what gives a fragment away."""
        return self._at.keys()

    def mask(self, text: str, mask: str) -> str:
        """Return a text with each fragment replaced, as far as it reaches to both sides."""
        pieces, done = [], 0
        for found in self._anchor.finditer(text):
            if found.start() < done:
                continue
            begin, end = found.span()
            for form, start in self._at[found[0]]:
                low, high = _reach(text, found.start(), form, start)
                begin, end = min(begin, max(low, done)), max(end, high)
            pieces += [text[done:begin], mask]
            done = end
        return "".join([*pieces, text[done:]])


def _reach(text: str, place: int, form: str, start: int) -> tuple[int, int]:
    """Return from where to where a text agrees with a form around a place where it does."""
    low, high = place, place + ANCHOR
    while low > 0 and start > 0 and text[low - 1] == form[start - 1]:
        low, start = low - 1, start - 1
    position = start + high - low
    while high < len(text) and position < len(form) and text[high] == form[position]:
        high, position = high + 1, position + 1
    return low, high
