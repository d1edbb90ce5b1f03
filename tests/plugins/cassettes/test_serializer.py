"""A cassette can be read by people, by diffs and by vcrpy."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import vcr
from hypothesis import given
from hypothesis import strategies as st

from rolecall_plugins.cassettes import serializer
from rolecall_plugins.cassettes.files.reader import load
from rolecall_plugins.cassettes.files.writer import save
from rolecall_plugins.cassettes.interactions import CassetteMetadata, Interaction, RecordedAgent
from rolecall_plugins.cassettes.redaction import Redaction

TEXTS = st.text(
    st.one_of(
        st.sampled_from("\n\t a#:-|>\r'\"é✓😀\x85\u2028\ufeff\x00"),
        st.characters(exclude_categories=["Cs"]),
    )
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXTS),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(TEXTS, inner)),
    max_leaves=8,
)


def tape(request: Any, reply: str, kind: str = "application/json", **more: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "interactions": [
            {
                **more,
                "request": {
                    "method": "POST",
                    "uri": "https://example.com/v1/messages",
                    "headers": {},
                    "body": request,
                },
                "response": {
                    "status": {"code": 200, "message": "OK"},
                    "headers": {"content-type": [kind]},
                    "body": {"string": reply},
                },
            }
        ],
    }


def test_a_prompt_is_a_block_of_lines_whatever_is_in_it() -> None:
    body = {"system": "# Role\n\n\tA tab, a blank \n- ✓ 😀\n"}
    text = serializer.serialize(tape(json.dumps(body), "{}"))
    assert "      system: |\n        # Role\n\n        \tA tab, a blank \n        - ✓ 😀\n" in text


def test_a_stream_is_written_line_by_line() -> None:
    reply = 'event: a\r\ndata: {"x":"é"}\r\n\r\n'
    text = serializer.serialize(tape("{}", reply, "text/event-stream"))
    assert '      string: |+\n        event: a\n        data: {"x":"é"}\n\n' in text


def test_the_order_of_a_client_s_names_makes_no_difference() -> None:
    one, other = ({"b": 1, "model": "m"}, {"model": "m", "b": 1})
    assert serializer.serialize(tape(json.dumps(one), "{}")) == serializer.serialize(
        tape(json.dumps(other), "{}")
    )


@given(st.dictionaries(TEXTS, JSON), st.dictionaries(TEXTS, JSON))
def test_what_is_written_is_read_again(asked: Any, told: Any) -> None:
    (each,) = serializer.deserialize(
        serializer.serialize(tape(json.dumps(asked), json.dumps(told)))
    )["interactions"]
    assert json.loads(each["request"]["body"]) == asked
    assert json.loads(each["response"]["body"]["string"]) == told


@given(TEXTS)
def test_a_body_that_is_no_json_is_read_again(text: str) -> None:
    (each,) = serializer.deserialize(serializer.serialize(tape(f"x{text}", f"x{text}")))[
        "interactions"
    ]
    assert each["request"]["body"] == each["response"]["body"]["string"] == f"x{text}"


def test_the_first_line_says_where_it_comes_from() -> None:
    told = {**tape("{}", "{}"), "metadata": {"source": "the services at example.com"}}
    assert serializer.serialize(told).startswith("# Recorded from the services at example.com.\n")


@pytest.mark.parametrize("own", [True, False])
def test_vcrpy_replays_it_with_our_serializer_and_with_its_own(tmp_path: Path, own: bool) -> None:
    (tmp_path / "tape.yaml").write_text(serializer.serialize(tape('{"a": 1}', '{"b": "✓"}')))
    recorder = vcr.VCR(record_mode="none")
    recorder.register_serializer("rolecall", serializer)
    kind = "rolecall" if own else "yaml"
    with recorder.use_cassette(str(tmp_path / "tape.yaml"), serializer=kind) as played:
        reply = httpx.post("https://example.com/v1/messages", json={"a": 1})
    assert reply.json() == {"b": "✓"}
    assert played.all_played


def test_exchanges_are_in_the_team_s_order_not_in_that_of_their_ends(tmp_path: Path) -> None:
    interactions = [
        Interaction(
            request={"method": "GET", "uri": f"https://example.com/{n}", "headers": {}, "body": ""},
            response={"status": {"code": 200, "message": ""}, "headers": {}, "body": {}},
            agent=agent,
            position=n,
        )
        for n, agent in [(3, "b"), (1, "a"), (2, "b"), (0, "c")]
    ]
    path = tmp_path / "tape.yaml"
    save(
        path,
        CassetteMetadata(team=dict.fromkeys("cba", RecordedAgent())),
        interactions,
        Redaction(),
    )
    _, saved = load(path)
    assert [interaction.request["uri"][-1] for interaction in saved] == ["0", "2", "3", "1"]


def test_a_cassette_that_vcrpy_wrote_is_one_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "tape.yaml"
    path.write_text(
        "interactions:\n- request:\n    body: null\n    headers: {}\n    method: GET\n"
        "    uri: https://example.com/\n  response:\n    body: {string: hello}\n"
        "    headers: {}\n    status: {code: 200, message: OK}\nversion: 1\n"
    )
    metadata, (interaction,) = load(path)
    assert metadata == CassetteMetadata()
    assert interaction.canonical.wire == "GET /"
