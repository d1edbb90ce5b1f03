"""Secrets to plant, the forms that they may come back in, and a search that knows them all."""

import base64
import json
import logging
import os
import re
import traceback
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from string import ascii_letters, digits
from urllib.parse import quote, quote_plus

from attrs import frozen
from hypothesis import strategies as st

GOOGLE = "".join(Random("planted").choices(ascii_letters + digits, k=400))
# Each is visibly made up, and holds what encodings treat in their own ways.
SECRETS = {
    "ANTHROPIC_API_KEY": "sk-ant-Planted/Claude+Key_0123456789-abcXYZ",
    "GEMINI_API_KEY": "AIzaPlantedGeminiKey-0123456789_abcdefg",
    "HTTPS_PROXY": "Planted.Proxy-Password_24680",
    "OTEL_EXPORTER_OTLP_HEADERS": "PlantedOtelToken=13579/bcdfgh",
    "OTHER_VENDOR_HEADERS": "PlantedHeaderValue~97531/vwxyz",
    "GOOGLE_APPLICATION_CREDENTIALS": GOOGLE,
    "DATABASE_PASSWORD": "Plant-me-9",
}
WINDOW = 12  # characters of a secret that nobody may see
LEAST = 20  # characters of a secret, or of its encoded form, by which a part is still known


def environment(folder: Path) -> dict[str, str]:
    """Return variables that hold the secrets."""
    file = folder / "credentials.json"
    key = f"-----BEGIN PRIVATE KEY-----\n{GOOGLE}\n-----END PRIVATE KEY-----\n"
    file.write_text(json.dumps({"type": "service_account", "private_key": key}), "utf-8")
    otel = quote(SECRETS["OTEL_EXPORTER_OTLP_HEADERS"], safe="")
    return {
        "PATH": os.environ["PATH"],
        "ANTHROPIC_API_KEY": SECRETS["ANTHROPIC_API_KEY"],
        "GEMINI_API_KEY": SECRETS["GEMINI_API_KEY"],
        "HTTPS_PROXY": f"http://alice:{SECRETS['HTTPS_PROXY']}@127.0.0.1:9",
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{otel}",
        "OTHER_VENDOR_HEADERS": f"x-team: a\nx-key: {SECRETS['OTHER_VENDOR_HEADERS']}",
        "GOOGLE_APPLICATION_CREDENTIALS": str(file),
        "DATABASE_PASSWORD": SECRETS["DATABASE_PASSWORD"],
    }


def _in_base64(alphabet: Callable[[bytes], bytes], before: int) -> Callable[[str], str]:
    return lambda text: alphabet(b"x" * before + text.encode() + b"yz").decode()


ENCODINGS: Mapping[str, Callable[[str], str]] = {
    "plain": str,
    "json": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "unicode escapes": lambda text: "".join(f"\\u{ord(each):04x}" for each in text),
    "url": lambda text: quote(text, safe=""),
    "form": quote_plus,
    "percent": lambda text: "".join(f"%{ord(each):02x}" for each in text),
    "url twice": lambda text: quote(quote(text, safe=""), safe=""),
    "html": lambda text: "".join(f"&#{ord(each)};" for each in text),
    "hex": lambda text: text.encode().hex(),
    "HEX": lambda text: text.encode().hex().upper(),
    **{f"base64 at {at}": _in_base64(base64.b64encode, at) for at in range(3)},
    **{f"base64url at {at}": _in_base64(base64.urlsafe_b64encode, at) for at in range(3)},
    "base64 in url": lambda text: quote(base64.b64encode(text.encode()).decode(), safe=""),
}


@frozen
class Plant:
    """A secret in some form. text: what is planted. pieces: the same, as a stream brings it."""

    variable: str
    encoding: str
    text: str
    size: int

    @property
    def pieces(self) -> list[str]:
        return [self.text[at : at + self.size] for at in range(0, len(self.text), self.size)]


@st.composite
def plants(draw: st.DrawFn, lines: bool = True) -> Plant:
    """Draw a secret: whole or cut at an end, encoded, in one line or several."""
    variable = draw(st.sampled_from(sorted(SECRETS)))
    encoding = draw(st.sampled_from(sorted(ENCODINGS)))
    secret = SECRETS[variable]
    spare = min(12, max(0, len(secret) - LEAST))
    end = len(secret) - draw(st.integers(0, spare // 2))
    secret = secret[draw(st.integers(0, spare // 2)) : end]
    text = ENCODINGS[encoding](secret)
    if lines and draw(st.booleans()):
        width = draw(st.integers(8, 76))
        break_ = draw(st.sampled_from(["\n", "\r\n", "\n    "]))
        text = break_.join(text[at : at + width] for at in range(0, len(text), width))
    return Plant(variable, encoding, text, draw(st.sampled_from([1, 3, 7, 30])))


def _signs() -> Iterator[tuple[str, str]]:
    """List what gives each secret away: all parts of that length of each of its forms."""
    for variable, secret in SECRETS.items():
        forms = {secret, secret.encode().hex(), secret.encode().hex().upper()}
        for at in range(3):
            inner = base64.b64encode(b"x" * at + secret.encode() + b"yz").decode()[4:-4]
            forms |= {inner, inner.translate(str.maketrans("+/", "-_"))}
        for form in forms:
            last = max(0, len(form) - WINDOW)
            yield from ((form[at : at + WINDOW], variable) for at in range(last + 1))


_SIGNS = dict(_signs())
_SHORT = [sign for sign in _SIGNS if len(sign) < WINDOW]
_ESCAPES = re.compile(r"%([0-9A-Fa-f]{2})|\\u00([0-9A-Fa-f]{2})|&#(\d+);|\\(/)|\s+|\\r|\\n")


def _undone(found: re.Match[str]) -> str:
    byte, escaped, number, slash = found.groups()
    if byte or escaped:
        return chr(int(byte or escaped, 16))
    return chr(int(number)) if number else slash or ""


def shown(text: str) -> list[str]:
    """List whose secrets a text shows a part of, in whatever form."""
    texts = {text}
    for _ in range(3):
        text = _ESCAPES.sub(_undone, text)
        texts.add(text)
    signs = {sign for each in texts for sign in _SHORT if sign in each}
    for each in texts:
        signs |= _SIGNS.keys() & {each[at : at + WINDOW] for at in range(len(each))}
    return sorted({_SIGNS[sign] for sign in signs})


def leaks_in(folder: Path) -> Iterator[str]:
    """Search a folder's files and their names; what git keeps is unpacked."""
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        yield from (f"{variable} in the name {name!r}" for variable in shown(name))
        if path.is_file() and path.name != "credentials.json":
            data = path.read_bytes()
            if ".git/objects" in str(path):
                data = zlib.decompress(data)
            for variable in shown(data.decode("utf-8", "replace")):
                yield f"{variable} in {name}"


def leaks_of(error: BaseException) -> Iterator[str]:
    """Search what an exception shows, and what it holds, with all that led to it."""
    text = "".join(traceback.format_exception(error))
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and each not in seen:
            seen.append(each)
            waiting += [each.__cause__, each.__context__]
            text += f"{each!r}{each.args!r}{vars(each)!r}"
    yield from (f"{variable} in {error!r}" for variable in shown(text))


def leaks_logged(records: Sequence[logging.LogRecord]) -> Iterator[str]:
    """Search log records as every formatter may show them."""
    form = logging.Formatter("%(message)s")
    for record in records:
        for variable in shown(f"{form.format(record)}{record.args!r}{record.msg!r}"):
            yield f"{variable} in a record of {record.name}"
