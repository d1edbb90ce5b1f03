"""A cassette may come from anywhere: what is wrong with one is said in a line, with its place."""

import json
import os
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rolecall_plugins.cassettes.canonical_request import parse_request
from rolecall_plugins.cassettes.errors import CassetteError
from rolecall_plugins.cassettes.files import safe_files
from rolecall_plugins.cassettes.files.reader import load
from rolecall_plugins.cassettes.files.yaml_loader import MAX_DEPTH, load_yaml
from rolecall_plugins.cassettes.serializer import serialize

GOOD: dict[str, Any] = {
    "request": {
        "method": "POST",
        "uri": "https://example.com/v1/messages",
        "headers": {"accept": ["*/*"]},
        "body": '{"model": "m", "messages": []}',
    },
    "response": {
        "status": {"code": 200, "message": "OK"},
        "headers": {"content-type": ["application/json"]},
        "body": {"string": "{}"},
    },
}
ADDRESSES = [GOOD["request"]["uri"], "https://example.com/v1/models/m:generateContent"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
# A billion texts in 500 bytes, once somebody walks them.
ALIASES = "a0: &a0 [x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)


def cassette(path: Path, value: Any) -> Path:
    file = path / "tape.yaml"
    file.write_text(value if isinstance(value, str) else yaml.safe_dump(value), "utf-8")
    return file


def changed(place: str, value: Any) -> dict[str, Any]:
    """Return a good cassette with another value at a place."""
    whole = json.loads(json.dumps({"version": 1, "metadata": {}, "interactions": [GOOD]}))
    *path, last = place.split(".")
    inner = whole
    for name in path:
        inner = inner[int(name)] if isinstance(inner, list) else inner[name]
    inner[last] = value
    return dict(whole)


def test_a_good_one_is_read(tmp_path: Path) -> None:
    _, (interaction,) = load(cassette(tmp_path, changed("interactions.0.agent", "a")))
    assert interaction.agent == "a"


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        ("interactions", {}, "it does not list interactions"),
        ("interactions.0.request", None, "interactions[0].request must be a mapping, and is empty"),
        ("interactions.0.request", [], "interactions[0].request must be a mapping, and is a list"),
        ("interactions.0.request.method", 5, "request.method must be a text, and is a number"),
        ("interactions.0.request.uri", None, "interactions[0].request.uri must be a text"),
        ("interactions.0.request.headers", "x", "request.headers must be a mapping"),
        ("interactions.0.request.headers", {1: "x"}, "request.headers must have texts as names"),
        ("interactions.0.request.headers", {"a": [1]}, "request.headers.a[0] must be a text"),
        ("interactions.0.request.body", 5, "request.body must be a text, binary data, a mapping"),
        ("interactions.0.request.body", {"a": b"\xff"}, "interactions[0].request.body is no JSON"),
        ("interactions.0.response.status", 200, "response.status must be a mapping"),
        ("interactions.0.response.status.code", "x", "response.status.code must be a whole number"),
        ("interactions.0.response.headers", 1, "response.headers must be a mapping"),
        ("interactions.0.response.body", "x", "response.body must be a mapping, and is a text"),
        ("interactions.0.response.body.string", 1, "response.body.string must be a text or binary"),
        ("interactions.0.agent", ["a"], "interactions[0].agent must be a text, and is a list"),
        ("interactions.0.seconds", "long", "interactions[0].seconds must be a number"),
        ("metadata", "x", "metadata must be a mapping, and is a text"),
        ("metadata.request", 1, "metadata.request must be a text"),
        ("metadata.team", [], "metadata.team must be a mapping"),
        ("metadata.team", {"a": 1}, "metadata.team.a must be a mapping"),
        ("metadata.team", {"a": {"routes": ["NO ROUTE"]}}, "team.a.routes[0]: 'NO ROUTE' is not"),
        ("metadata.only", "a", "metadata.only must be a list, and is a text"),
        ("metadata.settings", {"on": {"empty": "pray"}}, "'pray' is not a valid Action"),
        ("metadata.settings", {"on": {"bad luck": "stop"}}, "'bad luck' is not a valid Cause"),
        ("metadata.settings", {"attempts": "x"}, "metadata.settings.attempts must be a whole"),
        ("metadata.settings", {"stream": 1}, "metadata.settings.stream must be true or false"),
        ("metadata.fallbacks", [{"agent": "a"}], "metadata.fallbacks[0].route must be a text"),
        (
            "metadata.fallbacks",
            [{"agent": "a", "route": "r", "cause": "luck"}],
            "metadata.fallbacks[0].cause: 'luck' is not a valid Cause",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_place(
    tmp_path: Path, place: str, value: Any, why: str
) -> None:
    path = cassette(tmp_path, changed(place, value))
    with pytest.raises(CassetteError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"{path} is no cassette: ")
    assert why in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it does not list interactions"),
        ("a: b: c", "line 1: mapping values are not allowed"),
        ("a: 1\na: 2", "line 2: the key 'a' is there twice"),
        ("[1]: 2", "line 1: a key must be a text or a number"),
        ("--- 1\n--- 2", "it holds more than one document"),
        ("a: !!python/object/apply:os.system [ls]", "line 1: the tag "),
        ("a: !!python/name:os.system", "line 1: the tag "),
        ("a: &a [*a]", "line 1: the alias 'a' has no value yet"),
        (ALIASES, "it holds more than 2000000 values"),
        ("a:\n" + "".join(f"{' ' * n}- \n" for n in range(1, 120)), "it nests more than 100"),
        ("[" * 100_000, "line 1: "),
        (f"a: {'9' * 5000}", "line 1: '9999"),
    ],
)
def test_yaml_that_is_no_plain_data_is_refused_with_its_line(
    tmp_path: Path, text: str, why: str
) -> None:
    with pytest.raises(CassetteError) as caught:
        load(cassette(tmp_path, text))
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_aliases_that_expand_without_end_take_neither_time_nor_memory() -> None:
    tracemalloc.start()
    began = time.monotonic()
    with pytest.raises(CassetteError):
        load_yaml(ALIASES)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.monotonic() - began < 1
    assert peak < 10_000_000


def test_an_alias_of_another_recorder_is_read_as_what_it_stands_for() -> None:
    assert load_yaml("a: &x {b: 1}\nc: *x") == {"a": {"b": 1}, "c": {"b": 1}}


@given(JSON)
def test_plain_yaml_is_read_as_pyyaml_reads_it(value: Any) -> None:
    text = yaml.safe_dump(value, allow_unicode=True)
    assert repr(load_yaml(text)) == repr(yaml.safe_load(text))


@pytest.mark.parametrize("depth", [MAX_DEPTH, 2000, 100_000])
def test_a_body_that_nests_deep_is_written_and_read_as_the_text_it_is(depth: int) -> None:
    body = "[" * depth + "]" * depth
    whole = changed("interactions.0.request.body", body)
    whole["interactions"][0]["response"]["body"]["string"] = body
    (interaction,) = load_yaml(serialize(whole))["interactions"]
    assert interaction["request"]["body"] == interaction["response"]["body"]["string"] == body
    assert parse_request("POST", GOOD["request"]["uri"], body).text.strip() == body


@given(
    st.sampled_from([GOOD["request"]["uri"], "https://x.example/models/m:generateContent"]), JSON
)
def test_any_body_has_a_canonical_form(uri: str, body: Any) -> None:
    for value in (body, {"messages": body, "contents": [body], "system": body}, json.dumps(body)):
        assert parse_request("POST", uri, value).matches(parse_request("POST", uri, value))


def test_a_file_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(safe_files, "MAX_BYTES", 100)
    with pytest.raises(CassetteError, match="it is larger than"):
        load(cassette(tmp_path, "x" * 101))


def test_a_header_without_a_value_is_none(tmp_path: Path) -> None:
    _, (interaction,) = load(
        cassette(tmp_path, changed("interactions.0.response.headers", {"a": [], "b": "c"}))
    )
    assert interaction.response["headers"] == {"b": ["c"]}


def test_a_folder_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(CassetteError, match="cannot be read: it is a folder"):
        load(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CassetteError, match="cannot be read: it is a pipe"):
        load(tmp_path / "pipe")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no such device")
def test_a_device_is_refused() -> None:
    with pytest.raises(CassetteError, match="cannot be read: it is a device"):
        load(Path("/dev/zero"))
