"""No secret gets into a cassette, wherever it was."""

import gzip
import json
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vcr.request import Request

from rolecall_plugins.cassettes.errors import SecretFound
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


HIDDEN = st.sampled_from(
    [
        lambda text: text,
        lambda text: f"The key is {text}.",
        lambda text: f"Authorization: Bearer {text}",
        lambda text: f"https://example.com/v1?x=1&key={quote(text, safe='')}",
        lambda text: quote(text, safe=""),
        basic,
        lambda text: basic(f"user:{text}"),
        lambda text: basic(basic(f"ab{text}cd")),
        lambda text: urlsafe_b64encode(f"x{text}".encode()).decode().rstrip("="),
        lambda text: json.dumps({"inner": text}),
        lambda text: basic(json.dumps({"inner": text})),
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


@given(KEYS, st.data())
def test_a_key_that_a_stream_brings_in_pieces_is_masked_whole(
    folder: Path, key: str, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(1, len(key) - 1))
    events = [{"delta": {"type": "t", "text": piece}} for piece in ("It is ", key[:cut], key[cut:])]
    reply = "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode()
    told = {"content-type": ["text/event-stream"]}
    text = file_of(folder, exchange("https://example.com/a", {}, b"{}", reply, told))
    assert "It is [secret]" in text
    assert key[cut:] not in text or len(key[cut:]) < 4


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
