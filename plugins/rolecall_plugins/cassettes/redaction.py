"""Keep secrets out of cassettes: mask them on the way in, and search for them before saving."""

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import unquote

MASK = "[secret]"
# What vendors' keys look like: Anthropic's, and Google's keys and tokens.
KEYS = re.compile(r"sk-ant-[A-Za-z0-9_-]{3,}|AIza[A-Za-z0-9_-]{20,}|ya29\.[A-Za-z0-9_.-]{10,}")
BEGINNINGS = ("sk-ant-", "AIza", "ya29.")
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
# Who asked, not what: tokens of others, request ids, organizations, projects.
_IDS = (
    (re.compile(r"\bsk-[A-Za-z0-9_-]{20,}"), MASK),
    (re.compile(r"(\w://)[^\s/?#@\"']+@"), rf"\1{MASK}@"),
    (re.compile(r"\b([Bb]earer) [A-Za-z0-9_.~+/-]{8,}=*"), rf"\1 {MASK}"),
    (
        re.compile(r"(?i)([?&](?:[a-z_-]*(?:key|token|secret|signature|password))=)[^&#\s\"'\\]+"),
        rf"\1{MASK}",
    ),
    (re.compile(r"\breq_[A-Za-z0-9]{8,}"), "req_[id]"),
    (re.compile(rf"(?i)(\borgani[sz]ation\W{{0,4}}(?:id\W{{0,5}})?){_UUID}"), r"\1[id]"),
    (re.compile(r"\borg-[A-Za-z0-9]{12,}"), "org-[id]"),
    (re.compile(r"\b(projects?[/:= ]['\"]?|consumer '?)(?!\[id\])[\w:-]*\d[\w:-]*"), r"\1[id]"),
)
_NAMED = {"request_id", "requestid", "responseid", "organization_id", "organization", "project_id"}
# From where a run begins and without going back in it: else a long one costs its length squared.
_RUN = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{16,}+={0,2}")
_WRAPPED = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{40,}+(?:\r?\n[A-Za-z0-9+/]++)++={0,2}")
_ORGANIZATION = re.compile(rf"(?i)org.{{0,40}}{_UUID}", re.DOTALL)
# What may be URL-encoded or escaped as a whole: no blank and no quotation mark.
_WORD = re.compile(r"[^\s\"'<>]+")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_LONGEST_KEY = 200  # of what looks like a vendor's key
_DEPTH = 3


class Redaction:
    """Masks what must not be in a cassette, and finds what is there all the same.

    secrets: the values known to this process; what looks like a vendor's key is one as well.
    mask: masks parts of them, too.
    """

    def __init__(
        self, secrets: Iterable[str] = (), mask: Callable[[str], str] = lambda text: text
    ) -> None:
        self._mask = mask
        longest = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        escaped = {json.dumps(secret)[1:-1] for secret in longest}
        # Some encoders of JSON escape slashes.
        escaped |= {secret.replace("/", "\\/") for secret in escaped}
        self._known = sorted({*longest, *escaped}, key=len, reverse=True)

    @property
    def reach(self) -> int:
        """Return how many characters a secret may take, in any encoding."""
        longest = max((len(secret) for secret in self._known), default=0)
        return 4 * max(longest, _LONGEST_KEY)

    def text(self, text: str) -> str:
        """Mask in a text, also what is encoded in it."""
        text = self._mask(text)
        for secret in self._known:
            text = text.replace(secret, MASK)
        if _begins_key(text):
            text = KEYS.sub(MASK, text)
        for runs in (_WRAPPED, _RUN):
            text = runs.sub(self._run, text)
        return _WORD.sub(self._word, text) if "%" in text or "\\u" in text else text

    @property
    def of_errors(self) -> "Redaction":
        """Return one that masks who asked as well: for texts that no model and no user wrote."""
        return _OfErrors(self)

    def address(self, uri: str) -> str:
        """Mask in a URL, so that it stays one: without user and password, and without brackets."""
        plain = re.sub(r"^(\w+://)[^/?#@]*@", r"\1", uri)
        return re.sub(r"\[(secret|id)\]", r"\1", self.of_errors.text(plain))

    def value(self, value: Any) -> Any:
        """Mask in a JSON value, names included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(inner) for inner in value]
        if isinstance(value, dict):
            return {
                self.text(name): "[id]"
                if name.lower() in _NAMED and isinstance(inner, str)
                else self.value(inner)
                for name, inner in value.items()
            }
        return value

    def finds(self, text: str) -> bool:
        """Check whether a text holds a secret, plain or encoded."""
        if self._mask(text) != text:
            return True
        candidates = {text, *_unescaped(text)}
        return any(self._has_plain(plain) or self._has_encoded(plain) for plain in candidates)

    def _has_plain(self, text: str) -> bool:
        text = text.replace(MASK, "")
        if any(secret in text for secret in self._known):
            return True
        return _begins_key(text) and KEYS.search(text) is not None

    def _has_encoded(self, text: str) -> bool:
        matches = (run[0] for runs in (_WRAPPED, _RUN) for run in runs.finditer(text))
        return any(self._has_plain(plain) for run in matches for plain in _decoded(run))

    def _word(self, word: re.Match[str]) -> str:
        return MASK if any(self.finds(plain) for plain in _unescaped(word[0])) else word[0]

    def _run(self, run: re.Match[str]) -> str:
        telling = any(
            self._has_plain(plain) or _ORGANIZATION.search(plain) for plain in _decoded(run[0])
        )
        return MASK if telling else run[0]


class _OfErrors(Redaction):
    def __init__(self, inner: Redaction) -> None:
        self._inner = inner
        self._known = inner._known
        self._mask = inner._mask

    def text(self, text: str) -> str:
        text = self._inner.text(text)
        for pattern, mask in _IDS:
            text = pattern.sub(mask, text)
        return text


def _unescaped(text: str) -> Iterator[str]:
    """Decode what may be URL-encoded or escaped as in JSON, and encoded again."""
    for _ in range(_DEPTH):
        plain = unquote(text) if "%" in text else text
        if "\\u" in plain:
            plain = _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), plain)
        if plain == text:
            return
        yield plain
        text = plain


def _begins_key(text: str) -> bool:
    """Check, faster than the pattern, whether a text may hold what looks like a vendor's key."""
    return any(beginning in text for beginning in BEGINNINGS)


def _decoded(run: str, depth: int = _DEPTH) -> Iterator[str]:
    """Decode what may be base64, from each place where it may begin, and what is inside of it."""
    plain = re.sub(r"[\s=]", "", run).replace("-", "+").replace("_", "/")
    for start in range(4):
        piece = plain[start:]
        try:
            text = b64decode(piece[: len(piece) // 4 * 4] or "").decode("latin-1")
            rest = len(piece) % 4
            if rest > 1:
                text += b64decode(piece[-rest:] + "=" * (4 - rest)).decode("latin-1")
        except binascii.Error:
            continue
        yield text
        if depth > 1:
            for inner in _RUN.finditer(text):
                yield from _decoded(inner[0], depth - 1)
