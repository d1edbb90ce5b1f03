"""One recorded exchange, and what a cassette says of itself."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from errno import EISDIR
from pathlib import Path
from typing import Any

from attrs import asdict, define, field, frozen

from . import serializer
from .asked import Asked, read
from .errors import CassetteError, SecretFound
from .redaction import Redaction


@frozen
class Fallback:
    """An agent left a route while it was recorded."""

    agent: str
    route: str
    cause: str


@frozen
class Head:
    """What a cassette says of itself.

    source: the real services, or the simulator. recorded: the date.
    request: what the team was asked, empty where no run was recorded.
    team: agent to the digest of its prompt and its routes, as they were.
    only, skip, settings: as the run had them.
    fallbacks: in the order in which they happened.
    """

    source: str = "HTTP traffic"
    recorded: str = ""
    versions: Mapping[str, str] = field(factory=dict)
    models: Sequence[str] = ()
    request: str = ""
    team: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    only: Sequence[str] = ()
    skip: Sequence[str] = ()
    settings: Mapping[str, Any] = field(factory=dict)
    fallbacks: Sequence[Fallback] = ()

    @classmethod
    def parse(cls, table: Mapping[str, Any]) -> "Head":
        known = {name: table[name] for name in cls.__annotations__ if name in table}
        fallbacks = tuple(Fallback(**each) for each in known.pop("fallbacks", ()))
        return cls(**known, fallbacks=fallbacks)


@define
class Take:
    """One exchange; `agent` and `route` are empty where no agent made it.

    request, response: as vcrpy keeps them. seconds: from the first byte sent to the last one read.
    place: counts the cassette's exchanges in the order they were begun.
    """

    request: dict[str, Any]
    response: dict[str, Any]
    agent: str = ""
    route: str = ""
    seconds: float = 0.0
    place: int = 0
    played: bool = False
    asked: Asked = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.asked = read(self.request["method"], self.request["uri"], self.request["body"])

    def __str__(self) -> str:
        who = self.agent or f"{self.request['method']} {self.request['uri']}"
        return f"{who} ({self.asked.model})" if self.asked.model else who


def load(path: Path) -> tuple[Head, list[Take]]:
    """Read a cassette; one that vcrpy wrote by itself will do."""
    try:
        tape = serializer.deserialize(path.read_text("utf-8"))
        takes = [
            Take(
                request=each["request"],
                response=each["response"],
                agent=each.get("agent", ""),
                route=each.get("route", ""),
                seconds=each.get("seconds", 0.0),
                place=place,
            )
            for place, each in enumerate(tape["interactions"])
        ]
        return Head.parse(tape.get("metadata") or {}), takes
    except OSError as error:
        raise CassetteError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CassetteError(f"{path} is no cassette: it is not UTF-8 text") from error
    except (AttributeError, KeyError, TypeError) as error:
        raise CassetteError(f"{path} is no cassette: it does not list interactions") from error
    except Exception as error:
        why = " ".join(str(error).split())[:200]
        raise CassetteError(f"{path} is no cassette: {type(error).__name__}: {why}") from error


def save(path: Path, head: Head, takes: Iterable[Take], redaction: Redaction) -> None:
    """Write a cassette, in an order that does not depend on who was faster; never a secret."""
    agents = list(head.team)
    places = {name: place for place, name in enumerate(agents)}
    ordered = sorted(
        takes, key=lambda take: (places.get(take.agent, len(places)), take.agent, take.place)
    )
    metadata = {name: value for name, value in asdict(head).items() if value}
    metadata = redaction.value(json.loads(json.dumps(metadata)))
    _refuse_secrets(path, metadata, ordered, redaction)
    interactions = []
    for take in ordered:
        about = {"agent": take.agent, "route": take.route, "seconds": round(take.seconds, 1)}
        told = {name: value for name, value in about.items() if value}
        interactions.append({**told, "request": take.request, "response": take.response})
    text = serializer.serialize({"version": 1, "metadata": metadata, "interactions": interactions})
    if redaction.finds(text):
        raise SecretFound(f"{path} is not saved: it would hold a secret")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    partial.write_text(text, "utf-8", newline="\n")
    partial.replace(path)


def check_writable(path: Path) -> None:
    """Raise CassetteError, before anything is spent, where a cassette could not be saved."""
    partial = path.with_name(f"{path.name}.part")
    try:
        if path.is_dir():
            raise IsADirectoryError(EISDIR, "it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text("", "utf-8")
        partial.unlink()
    except OSError as error:
        raise CassetteError(f"{path}: cannot be written: {error.strerror}") from error


def texts_of(body: object) -> Iterator[str]:
    """Give a reply's texts: of a stream, what its pieces come to when they are put together."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
    pieces: dict[str, list[str]] = {}
    for line in text.splitlines():
        try:
            value = json.loads(line.removeprefix("data:"))
        except ValueError:
            continue
        for name, leaf in leaves(value):
            pieces.setdefault(name, []).append(leaf)
    yield from ("".join(each) for each in pieces.values())


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Give every text of a JSON value with the name that it has there, and every name."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield "names", key
            yield from leaves(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each, name)


def _refuse_secrets(
    path: Path, metadata: Mapping[str, Any], takes: Sequence[Take], redaction: Redaction
) -> None:
    counted: Counter[str] = Counter()
    places = [("its header", [leaf for _, leaf in leaves(metadata)])]
    for take in takes:
        counted[take.agent] += 1
        who = f"of exchange {counted[take.agent]}{f' of {take.agent}' if take.agent else ''}"
        request, response = take.request, take.response
        reply = (response.get("body") or {}).get("string")
        places += [
            (f"the address {who}", [request["uri"]]),
            (f"the request's headers {who}", [leaf for _, leaf in leaves(request["headers"])]),
            (f"the request's body {who}", _all(request["body"])),
            (f"the reply's headers {who}", [leaf for _, leaf in leaves(response["headers"])]),
            (f"the reply's body {who}", _all(reply)),
        ]
    for where, texts in places:
        if any(redaction.finds(text) for text in texts):
            raise SecretFound(
                f"{path} is not saved: {where} holds a secret that could not be masked; "
                "what asked for it must not send it, or the reply must not repeat it"
            )


def _all(body: object) -> list[str]:
    whole = body.decode("latin-1") if isinstance(body, bytes) else str(body or "")
    try:
        inner = [leaf for _, leaf in leaves(json.loads(whole))]
    except ValueError:
        inner = []
    return [whole, *inner, *texts_of(body)]
