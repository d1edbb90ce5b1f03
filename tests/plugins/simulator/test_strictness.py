"""Conversations that the vendors reject, because a part of them is missing or elsewhere."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_plugins.simulator.anthropic.turns import check_signatures as check_claude
from rolecall_plugins.simulator.exchange import FunctionCall, Query, Rejected
from rolecall_plugins.simulator.gemini.turns import DUMMIES
from rolecall_plugins.simulator.gemini.turns import check_signatures as check_gemini
from rolecall_plugins.simulator.scenario import Round

from .asking import claude_body, gemini_body
from .test_requests import claude, gemini
from .test_tools import Vendor

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n simulated").decode()
JPEG = base64.b64encode(b"\xff\xd8\xff simulated").decode()
PDF = base64.b64encode(b"%PDF-1.7 /Type /Page").decode()
TOOLS = [{"name": "look", "input_schema": {"type": "object"}}]
DECLARED = [{"functionDeclarations": [{"name": "look"}]}]


def use(call: str = "toolu_1", **more: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call, "name": "look", "input": {}, **more}


def result(call: str = "toolu_1", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call, "content": "Seen.", **more}


def text(words: str = "And?") -> dict[str, Any]:
    return {"type": "text", "text": words}


def conversation(*contents: Any) -> dict[str, Any]:
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": each} for n, each in enumerate(contents)]
    return claude_body(messages=messages, tools=TOOLS)


def contents(*turns: tuple[str, list[Any]]) -> dict[str, Any]:
    return gemini_body(
        contents=[{"role": role, "parts": parts} for role, parts in turns], tools=DECLARED
    )


ASKED = ("user", [{"text": "Look."}])


def call(name: str = "look", **more: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, "args": {}}, **more}


def response(name: str = "look", **more: Any) -> dict[str, Any]:
    return {"functionResponse": {"name": name, "response": {"result": "Seen."}, **more}}


def said_by(rejected: Any, body: dict[str, Any], **more: Any) -> str:
    with pytest.raises(Rejected) as caught:
        rejected(body, **more)
    assert (caught.value.cause, caught.value.status) == ("invalid_request", 400)
    return str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        conversation("Look.", [use()], [result()]),
        conversation("Look.", [text(), use("a"), use("b")], [result("b"), result("a"), text()]),
        conversation("Look.", [use()], [result(content=[text(), text()])]),
        conversation("Look.", [use()], [result(content=None)], "Fine.", "And?"),
        conversation("Look.", [use()], [result(is_error=True, content="It broke.")]),
        conversation("Look.", [use("a")], [result("a")], [use("b")], [result("b")]),
    ],
)
def test_claude_takes_calls_with_their_results(body: dict[str, Any]) -> None:
    assert claude(body).turns


def test_claude_joins_messages_of_one_role() -> None:
    messages = [
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": [use("a")]},
        {"role": "assistant", "content": [use("b")]},
        {"role": "user", "content": [result("a")]},
        {"role": "user", "content": [result("b")]},
    ]
    assert claude(claude_body(messages=messages, tools=TOOLS))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            conversation("Look.", [use()], "And?"),
            "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: "
            "toolu_1. Each `tool_use` block must have a corresponding `tool_result` block in the "
            "next message.",
        ),
        (conversation("Look.", [use()], [text(), result()]), "immediately after: toolu_1."),
        (conversation("Look.", [use("a"), use("b")], [result("a")]), "immediately after: b."),
        (conversation("Look.", [use()]), "immediately after: toolu_1."),
        (
            conversation([result()]),
            "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: "
            "toolu_1. Each `tool_result` block must have a corresponding `tool_use` block in the "
            "previous message.",
        ),
        (
            conversation("Look.", [use()], [result(), result("other")]),
            "messages.2.content.1: unexpected `tool_use_id` found in `tool_result` blocks: other.",
        ),
        (
            conversation("Look.", [use()], [result(), result()]),
            "each tool_use must have a single result. Found multiple `tool_result` blocks with id",
        ),
        (
            conversation("Look.", [use()], [result()], [use()], [result()]),
            "messages: `tool_use` ids must be unique",
        ),
        (conversation("Look.", [use("?")], [result("?")]), "tool_use.id: String should match"),
        (conversation("Look.", [use(input="x")], [result()]), "tool_use.input: Input should be"),
        (
            conversation("Look.", [use()], [result(is_error=True, content="")]),
            "content cannot be empty if `is_error` is true",
        ),
        (
            conversation("Look.", [use()], [result(content=[use("b")])]),
            "Input tag 'tool_use' found using 'type' does not match any of the expected tags",
        ),
        (conversation([use()]), "messages.0.content.0: `tool_use` blocks can not be in user"),
        (conversation("Look.", [result()]), "`tool_result` blocks can not be in assistant"),
        (conversation("Look.", [{"type": "dream"}]), "Input tag 'dream' found using 'type'"),
        (conversation(""), "messages.0: all messages must have non-empty content except for the"),
        (conversation([text("")]), "messages.0.content.0: text content blocks must be non-empty"),
        (
            conversation("Look.", [use()], [result()]) | {"tools": None},
            "Requests which include `tool_use` or `tool_result` blocks must define tools.",
        ),
        (claude_body(tools=[*TOOLS, *TOOLS]), "tools: Tool names must be unique."),
        (claude_body(tools=[{"name": "look"}]), "tools.0.custom.input_schema: Field required"),
        (
            claude_body(tools=[{"name": "look", "input_schema": {"type": "string"}}]),
            "tools.0.custom.input_schema.type: Input should be 'object'",
        ),
        (
            claude_body(tools=[{"name": "a.b", "input_schema": {"type": "object"}}]),
            "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'",
        ),
        (
            claude_body(tools=TOOLS, tool_choice={"type": "tool", "name": "other"}),
            "Tool 'other' not found in provided tools",
        ),
        (claude_body(tool_choice={"type": "any"}), "may only be specified while providing tools"),
        (
            claude_body(
                tools=TOOLS,
                tool_choice={"type": "any"},
                thinking={"type": "enabled", "budget_tokens": 1024},
            ),
            "Thinking may not be enabled when tool_choice forces tool use.",
        ),
        (
            claude_body(thinking={"type": "enabled", "budget_tokens": 9999}),
            "`max_tokens` must be greater than `thinking.budget_tokens`.",
        ),
        (
            conversation("Look.", [use()], [result()])
            | {"thinking": {"type": "enabled", "budget_tokens": 1024}},
            "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found "
            "`tool_use`.",
        ),
        (
            claude_body(output_format={"type": "json_schema", "schema": {"type": "object"}}),
            "'additionalProperties' must be explicitly set to false",
        ),
    ],
)
def test_claude_rejects_what_is_not_in_order(body: dict[str, Any], said: str) -> None:
    sent = {name: value for name, value in body.items() if value is not None}
    assert said in said_by(claude, sent)


@pytest.mark.parametrize(
    "body",
    [
        contents(ASKED, ("model", [call()]), ("user", [response()])),
        contents(ASKED, ("model", [call(), call()]), ("function", [response(), response()])),
        contents(ASKED, ("model", [{"text": "Hm."}, call()]), ("user", [response()])),
        contents(
            ASKED,
            *(("model", [call()]), ("user", [response()])),
            *(("model", [call()]), ("user", [response()])),
        ),
    ],
)
def test_gemini_takes_calls_with_their_responses(body: dict[str, Any]) -> None:
    assert gemini(body).turns


UNEQUAL = "the number of function response parts is equal to the number of function call parts"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (contents(ASKED, ("model", [call()])), UNEQUAL),
        (contents(ASKED, ("model", [call(), call()]), ("user", [response()])), UNEQUAL),
        (contents(ASKED, ("model", [call()]), ("user", [response(), response()])), UNEQUAL),
        (contents(ASKED, ("model", [call()]), ASKED), UNEQUAL),
        (
            contents(("user", [response()])),
            "Please ensure that function response turn comes immediately after a function call",
        ),
        (
            contents(("model", [call()]), ("user", [response()])),
            "Please ensure that function call turn comes immediately after a user turn or after a",
        ),
        (
            contents(ASKED, ("model", [call()]), ("user", [response("other")])),
            "Request contains an invalid argument.",
        ),
        (
            contents(ASKED, ("model", [call("")]), ("user", [response("")])),
            "* GenerateContentRequest.contents[1].parts[0].function_call.name: Name cannot be",
        ),
        (
            contents(
                ASKED,
                ("model", [{"functionCall": {"name": "look", "args": {}, "id": "a"}}]),
                ("user", [response(id="b")]),
            ),
            "Request contains an invalid argument.",
        ),
        (
            contents(ASKED, ("model", [{"functionCall": {"name": "look", "args": "x"}}])),
            "function_call.args' (type.googleapis.com/google.protobuf.Struct)",
        ),
        (
            contents(("user", [{"text": "a", "mediaResolution": {}}])),
            'Invalid JSON payload received. Unknown name "mediaResolution" at '
            "'contents[0].parts[0]': Cannot find field.",
        ),
        (
            contents(("user", [{"thought": True}])),
            "* GenerateContentRequest.contents[0].parts[0].data: required oneof field 'data' must",
        ),
        (
            contents(("user", [{"text": "a", "functionCall": {"name": "look"}}])),
            "oneof field 'data' is already set",
        ),
        (
            gemini_body(tools=[{"functionDeclarations": [{"name": "a"}, {"name": "a"}]}]),
            "Duplicate function declaration found: a",
        ),
        (
            gemini_body(tools=[{"functionDeclarations": [{"name": "1 a"}]}]),
            "* GenerateContentRequest.tools[0].function_declarations[0].name: Invalid function",
        ),
        (
            gemini_body(
                tools=[
                    {
                        "functionDeclarations": [
                            {
                                "name": "a",
                                "parameters": {"type": "OBJECT", "additionalProperties": False},
                            }
                        ]
                    }
                ]
            ),
            'Unknown name "additionalProperties" at \'tools[0].function_declarations[0]'
            ".parameters': Cannot find field.",
        ),
        (
            gemini_body(
                generationConfig={
                    "responseMimeType": "application/json",
                    "responseSchema": {"type": "array"},
                }
            ),
            "generation_config.response_schema.items: missing field.",
        ),
        (
            gemini_body(
                generationConfig={
                    "responseMimeType": "application/json",
                    "responseSchema": {"type": ["string", "null"]},
                }
            ),
            "Proto field is not repeating, cannot start list.",
        ),
        (
            gemini_body(generationConfig={"responseSchema": {"type": "string"}}),
            "only allowed when response_mime_type is application/json or text/x.enum",
        ),
        (
            gemini_body(toolConfig={"functionCallingConfig": {"mode": "SOMETIMES"}}),
            "tool_config.function_calling_config.mode",
        ),
        (
            gemini_body(
                tools=DECLARED,
                toolConfig={"functionCallingConfig": {"allowedFunctionNames": ["look"]}},
            ),
            "Allowed function names should only be set when mode is ANY.",
        ),
    ],
)
def test_gemini_rejects_what_is_not_in_order(body: dict[str, Any], said: str) -> None:
    assert said in said_by(gemini, body)


def test_geminis_older_models_call_no_functions_where_they_answer_json() -> None:
    config = {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}}
    body = gemini_body(tools=DECLARED, generationConfig=config)
    said = "Function calling with a response mime type: 'application/json' is unsupported"
    assert said in said_by(gemini, body, model="gemini-2.5-flash")
    assert gemini(body, model="gemini-3.8-flash")


# Signatures.


def loop(vendor: Vendor, *calls: FunctionCall) -> None:
    """Bring a conversation to where the results of these calls are sent."""
    vendor.script(Round("", calls), "Done.")
    vendor.begin()
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    more = thinking if vendor.name == "claude" else {}
    vendor.reply(vendor.ask(**more), *("Seen." for _ in calls))


def rejected(vendor: Vendor) -> str:
    reply = vendor.ask()
    return str(reply.data["error"]["message"]) if reply.status == 400 else ""


def test_geminis_calls_must_come_back_with_their_signatures() -> None:
    gemini = Vendor("gemini")
    loop(gemini, FunctionCall("read", {"path": "a.py"}), FunctionCall("list"))
    assert rejected(gemini) == ""
    parts = gemini.turns[1]["parts"]
    assert ["thoughtSignature" in part for part in parts] == [True, False]
    signature = parts[0].pop("thoughtSignature")
    assert rejected(gemini) == (
        "Function call is missing a thought_signature in functionCall parts. This is required for "
        "tools to work correctly, and missing thought_signature may lead to degraded model "
        "performance. Additional data, function call `default_api:read` , position 2. Please refer "
        "to https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
    )
    parts[1]["thoughtSignature"] = signature
    assert "missing a thought_signature" in rejected(gemini)
    parts[0]["thoughtSignature"] = signature
    assert rejected(gemini) == "Corrupted thought signature."


def test_a_signature_that_was_changed_or_is_anothers_is_corrupted() -> None:
    gemini = Vendor("gemini")
    loop(gemini, FunctionCall("read", {"path": "a.py"}))
    part = gemini.turns[1]["parts"][0]
    signature = part["thoughtSignature"]
    other = Vendor("gemini")
    loop(other, FunctionCall("read", {"path": "b.py"}))
    claude = Vendor("claude")
    loop(claude, FunctionCall("read", {"path": "a.py"}))
    for wrong in (
        signature[:-8],
        signature.swapcase(),
        base64.b64encode(b"of somebody else").decode(),
        other.turns[1]["parts"][0]["thoughtSignature"],
        claude.turns[1]["content"][0]["signature"],
    ):
        part["thoughtSignature"] = wrong
        assert rejected(gemini) == "Corrupted thought signature."


def test_signatures_of_questions_answered_before_may_be_missing() -> None:
    gemini = Vendor("gemini")
    loop(gemini, FunctionCall("list"))
    del gemini.turns[1]["parts"][0]["thoughtSignature"]
    gemini.turns += [
        {"role": "model", "parts": [{"text": "Done."}]},
        {"role": "user", "parts": [{"text": "And now?"}]},
    ]
    assert rejected(gemini) == ""


@pytest.mark.parametrize("dummy", DUMMIES)
def test_the_api_can_be_asked_not_to_check_a_signature(dummy: bytes) -> None:
    gemini = Vendor("gemini")
    loop(gemini, FunctionCall("list"))
    for sent in (dummy.decode(), base64.b64encode(dummy).decode()):
        gemini.turns[1]["parts"][0]["thoughtSignature"] = sent
        assert rejected(gemini) == ""


def test_claudes_thoughts_must_come_back_as_they_were() -> None:
    claude = Vendor("claude")
    loop(claude, FunctionCall("list"))
    assert rejected(claude) == ""
    thought = claude.turns[1]["content"][0]
    thought["thinking"] += " No."
    assert rejected(claude) == ("messages.1.content.0: Invalid `signature` in `thinking` block")


@given(st.text(), st.text())
def test_no_two_texts_have_one_signature(one: str, other: str) -> None:
    from rolecall_plugins.simulator.anthropic.events import signature_of as of_claude
    from rolecall_plugins.simulator.gemini.turns import signature_of as of_gemini

    assert (of_claude(one) == of_claude(other)) == (one == other)
    assert (of_gemini(one) == of_gemini(other)) == (one == other)
    assert of_claude(one) != of_gemini(one)


def test_a_query_without_signatures_has_none_to_check() -> None:
    query = Query(model="m", turns=())
    check_claude(query)
    check_gemini(query)


# Images and documents.


def image(data: str = PNG, kind: str = "image/png") -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}


def inline(data: str = PNG, kind: str = "image/png") -> dict[str, Any]:
    return {"inlineData": {"mimeType": kind, "data": data}}


@pytest.mark.parametrize(
    "block",
    [
        image(),
        image(JPEG, "image/jpeg"),
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
        },
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "x" * 400},
        },
        {"type": "document", "source": {"type": "content", "content": [text("x")]}},
    ],
)
def test_claude_takes_images_and_documents_and_counts_them(block: dict[str, Any]) -> None:
    query = claude(conversation([text("What is it?"), block]))
    assert query.input_tokens > claude(conversation([text("What is it?")])).input_tokens
    assert claude(conversation("Look.", [use()], [result(content=[block])]))


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (image("?!"), "image.source.base64.data: Invalid base64 data"),
        (image("AAAA"), "image.source.base64.data: The file format is invalid or unsupported"),
        (image(PDF), "image.source.base64.data: The file format is invalid or unsupported"),
        (
            image(JPEG),
            "The image was specified using the image/png media type, but the image appears to be a "
            "image/jpeg image",
        ),
        (image(kind="image/tiff"), "media_type: Input should be 'image/jpeg', 'image/png'"),
        ({"type": "image"}, "messages.0.content.0.image.source: Field required"),
        (
            {"type": "image", "source": {"type": "tape"}},
            "messages.0.content.0.image.source: Input tag 'tape' found using 'type' does not match",
        ),
    ],
)
def test_claude_rejects_what_is_no_image(block: dict[str, Any], said: str) -> None:
    assert said in said_by(claude, conversation([block]))


@pytest.mark.parametrize(
    "part",
    [
        inline(),
        inline(PDF, "application/pdf"),
        inline("aGVsbG8=", "text/plain"),
        inline(PNG.replace("+", "-").replace("/", "_")),
        {"inline_data": {"mime_type": "image/jpeg", "data": JPEG}},
        {"fileData": {"fileUri": "https://example.com/a.pdf", "mimeType": "application/pdf"}},
    ],
)
def test_gemini_takes_images_and_documents_and_counts_them(part: dict[str, Any]) -> None:
    plain = gemini(contents(("user", [{"text": "What is it?"}])))
    assert gemini(contents(("user", [{"text": "What is it?"}, part]))).input_tokens > (
        plain.input_tokens
    )


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (inline("?!"), "inline_data.data' (TYPE_BYTES), Base64 decoding failed"),
        (inline("AAAA"), "Provided image is not valid."),
        (inline("AAAA", "application/pdf"), "The document has no pages."),
        (inline(kind="application/zip"), "Unsupported MIME type: application/zip"),
    ],
)
def test_gemini_rejects_what_is_no_image(part: dict[str, Any], said: str) -> None:
    assert said in said_by(gemini, contents(("user", [part])))


def test_what_is_rejected_is_answered_in_the_vendors_own_form() -> None:
    for vendor in (Vendor("claude"), Vendor("gemini")):
        loop(vendor, FunctionCall("list"))
        del vendor.turns[-1]
        reply = vendor.ask()
        assert reply.status == 400
        error = json.loads(reply.body)["error"]
        assert error.get("type", error.get("status")) in (
            "invalid_request_error",
            "INVALID_ARGUMENT",
        )
