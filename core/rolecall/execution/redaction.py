"""Keep secrets out of everything that came from outside and goes into files and messages."""

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping

from attrs import evolve

from ..config.secrets import is_telling
from ..config.settings import Settings
from ..errors import ProviderError
from ..types.messages import Response
from ..types.parts import Part, Text, Verbatim, from_json, to_json
from .secret_forms import FRAGMENTED, Fragments, encoded, header_values, passwords

MASK = "[secret]"
SHORTEST = 8
# Characters of a message, as it is kept and shown. It is cut here, where it is masked already: of a
# key that was cut first, the rest would not be known again.
LONGEST_MESSAGE = 500
HELD_BACK = 4  # characters of a secret from which on a piece of text waits for the next
_USERINFO = re.compile(r"(\w://)[^\s/?#@]+@")


class Redactor:
    """Masks secrets in every form that they may come back in.

    Secret are the values of those environment variables whose names tell so, the passwords in
    addresses, and the values of headers that variables hold; and whatever stands before the `@` of
    an address.

    variables: hold secrets, too, whatever their names. addresses: beside those in the environment.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        variables: Collection[str] = (),
        addresses: Iterable[str] = (),
    ) -> None:
        secret = (
            value.strip()
            for name, value in environment.items()
            if is_telling(name) or name in variables
        )
        known = passwords((*environment.values(), *addresses))
        values = (*secret, *known, *header_values(environment))
        self.secrets = frozenset(value for value in values if len(value) >= SHORTEST)
        forms = {form for secret in self.secrets for form in encoded(secret)}
        forms = {form for form in forms if len(form) >= SHORTEST}
        longest_first = sorted(forms, key=len, reverse=True)
        self._secret = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._fragments = Fragments(forms)
        # Most texts hold none of it, and are looked through once.
        short = [form for form in longest_first if len(form) < FRAGMENTED]
        hints = map(re.escape, [*short, *self._fragments.anchors])
        self._hint = re.compile("|".join(hints) or r"(?!)")
        self._longest = max(map(len, forms), default=0)
        self._beginnings = frozenset(
            form[:length] for form in forms for length in range(HELD_BACK, len(form))
        )

    @classmethod
    def of(cls, settings: Settings) -> "Redactor":
        """Return one that knows the secrets in some settings."""
        addresses = (address for own in settings.providers.values() for address in own.addresses)
        return cls(settings.environment, settings.key_variables, addresses)

    def __call__(self, text: str) -> str:
        if not text:
            return text
        masked = _USERINFO.sub(rf"\1{MASK}@", text) if "@" in text else text
        if self._hint.search(masked) is None:
            return masked
        return self._fragments.mask(self._secret.sub(MASK, masked), MASK)

    def begun(self, text: str) -> int:
        """Return how many characters at a text's end may be the beginning of a secret."""
        for length in range(min(len(text), self._longest - 1), HELD_BACK - 1, -1):
            if text[-length:] in self._beginnings:
                return length
        return 0


class RedactedStream:
    """Masks secrets in a text that comes in pieces: what may be half of one is held back."""

    def __init__(self, redact: Redactor) -> None:
        self._redact = redact
        self._held = ""

    def add(self, piece: str) -> str:
        """Return what can be shown of the text so far, beyond what was returned before."""
        text = self._held + piece
        begun = self._redact.begun(text)
        self._held = text[len(text) - begun :]
        return self._redact(text[: len(text) - begun])

    def end(self) -> str:
        """Return the rest."""
        rest, self._held = self._redact(self._held), ""
        return rest


def redacted(response: Response, redact: Redactor) -> Response:
    """Keep secrets that a vendor echoes, and what is no Unicode, out of all that follows."""

    def clean(text: str) -> str:
        return redact(_joined(text))

    before = response.text, response.detail, response.request_id
    text, detail, request_id = cleaned = (
        clean(response.text),
        _shortened(clean(response.detail)),
        response.request_id and clean(response.request_id),
    )
    if cleaned != before:
        response = evolve(response, text=text, detail=detail, request_id=request_id)
    if response.parts:
        parts = tuple(_redacted_part(part, clean) for part in response.parts)
        response = evolve(response, parts=parts)
    return response


def redact_error(error: ProviderError, redact: Redactor) -> None:
    """Keep the same out of an error, which stays the one that was raised."""
    error.args = (_shortened(redact(_joined(str(error)))),)
    error.request_id = error.request_id and redact(_joined(error.request_id))


def _redacted_part(part: Part, clean: Callable[[str], str]) -> Part:
    """Keep secrets out of a part; something verbatim that holds one is no longer what it was."""
    plain = json.dumps(to_json(part), ensure_ascii=False)
    if clean(plain) == plain:
        return part
    return Text("") if isinstance(part, Verbatim) else from_json(json.loads(clean(plain)))


def _shortened(message: str) -> str:
    return message if len(message) <= LONGEST_MESSAGE else f"{message[: LONGEST_MESSAGE - 1]}…"


def _joined(text: str) -> str:
    """Join the halves of surrogate pairs that came apart in a stream; replace those left alone."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
