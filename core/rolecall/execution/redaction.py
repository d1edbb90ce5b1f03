"""Keep secrets out of everything that came from outside and goes into files and messages."""

import logging
import re
import traceback
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from attrs import evolve

from ..config.secrets import secret_values
from ..config.settings import Settings
from ..errors import ProviderError, RolecallError
from ..types.messages import Response
from ..types.parts import Part, Text, Verbatim, from_json, to_json
from .secret_forms import Finder

MASK = "[secret]"
SHORTEST = 8
# Characters of a message, as it is kept and shown. It is cut here, where it is masked already: of a
# key that was cut first, the rest would not be known again.
LONGEST_MESSAGE = 500
CONTEXT = 32  # characters of a stream that are looked at again with what follows
MOST_CAUSES = 32  # of an error that are looked at; those beyond are dropped
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
_USERINFO = re.compile(r"(\w://)[^\s/?#@]+@")


class Redactor:
    """Masks the secrets of an environment in every form that they may come back in.

    Masked is also whatever stands before the `@` of an address.

    variables: hold secrets, too, whatever their names.
    """

    def __init__(self, environment: Mapping[str, str], variables: Collection[str] = ()) -> None:
        self._named = [
            (name, value)
            for name, value in secret_values(environment, variables)
            if len(value) >= SHORTEST
        ]
        self.secrets = frozenset(value for _, value in self._named)
        self._finder = Finder(self.secrets, SHORTEST)

    @classmethod
    def of(cls, settings: Settings) -> "Redactor":
        """Return one for the secrets of the environment and of the providers' tables."""
        own = {name: [each.options, *each.addresses] for name, each in settings.providers.items()}
        return cls({**dict(_flat(own)), **settings.environment}, settings.key_variables)

    def __call__(self, text: str) -> str:
        if not text:
            return text
        masked = _USERINFO.sub(rf"\1{MASK}@", text) if "@" in text else text
        return self.known(masked)

    def known(self, text: str, start: int = 0) -> str:
        """Mask the known secrets alone; what only looks like one stays.

        start: return what is from there on; what is before may hold the beginning of a secret.
        """
        spans = [(max(begin, start), end) for begin, end in self._finder.find(text) if end > start]
        if not spans:
            return text[start:]
        ends = [start, *(end for _, end in spans)]
        begins = [*(begin for begin, _ in spans), len(text)]
        return MASK.join(text[end:begin] for end, begin in zip(ends, begins, strict=True))

    def texts(self, value: Any) -> Any:
        """Mask the known secrets in all texts of a JSON value, names included."""
        match value:
            case str():
                return self.known(_joined(value))
            case list() | tuple():
                return [self.texts(inner) for inner in value]
            case Mapping():
                return {self.known(_joined(name)): self.texts(each) for name, each in value.items()}
            case _:
                return value

    def names(self, text: str) -> list[str]:
        """List the variables whose secrets a text holds."""
        found = (name for name, secret in self._named if Finder([secret], SHORTEST).find(text))
        return sorted(set(found))

    def begun(self, text: str) -> int:
        """Return how many characters at a text's end may belong to a secret that goes on."""
        return self._finder.begun(text)


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """List the texts of nested tables, but names of variables, by the names on the way to them."""
    if isinstance(value, str):
        if not _VARIABLE.fullmatch(value):
            yield name, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}")
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _flat(inner, f"{name}.{number}")


class RedactedStream:
    """Masks secrets in a text that comes in pieces: what may be half of one is held back.

    What was shown last is kept as well: the first letters of a secret tell nothing by themselves.
    """

    def __init__(self, redact: Redactor) -> None:
        self._redact = redact
        self._shown = ""
        self._held = ""

    def add(self, piece: str) -> str:
        """Return what can be shown of the text so far, beyond what was returned before."""
        text = self._shown + self._held + piece
        return self._show(text, len(text) - self._redact.begun(text))

    def end(self) -> str:
        """Return the rest."""
        text = self._shown + self._held
        return self._show(text, len(text))

    def _show(self, text: str, until: int) -> str:
        shown = len(self._shown)
        until = max(until, shown)
        self._shown, self._held = text[max(0, until - CONTEXT) : until], text[until:]
        return self._redact.known(text[:until], shown)


def redacted(response: Response, redact: Redactor) -> Response:
    """Keep secrets that a vendor echoes, and what is no Unicode, out of all that follows."""
    before = response.text, response.detail, response.request_id
    text, detail, request_id = cleaned = (
        redact.known(_joined(response.text)),
        _shortened(redact(_joined(response.detail))),
        response.request_id and redact(_joined(response.request_id)),
    )
    if cleaned != before:
        response = evolve(response, text=text, detail=detail, request_id=request_id)
    if headers := _changed(response.headers, redact):
        response = evolve(response, headers=headers)
    if response.parts:
        parts = tuple(_redacted_part(part, redact) for part in response.parts)
        response = evolve(response, parts=parts)
    return response


def redact_error(error: RolecallError, redact: Redactor) -> None:
    """Keep the same out of an error, which stays the one that was raised, and of its causes."""
    message = redact(_joined(str(error)))
    if isinstance(error, ProviderError):
        message = _shortened(message)
        error.request_id = error.request_id and redact(_joined(error.request_id))
        error.headers = _changed(error.headers, redact) or error.headers
    error.args = (message,)
    redact_causes(error, redact)


def redact_causes(error: BaseException, redact: Redactor) -> None:
    """Put a masked stand-in in the place of each cause that shows a secret."""
    for _ in range(MOST_CAUSES):
        cause = error.__cause__ or error.__context__
        if cause is None:
            return
        shown = "".join(traceback.format_exception_only(cause))
        if redact(f"{shown}{cause!r}{vars(cause)!r}") != f"{shown}{cause!r}{vars(cause)!r}":
            further = cause.__cause__ or cause.__context__
            trace, cause = cause.__traceback__, RolecallError(redact(shown.strip()))
            cause.__cause__ = further
            error.__cause__ = error.__context__ = cause.with_traceback(trace)
        error = cause
    error.__cause__ = error.__context__ = None


@contextmanager
def masked_errors(redact: Redactor) -> Iterator[None]:
    """Mask secrets in what is raised meanwhile."""
    try:
        yield
    except RolecallError as error:
        redact_error(error, redact)
        raise


class SecretFilter(logging.Filter):
    """Masks secrets in what is logged, with the tracebacks of exceptions."""

    def __init__(self, redact: Redactor) -> None:
        super().__init__()
        self._redact = redact

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            message = record.getMessage()
        except Exception:  # arguments that do not fit the message: its text is shown as it stands
            message, record.args = f"{record.msg} {record.args}", ()
            record.msg = message
        masked = self._redact(message)
        if masked != message:
            record.msg, record.args = masked, ()
        if record.exc_info and (error := record.exc_info[1]) is not None:
            trace = "".join(traceback.format_exception(error)).rstrip()
            if self._redact(trace) != trace:
                record.exc_info, record.exc_text = None, self._redact(trace)
        return True


@contextmanager
def masked_log(redact: Redactor) -> Iterator[None]:
    """Mask secrets meanwhile in what rolecall logs, and in whatever comes to the root's handlers.

    That is where the records of clients and of plugins mostly go.
    """
    mask = SecretFilter(redact)
    filtered: list[logging.Filterer] = [
        logging.getLogger("rolecall"),
        *logging.getLogger().handlers,
    ]
    for each in filtered:
        each.addFilter(mask)
    try:
        yield
    finally:
        for each in filtered:
            each.removeFilter(mask)


def _redacted_part(part: Part, redact: Redactor) -> Part:
    """Keep secrets out of a part; something verbatim that holds one is no longer what it was."""
    plain = to_json(part)
    masked = redact.texts(plain)
    if masked == plain:
        return part
    return Text("") if isinstance(part, Verbatim) else from_json(masked)


def _changed(headers: Mapping[str, str], redact: Redactor) -> dict[str, str]:
    """Mask in headers; nothing where there is nothing to mask."""
    masked = {name: redact(value) for name, value in headers.items()}
    return masked if masked != headers else {}


def _shortened(message: str) -> str:
    return message if len(message) <= LONGEST_MESSAGE else f"{message[: LONGEST_MESSAGE - 1]}…"


def _joined(text: str) -> str:
    """Join the halves of surrogate pairs that came apart in a stream; replace those left alone."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
