"""Calls of tools and their results, in both vendors' formats: a conversation until its end."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import define, field

from rolecall_plugins.simulator.exchange import Form, Incoming
from rolecall_plugins.simulator.scenario import (
    Fault,
    FunctionCall,
    Round,
    Scenario,
    ScenarioError,
    Script,
)
from rolecall_plugins.simulator.service import Decision, Service

from .asking import GEMINI, Got, claude_body, gemini_body, text_of
from .recorded import exchanges, shape

READ = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "lines": {"type": "integer"}},
    "required": ["path"],
}
LIST: dict[str, Any] = {"type": "object", "properties": {}}
LOOK = Round("I look.", [FunctionCall("read", {"path": "a.py"})])
BOTH = Round(calls=[FunctionCall("list"), FunctionCall("read", {"path": "é/b.py"})])
DONE = Round("Done.")


@define
class Vendor:
    """A service, and a conversation with it as a vendor's own client would have it."""

    name: str
    scenario: Scenario = field(factory=Scenario)
    turns: list[dict[str, Any]] = field(factory=list)

    def __str__(self) -> str:
        return self.name

    def script(self, *rounds: Round | str) -> None:
        made = [Round(each) if isinstance(each, str) else each for each in rounds]
        self.scenario = Scenario(scripts={"*": [Script(made)]})

    def ask(self, form: Form = "json", **fields: Any) -> Got:
        answer = self.decide(form, **fields).answer
        return Got(answer.status or 0, dict(answer.headers), answer.body)

    def decide(self, form: Form = "json", **fields: Any) -> Decision:
        service = Service(self.scenario, lambda: 1_800_000_000.0)
        if self.name == "claude":
            base = claude_body(stream=form == "sse", tools=self.tools())
            more = {"messages": self.turns} if self.turns else {}
            incoming = Incoming(provider="claude", key="k", body=dumped(base | more | fields))
        else:
            base = gemini_body(tools=self.tools())
            more = {"contents": self.turns} if self.turns else {}
            incoming = Incoming(
                provider="gemini",
                key="k",
                body=dumped(base | more | fields),
                model=GEMINI,
                version="v1beta",
                form=form,
            )
        return service.decide(incoming, len(self.turns) + 1)

    def tools(self) -> list[dict[str, Any]]:
        if self.name == "claude":
            return [{"name": "list", "input_schema": LIST}, {"name": "read", "input_schema": READ}]
        names = {"list": LIST, "read": READ}
        declared = [{"name": name, "parametersJsonSchema": each} for name, each in names.items()]
        return [{"functionDeclarations": declared}]

    def structured(self, schema: dict[str, Any]) -> dict[str, Any]:
        if self.name == "claude":
            strict = {**schema, "additionalProperties": False}
            return {"output_config": {"format": {"type": "json_schema", "schema": strict}}}
        config = {"responseMimeType": "application/json", "responseJsonSchema": schema}
        return {"generationConfig": config}

    def text(self, got: Got) -> str:
        return text_of(got)

    def begin(self) -> None:
        body = claude_body() if self.name == "claude" else gemini_body()
        self.turns = list(body["messages" if self.name == "claude" else "contents"])

    def calls(self, got: Got) -> list[dict[str, Any]]:
        """The calls of an answer: names and arguments."""
        if self.name == "claude":
            blocks = [block for block in self.content(got) if block["type"] == "tool_use"]
            return [{"name": block["name"], "arguments": block["input"]} for block in blocks]
        calls = [part["functionCall"] for part in self.content(got) if "functionCall" in part]
        return [{"name": call["name"], "arguments": call["args"]} for call in calls]

    def content(self, got: Got) -> list[dict[str, Any]]:
        """The blocks or parts of an answer, put together where it was streamed."""
        if self.name == "gemini":
            bodies = got.events if got.body.startswith((b"data:", b"[")) else [got.data]
            return [part for body in bodies for part in body["candidates"][0]["content"]["parts"]]
        if got.body.startswith(b"{"):
            return list(got.data["content"])
        return list(assembled(got.events))

    def reply(self, got: Got, *results: str) -> None:
        """Take an answer into the conversation, and the results of its calls."""
        if self.name == "claude":
            content = self.content(got)
            ids = [block["id"] for block in content if block["type"] == "tool_use"]
            answers = [
                {"type": "tool_result", "tool_use_id": call, "content": result}
                for call, result in zip(ids, results, strict=True)
            ]
            self.turns += [
                {"role": "assistant", "content": content},
                {"role": "user", "content": answers},
            ]
            return
        parts = self.content(got)
        calls = [part["functionCall"] for part in parts if "functionCall" in part]
        responses = [
            {"functionResponse": {"name": call["name"], "id": call["id"], "response": {"r": each}}}
            for call, each in zip(calls, results, strict=True)
        ]
        self.turns += [{"role": "model", "parts": parts}, {"role": "user", "parts": responses}]


VENDORS = [pytest.param(Vendor(name), id=name) for name in ("claude", "gemini")]
FORMS: list[Form] = ["json", "sse"]


@pytest.fixture(params=["claude", "gemini"])
def vendor(request: pytest.FixtureRequest) -> Vendor:
    return Vendor(request.param)


def dumped(body: dict[str, Any]) -> bytes:
    return json.dumps({name: each for name, each in body.items() if each is not None}).encode()


def assembled(events: list[Any]) -> Iterator[dict[str, Any]]:
    """Put the blocks of Claude's events together, as a client does."""
    block: dict[str, Any] = {}
    for event in events:
        match event["type"]:
            case "content_block_start":
                block = dict(event["content_block"])
                pieces: list[str] = []
            case "content_block_delta":
                delta = event["delta"]
                if delta["type"] == "input_json_delta":
                    pieces.append(delta["partial_json"])
                elif delta["type"] == "signature_delta":
                    block["signature"] = delta["signature"]
                else:
                    name = delta["type"].removesuffix("_delta")
                    block[name] += delta[name]
            case "content_block_stop":
                if block["type"] == "tool_use" and "".join(pieces):
                    block["input"] = json.loads("".join(pieces))
                yield block


@pytest.mark.parametrize("form", [*FORMS, "array"])
def test_a_script_is_played_round_by_round(vendor: Vendor, form: Form) -> None:
    if vendor.name == "claude" and form == "array":
        pytest.skip("Claude streams events alone")
    vendor.script(LOOK, BOTH, DONE)
    vendor.begin()
    first = vendor.ask(form)
    assert vendor.text(first) == "I look."
    assert vendor.calls(first) == [{"name": "read", "arguments": {"path": "a.py"}}]
    vendor.reply(first, "print()")
    second = vendor.ask(form)
    assert vendor.calls(second) == [
        {"name": "list", "arguments": {}},
        {"name": "read", "arguments": {"path": "é/b.py"}},
    ]
    vendor.reply(second, "a.py", "pass")
    last = vendor.ask(form)
    assert vendor.text(last) == "Done."
    assert vendor.calls(last) == []


@pytest.mark.parametrize("form", FORMS)
def test_thoughts_and_signatures_go_round_with_the_calls(vendor: Vendor, form: Form) -> None:
    vendor.script(BOTH, BOTH, DONE)
    vendor.begin()
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    more = thinking if vendor.name == "claude" else {}
    for _ in range(2):
        answer = vendor.ask(form, **more)
        assert answer.status == 200
        vendor.reply(answer, "one", "two")
    assert vendor.text(vendor.ask(form, **more)) == "Done."


def test_after_its_script_an_agent_writes_what_it_always_does(vendor: Vendor) -> None:
    vendor.script(LOOK)
    vendor.begin()
    vendor.reply(vendor.ask(), "print()")
    assert "Simulated reply" in vendor.text(vendor.ask())


def test_a_script_may_belong_to_one_agent_and_to_one_question(vendor: Vendor) -> None:
    vendor.scenario = Scenario(
        scripts={
            "solution-architect": [
                Script([Round("Mended.")], when="mend it"),
                Script([Round("Built.")], when="synchronises"),
            ],
            "technical-writer": [Script([Round("Written.")])],
        }
    )
    vendor.begin()
    assert vendor.text(vendor.ask()) == "Built."
    assert "Simulated" in vendor.text(Vendor(vendor.name).ask())


def test_calls_of_tools_that_are_not_offered_are_left_out(vendor: Vendor) -> None:
    vendor.script(Round("I look.", [*LOOK.calls, FunctionCall("delete", {"path": "/"})]))
    assert [call["name"] for call in vendor.calls(vendor.ask())] == ["read"]
    assert vendor.calls(vendor.ask(tools=None)) == []
    assert vendor.text(vendor.ask(tools=None)) == "I look."


def test_a_tool_that_must_be_called_is_called_with_fitting_arguments(vendor: Vendor) -> None:
    any_of = (
        {"tool_choice": {"type": "any"}}
        if vendor.name == "claude"
        else {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}
    )
    this = (
        {"tool_choice": {"type": "tool", "name": "read"}}
        if vendor.name == "claude"
        else {
            "toolConfig": {
                "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["read"]}
            }
        }
    )
    assert vendor.calls(vendor.ask(**any_of))[0]["name"] == "list"
    (call,) = vendor.calls(vendor.ask(**this))
    assert call["name"] == "read"
    assert isinstance(call["arguments"]["path"], str)
    assert isinstance(call["arguments"]["lines"], int)


def test_tools_that_may_not_be_called_are_not(vendor: Vendor) -> None:
    vendor.script(LOOK)
    none = (
        {"tool_choice": {"type": "none"}}
        if vendor.name == "claude"
        else {"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}}
    )
    assert vendor.calls(vendor.ask(**none)) == []


@pytest.mark.parametrize("form", FORMS)
def test_calls_that_the_output_limit_does_not_hold_are_cut_and_said(
    vendor: Vendor, form: Form
) -> None:
    vendor.script(Round("", [FunctionCall("read", {"path": "x" * 4000})]))
    limit = (
        {"max_tokens": 100}
        if vendor.name == "claude"
        else {"generationConfig": {"maxOutputTokens": 100}}
    )
    reply = vendor.ask(form, **limit)
    assert b"max_tokens" in reply.body or b"MAX_TOKENS" in reply.body
    assert b"tool_use" not in reply.body
    assert b"functionCall" not in reply.body


def test_calls_and_results_count_as_tokens(vendor: Vendor) -> None:
    vendor.script(LOOK, DONE)
    vendor.begin()
    first = vendor.decide()
    assert first.query is not None
    assert first.answer.output_tokens > 5
    answer = vendor.ask()
    vendor.reply(answer, "x" * 4000)
    second = vendor.decide()
    assert second.query is not None
    assert second.query.input_tokens - first.query.input_tokens > 1000


# Faults.


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("variant", "calls"),
    [
        ("uninvited", [{"name": "a_tool_nobody_offered", "arguments": {"path": "README.md"}}]),
        ("unfitting", [{"name": "list", "arguments": {"an_argument_nobody_knows": True}}]),
        ("endless", [{"name": "list", "arguments": {}}]),
        (
            "parallel",
            12
            * [
                {"name": "list", "arguments": {}},
                {"name": "read", "arguments": {"path": "simulated", "lines": 0}},
            ],
        ),
        ("same_id", 2 * [{"name": "list", "arguments": {}}]),
        ("written_out", []),
    ],
)
def test_bad_calls_come_in_several_forms(
    vendor: Vendor, form: Form, variant: str, calls: list[Any]
) -> None:
    fault = Fault.parse(f"{vendor.name}:bad_tool_call@variant={variant}")
    vendor.scenario = Scenario(faults=(fault,))
    vendor.begin()
    reply = vendor.ask(form)
    assert reply.status == 200
    assert vendor.calls(reply) == calls


def test_two_calls_of_one_id_have_one(vendor: Vendor) -> None:
    fault = Fault.parse(f"{vendor.name}:bad_tool_call@variant=same_id")
    vendor.scenario = Scenario(faults=(fault,))
    content = vendor.content(vendor.ask())
    ids = {part["id"] if "id" in part else part["functionCall"]["id"] for part in content[-2:]}
    assert len(ids) == 1


def test_endless_calls_do_not_end(vendor: Vendor) -> None:
    fault = Fault.parse(f"{vendor.name}:bad_tool_call@variant=endless")
    vendor.scenario = Scenario(faults=(fault,))
    vendor.begin()
    for _ in range(30):
        reply = vendor.ask()
        assert len(vendor.calls(reply)) == 1
        vendor.reply(reply, "a.py")


@pytest.mark.parametrize("form", FORMS)
def test_claudes_malformed_arguments_are_no_json(form: Form) -> None:
    claude = Vendor("claude")
    claude.scenario = Scenario(faults=(Fault.parse("claude:bad_tool_call@variant=malformed"),))
    reply = claude.ask(form)
    if form == "json":
        arguments = reply.data["content"][0]["input"]
    else:
        deltas = [event["delta"] for event in reply.events if event["type"].endswith("block_delta")]
        arguments = "".join(delta["partial_json"] for delta in deltas)
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(arguments)
    assert b'"stop_reason":"tool_use"' in reply.body


@pytest.mark.parametrize("form", FORMS)
def test_a_stream_that_breaks_off_leaves_its_last_call_unfinished(
    vendor: Vendor, form: Form
) -> None:
    vendor.script(Round("", [FunctionCall("read", {"path": "x" * 400})]))
    vendor.scenario = Scenario(
        scripts=vendor.scenario.scripts,
        faults=(Fault.parse(f"{vendor.name}:connection@variant=midway"),),
    )
    reply = vendor.ask(form)
    if form == "sse":
        assert b'"stop_reason":"tool_use"' not in reply.body
        assert b"finishReason" not in reply.body
    else:
        with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
            json.loads(reply.body)


# Against recorded traffic.


@pytest.mark.parametrize("form", FORMS)
def test_claudes_calls_have_the_form_of_recorded_ones(form: Form) -> None:
    claude = Vendor("claude")
    claude.script(Round("I look.", [FunctionCall("read", {"path": "a.py"})]))
    recorded = exchanges("anthropic", "tool_call", *(["sse"] if form == "sse" else []))
    reply = claude.ask(form)
    if form == "json":
        blocks = [
            [sorted(block) for block in each["response"]["body"]["content"]]
            for each in recorded
            if isinstance(each["response"]["body"], dict)
        ]
        assert [sorted(block) for block in reply.data["content"]] in blocks
        return
    shapes = [
        shape(json.loads(line[6:]))
        for each in recorded
        for line in each["response"]["body"].split("\n")
        if line.startswith("data: ")
    ]
    for event in reply.events:
        assert shape(event) in shapes, event


@pytest.mark.parametrize("form", FORMS)
def test_geminis_calls_have_the_form_of_recorded_ones(form: Form) -> None:
    gemini = Vendor("gemini")
    gemini.script(Round("", [FunctionCall("list")]))
    recorded = []
    for each in exchanges("gemini", "tool_call", "thought_signature"):
        body = each["response"]["body"]
        texts = [body] if isinstance(body, dict) else []
        if isinstance(body, str):
            texts = [json.loads(line[6:]) for line in body.splitlines() if line[:6] == "data: "]
        recorded += [skeleton(each["candidates"][0]) for each in texts if "candidates" in each]
    bodies = gemini.ask(form).events if form == "sse" else [gemini.ask(form).data]
    for body in bodies:
        assert skeleton(body["candidates"][0]) in recorded, body


def skeleton(candidate: Any) -> Any:
    """The names of a candidate, of its parts, and of its calls; arguments are the caller's."""
    parts = candidate.get("content", {}).get("parts", [])
    return (
        sorted(candidate),
        [(sorted(part), sorted(part.get("functionCall", ()))) for part in parts],
    )


# Scripts in files.


def test_scripts_are_read_from_a_scenario() -> None:
    table = {
        "code-implementer": [
            {
                "when": "Build",
                "rounds": [
                    {"text": "I look.", "calls": [{"name": "read", "arguments": {"path": "a.py"}}]},
                    {"calls": [{"name": "list"}]},
                    {"text": "Done."},
                ],
            }
        ]
    }
    (script,) = Scenario.parse({"scripts": table}).scripts["code-implementer"]
    assert script == Script([LOOK, Round("", [FunctionCall("list")]), DONE], when="Build")


@pytest.mark.parametrize(
    ("scripts", "said"),
    [
        ([], "scripts: it must be a table of agents, not []"),
        ({"a": {}}, "scripts: a: it must be a list of tables, not {}"),
        ({"a": [1]}, "scripts: a: it must be a list of tables, not 1"),
        ({"a": [{"round": []}]}, "unknown setting of a script 'round'; did you mean 'rounds'?"),
        ({"a": [{"rounds": ["x"]}]}, "scripts: a: round 1: it must be a table, not 'x'"),
        ({"a": [{"rounds": [{"call": []}]}]}, "unknown setting of a round 'call'"),
        ({"a": [{"rounds": [{"calls": [{"name": 5}]}]}]}, "round 1: it must be a text, not 5"),
        ({"a": [{"rounds": [{"calls": [{"args": {}}]}]}]}, "unknown setting of a call 'args'"),
        ({"a": [{"when": 5}]}, "scripts: a: it must be a text, not 5"),
    ],
)
def test_a_wrong_script_is_an_error_with_its_place(scripts: Any, said: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario.parse({"scripts": scripts})
    assert said in str(caught.value)
