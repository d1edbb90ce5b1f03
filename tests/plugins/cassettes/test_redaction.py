"""No secret gets into a cassette, wherever it was."""

import gzip
import json
import zlib
from base64 import b64encode, urlsafe_b64encode
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vcr.request import Request

from rolecall_plugins.cassettes.errors import SecretFound
from rolecall_plugins.cassettes.files.bodies import texts_of
from rolecall_plugins.cassettes.files.reader import load
from rolecall_plugins.cassettes.files.writer import save
from rolecall_plugins.cassettes.interactions import CassetteMetadata, Interaction
from rolecall_plugins.cassettes.recorder import Recorder
from rolecall_plugins.cassettes.redaction import Redaction

KNOWN = "a-known+secret/of=the.process"
ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
KEYS = st.one_of(
    st.just(KNOWN),
    st.text(ALPHABET, min_size=20, max_size=90).map(lambda rest: f"sk-ant-api03-{rest}"),
    st.text(ALPHABET, min_size=35, max_size=35).map(lambda rest: f"AIza{rest}"),
)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def basic(text: str) -> str:
    return b64encode(text.encode()).decode()


def percented(text: str) -> str:
    """Encode every character, as a URL may."""
    return "".join(f"%{byte:02x}" for byte in text.encode())


HIDDEN = st.sampled_from(
    [
        lambda text: text,
        lambda text: f"The key is {text}.",
        lambda text: f"Authorization: Bearer {text}",
        lambda text: f"https://example.com/v1?x=1&key={quote(text, safe='')}",
        lambda text: quote(text, safe=""),
        percented,
        lambda text: quote(percented(text), safe=""),
        lambda text: f"a%20b {percented(text)} 100%",
        basic,
        lambda text: basic(f"user:{text}"),
        lambda text: basic(basic(f"ab{text}cd")),
        lambda text: urlsafe_b64encode(f"x{text}".encode()).decode().rstrip("="),
        lambda text: quote(basic(text), safe=""),
        lambda text: json.dumps({"inner": text}),
        lambda text: json.dumps({"inner": text}).replace("/", "\\/"),
        lambda text: basic(json.dumps({"inner": text})),
        lambda text: "".join(f"\\u{ord(character):04x}" for character in text),
    ]
)


def exchange(uri: str, headers: Any, body: bytes, reply: bytes, told: Any) -> Any:
    return (
        Request("POST", uri, body, headers),
        {"status": {"code": 400, "message": "No"}, "headers": told, "body": {"string": reply}},
    )


def file_of(path: Path, *exchanges: Any) -> str:
    tape = Recorder(path / "tape.yaml", Redaction([KNOWN]))
    for request, response in exchanges:
        tape.append(request, response)
    tape.save()
    return (path / "tape.yaml").read_text("utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tapes")


@given(KEYS, HIDDEN, WORDS, WORDS)
def test_a_key_is_masked_in_any_text(key: str, hide: Any, before: str, after: str) -> None:
    redaction = Redaction([KNOWN])
    masked = redaction.text(f"{before} {hide(key)} {after}")
    assert key not in masked
    assert not redaction.finds(masked)


@given(KEYS, HIDDEN)
def test_a_key_planted_everywhere_is_nowhere_in_the_file(folder: Path, key: str, hide: Any) -> None:
    hidden = hide(key)
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": hidden}]}).encode()
    error = json.dumps({"error": {"message": f"bad: {hidden}", hidden: [hidden]}}).encode()
    headers = {"x-api-key": key, "content-type": hidden, "cookie": hidden}
    told = {"set-cookie": [hidden], "x-other": [hidden], "content-type": [hidden]}
    uri = f"https://user:{quote(key, safe='')}@example.com/v1/messages?key={quote(hidden)}"
    packed = {**told, "content-encoding": ["gzip"]}
    streamed = f"event: error\r\ndata: {json.dumps({'text': hidden})}\r\n\r\n{hidden}".encode()
    text = file_of(
        folder,
        exchange(uri, headers, body, error, told),
        exchange(uri, headers, hidden.encode(), gzip.compress(error), packed),
        exchange(uri, headers, body, streamed, {"content-type": ["text/event-stream"]}),
    )
    for form in (key, basic(key), quote(key, safe=""), hidden if hidden != "" else key):
        assert form not in text
    assert not Redaction([KNOWN]).finds(text)


def told_in_pieces(pieces: list[str], kind: str) -> tuple[bytes, str]:
    """Write a reply that brings a text in pieces, and name its content type."""
    events = [{"delta": {"type": "t", "text": piece}, "index": 0} for piece in pieces]
    lines = [json.dumps(event, ensure_ascii=False) for event in events]
    match kind:
        case "events":
            return "".join(f"data: {line}\n\n" for line in lines).encode(), "text/event-stream"
        case "events with CRLF":
            reply = "".join(f"data: {line}\r\n\r\n" for line in lines)
            return reply.encode(), "text/event-stream"
        case "array":
            return f"[{','.join(lines)}]".encode(), "application/json"
        case "indented array":
            return json.dumps(events, indent=2).encode(), "application/json"
        case "parts of one answer":
            parts = [{"text": piece} for piece in pieces]
            return json.dumps({"content": {"parts": parts}}).encode(), "application/json"
        case "lines":
            return "\n".join(lines).encode(), "application/jsonl"
    raise AssertionError(kind)


FORMS = st.sampled_from(
    ["events", "events with CRLF", "array", "indented array", "parts of one answer", "lines"]
)


def cut_at(text: str, cuts: list[int]) -> list[str]:
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[one:other] for one, other in pairwise(places)]


@given(KEYS, HIDDEN, st.lists(st.integers(0, 500), max_size=6), FORMS, WORDS, WORDS)
def test_a_key_that_comes_in_pieces_is_masked_whole(
    folder: Path, key: str, hide: Any, cuts: list[int], form: str, before: str, after: str
) -> None:
    pieces = [f"{before} \u2028", *cut_at(hide(key), cuts), f" {after}"]
    reply, kind = told_in_pieces(pieces, form)
    body = told_in_pieces(pieces, "parts of one answer")[0]
    told = {"content-type": [kind]}
    text = file_of(folder, exchange("https://example.com/a", {}, body, reply, told))
    assert not Redaction([KNOWN]).finds(text)
    assert "[secret]" in text
    recorded = joined_texts(folder)
    assert not any(Redaction([KNOWN]).finds(each) for each in recorded)


def joined_texts(folder: Path) -> list[str]:
    """Put the texts of the recorded request and reply together, as a client does."""
    _, (interaction,) = load(folder / "tape.yaml")
    return [*texts_of(interaction.request["body"]), *texts_of(interaction.reply)]


def test_only_the_pieces_that_a_key_is_in_are_joined(folder: Path) -> None:
    key = "sk-ant-fake-fake-fake-fake"
    pieces = ["It was ", "the best ", "of ", key[:9], key[9:20], key[20:], " and ", "the worst"]
    reply, kind = told_in_pieces(pieces, "events")
    text = file_of(
        folder, exchange("https://example.com/a", {}, b"{}", reply, {"content-type": [kind]})
    )
    for piece in ("It was ", "the best ", "[secret]", " and ", "the worst"):
        assert json.dumps({"text": piece})[1:-1] in text


@given(KEYS, HIDDEN)
def test_a_key_in_a_compressed_body_is_found_in_requests_and_replies(
    folder: Path, key: str, hide: Any
) -> None:
    hidden = json.dumps({"ask": hide(key)}).encode()
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    twice = {"content-encoding": ["gzip, gzip"]}
    packed = gzip.compress(hidden)
    text = file_of(
        folder,
        exchange("https://example.com/a", headers, packed, packed, {"content-encoding": ["gzip"]}),
        exchange("https://example.com/a", headers, packed, gzip.compress(packed), twice),
        exchange("https://example.com/a", headers, packed, zlib.compress(hidden), DEFLATED),
    )
    assert text.count("[secret]") >= 6
    assert not Redaction([KNOWN]).finds(text)


DEFLATED = {"content-encoding": ["deflate"]}


@pytest.mark.parametrize(
    ("encoding", "body", "why"),
    [
        ("snappy", b"\xff\x06", "is compressed as 'snappy', which is not installed"),
        ("gzip", b"\x1f\x8b no gzip \xff", "is damaged, so that it cannot be unpacked"),
        ("gzip, gzip, gzip", b"x", "is compressed 3 times"),
    ],
)
def test_what_cannot_be_looked_into_is_not_recorded(
    folder: Path, encoding: str, body: bytes, why: str
) -> None:
    recorder = Recorder(folder / "tape.yaml", Redaction([KNOWN]))
    told = {"content-encoding": [encoding]}
    recorder.append(*exchange("https://example.com/a", {}, b"{}", body, told))
    assert recorder.interactions == []
    assert why in recorder.complaint


@given(KEYS, HIDDEN)
def test_a_key_in_a_status_or_a_setting_is_masked(folder: Path, key: str, hide: Any) -> None:
    request, response = exchange("https://example.com/a", {}, b"{}", b"{}", {})
    response["status"]["message"] = hide(key)
    recorder = Recorder(folder / "tape.yaml", Redaction([KNOWN]))
    recorder.append(request, response)
    recorder.metadata = CassetteMetadata(
        request=hide(key), settings={"api_base": f"https://user:{quote(key, safe='')}@example.com"}
    )
    recorder.save()
    text = (folder / "tape.yaml").read_text("utf-8")
    assert not Redaction([KNOWN]).finds(text)


def test_the_password_of_an_address_among_the_settings_is_masked(folder: Path) -> None:
    recorder = Recorder(folder / "tape.yaml", Redaction())
    recorder.append(*exchange("https://a:bcdef@example.com/a", {}, b"{}", b"{}", {}))
    recorder.metadata = CassetteMetadata(settings={"base": "https://alice:hunter2@example.com/v1"})
    recorder.save()
    text = (folder / "tape.yaml").read_text("utf-8")
    assert "https://[secret]@example.com/v1" in text
    assert "bcdef" not in text


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("request req_011CSHoEeqs5C35K2UUqR7Fy failed", "request req_[id] failed"),
        (
            "your organization (95ddee4b-c5a6-4b8d-8d6c-3a6f3f2f0c11) has",
            "your organization ([id]) has",
        ),
        (
            "in project_number:1234567 or projects/my-app-42/x",
            "in project_number:1234567 or projects/[id]/x",
        ),
        (basic("org 95ddee4b-c5a6-4b8d-8d6c-3a6f3f2f0c11 signed"), "[secret]"),
    ],
)
def test_who_asked_is_masked_as_well(said: str, kept: str) -> None:
    assert Redaction().of_errors.text(said) == kept


def test_what_a_model_wrote_keeps_its_examples() -> None:
    text = "GET /a?key=abc with `Authorization: Bearer abcdefghij` in projects/my-app-42"
    assert Redaction().text(text) == text


@given(WORDS)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert Redaction([KNOWN]).text(text) == text


def test_cookies_and_ids_in_headers_are_not_written(folder: Path) -> None:
    told = {"set-cookie": ["a=b"], "request-id": ["r-1"], "anthropic-organization-id": ["o-1"]}
    text = file_of(folder, exchange("https://example.com/a", {"cookie": "c=d"}, b"{}", b"{}", told))
    assert not [word for word in ("a=b", "r-1", "o-1", "c=d") if word in text]


@pytest.mark.parametrize("place", ["uri", "body", "headers", "reply", "told", "metadata"])
def test_a_secret_that_is_there_all_the_same_is_not_saved(tmp_path: Path, place: str) -> None:
    def planted(where: str) -> str:
        return KNOWN if where == place else "nothing"

    interaction = Interaction(
        request={
            "method": "POST",
            "uri": f"https://example.com/{planted('uri')}",
            "headers": {"a": [planted("headers")]},
            "body": planted("body"),
        },
        response={
            "status": {"code": 200, "message": "OK"},
            "headers": {"a": [planted("told")]},
            "body": {"string": basic(planted("reply")).encode()},
        },
    )
    path = tmp_path / "tape.yaml"
    if place == "metadata":
        save(path, CassetteMetadata(request=KNOWN), [interaction], Redaction([KNOWN]))
        assert KNOWN not in path.read_text("utf-8")
        return
    with pytest.raises(SecretFound, match=r"is not saved: the .* of exchange 1 holds a secret"):
        save(path, CassetteMetadata(), [interaction], Redaction([KNOWN]))
    assert not path.exists()
