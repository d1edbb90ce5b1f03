"""Keep secrets out of everything that came from outside and goes into files and messages."""

import json
import re
from collections.abc import Callable, Mapping

from attrs import evolve

from ..config.secrets import is_telling
from ..errors import ProviderError
from ..types.messages import Response
from ..types.parts import Part, Text, Verbatim, from_json, to_json

MASK = "[secret]"
SHORTEST = 8
# Characters of a message, as it is kept and shown. It is cut here, where it is masked already: of a
# key that was cut first, the rest would not be known again.
LONGEST_MESSAGE = 500


class Redactor:
    """Masks the values of those environment variables whose names tell of a secret."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.secrets = frozenset(
            secret
            for name, value in environment.items()
            if is_telling(name) and len(secret := value.strip()) >= SHORTEST
        )
        longest_first = sorted(self.secrets, key=len, reverse=True)
        self._secret = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def __call__(self, text: str) -> str:
        return self._secret.sub(MASK, text)


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
