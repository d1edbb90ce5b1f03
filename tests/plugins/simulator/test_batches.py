"""Batches of both vendors: submitted, looked at, cancelled, expired, and never sent twice."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from attrs import define, field

from rolecall_plugins.simulator.batches.anthropic import AnthropicBatches
from rolecall_plugins.simulator.batches.gemini import GeminiBatches
from rolecall_plugins.simulator.exchange import Ending, HttpReply
from rolecall_plugins.simulator.scenario import BatchOptions, Fault, Scenario, ScenarioError
from rolecall_plugins.simulator.server import Simulator
from rolecall_plugins.simulator.service import Service

from .asking import GEMINI, claude_body, gemini_body, text_of
from .asking import Got as Reply

BASE = "http://127.0.0.1:1"


@define
class Vendor:
    """A batch API whose clock stands still until it is set."""

    name: str
    options: dict[str, Any] = field(factory=dict)
    faults: tuple[str, ...] = ()
    now: float = 1_800_000_000.0
    key: str = "a key"
    _service: Any = None

    @property
    def service(self) -> Service:
        if self._service is None:
            scenario = Scenario(
                batches=BatchOptions.parse(self.options),
                faults=tuple(map(Fault.parse, self.faults)),
            )
            self._service = Service(scenario, lambda: self.now)
        return self._service

    def ask(self, method: str, path: str = "", body: Any = b"", **query: str) -> Any:
        """Send a request, and return the JSON of its reply."""
        return json.loads(self.send(method, path, body, **query).body)

    def send(self, method: str, path: str = "", body: Any = b"", **query: str) -> HttpReply:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = self.service.answer_in_batch
        if self.name == "claude":
            batches = AnthropicBatches(self.service.batches, answer, BASE)
            return batches.handle(method, path, query, sent, self.key)
        gemini = GeminiBatches(self.service.batches, answer)
        if body:
            return gemini.create(GEMINI, "v1beta", sent, self.key)
        return gemini.handle(method, path, query, self.key)

    def body(self, *requests: dict[str, Any]) -> dict[str, Any]:
        if self.name == "claude":
            named = [{"custom_id": f"r{n}", "params": each} for n, each in enumerate(requests)]
            return {"requests": named}
        labelled = [
            {"request": each, "metadata": {"key": f"r{n}"}} for n, each in enumerate(requests)
        ]
        config = {"requests": {"requests": labelled}}
        return {"batch": {"displayName": "a title", "inputConfig": config}}

    def good(self) -> dict[str, Any]:
        return claude_body() if self.name == "claude" else gemini_body()

    def bad(self) -> dict[str, Any]:
        return claude_body(max_tokens=0) if self.name == "claude" else gemini_body(contents=None)

    def submit(self, *requests: dict[str, Any]) -> str:
        """Submit a batch and return its name."""
        batch = self.ask("POST", body=self.body(*(requests or [self.good()])))
        return str(batch["id"] if self.name == "claude" else batch["name"].removeprefix("batches/"))

    def look(self, name: str) -> dict[str, Any]:
        return dict(self.ask("GET", name))

    def state(self, name: str) -> str:
        batch = self.look(name)
        status = batch.get("processing_status") or batch["metadata"]["state"]
        return str(status).removeprefix("BATCH_STATE_").lower()

    def results(self, name: str) -> dict[str, dict[str, Any]]:
        """Map each request's name to its result."""
        if self.name == "claude":
            lines = self.send("GET", f"{name}/results").body.decode().splitlines()
            read = [json.loads(line) for line in lines]
            return {each["custom_id"]: each["result"] for each in read}
        responses = self.look(name)["response"]["inlinedResponses"]["inlinedResponses"]
        return {each["metadata"]["key"]: each for each in responses}


@pytest.fixture(params=["claude", "gemini"])
def vendor(request: pytest.FixtureRequest) -> Vendor:
    return Vendor(request.param, {"delay": 60})


def texts(vendor: Vendor, result: dict[str, Any]) -> str:
    answer = result["message"] if vendor.name == "claude" else result["response"]
    return text_of(Reply(200, {}, json.dumps(answer).encode()))


def test_a_batch_ends_after_its_delay_with_an_answer_for_each_request(vendor: Vendor) -> None:
    name = vendor.submit(vendor.good(), vendor.good())
    vendor.now += 59
    assert vendor.state(name) in ("in_progress", "running")
    vendor.now += 1
    assert vendor.state(name) in ("ended", "succeeded")
    results = vendor.results(name)
    assert sorted(results) == ["r0", "r1"]
    for result in results.values():
        assert "Simulated reply" in texts(vendor, result)


def test_the_answers_are_those_that_single_calls_would_get(vendor: Vendor) -> None:
    other = Vendor(vendor.name)
    results = [each.results(each.submit())["r0"] for each in (vendor_at_once(vendor), other)]
    assert texts(vendor, results[0]) == texts(vendor, results[1])


def vendor_at_once(vendor: Vendor) -> Vendor:
    return Vendor(vendor.name)


def test_what_is_wrong_with_one_request_spares_the_others(vendor: Vendor) -> None:
    vendor.options = {}
    results = vendor.results(vendor.submit(vendor.good(), vendor.bad(), vendor.good()))
    assert "Simulated reply" in texts(vendor, results["r0"])
    assert "Simulated reply" in texts(vendor, results["r2"])
    if vendor.name == "claude":
        assert results["r1"]["type"] == "errored"
        assert results["r1"]["error"]["type"] == "error"
        assert results["r1"]["error"]["error"]["type"] == "invalid_request_error"
    else:
        assert results["r1"]["error"]["code"] == 3
        assert "contents is not specified" in results["r1"]["error"]["message"]


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ("overloaded", "overloaded_error", 14),
        ("server_error", "api_error", 13),
        ("rate_limited", "rate_limit_error", 8),
        ("connection", "api_error", 13),
        ("timeout", "api_error", 13),
        ("bad_payload", "api_error", 13),
    ],
)
def test_faults_strike_single_requests(vendor: Vendor, fault: str, kind: str, code: int) -> None:
    vendor.options, vendor.faults = {}, (f"{vendor.name}:{fault}:1",)
    results = vendor.results(vendor.submit(vendor.good(), vendor.good()))
    assert "Simulated reply" in texts(vendor, results["r1"])
    error = results["r0"]["error"]
    assert (error["error"]["type"] == kind) if vendor.name == "claude" else (error["code"] == code)


def test_an_empty_answer_is_an_answer(vendor: Vendor) -> None:
    vendor.options, vendor.faults = {}, (f"{vendor.name}:empty:1",)
    results = vendor.results(vendor.submit())
    assert texts(vendor, results["r0"]) == ""


def test_single_requests_may_expire(vendor: Vendor) -> None:
    vendor.options = {"expired": 50}
    results = vendor.results(vendor.submit(*(vendor.good() for _ in range(40))))
    expired = [
        each
        for each in results.values()
        if each.get("type") == "expired" or "expired" in each.get("error", {}).get("message", "")
    ]
    assert 5 < len(expired) < 35


def test_a_batch_that_takes_too_long_expires(vendor: Vendor) -> None:
    vendor.options = {"delay": 60, "lifetime": 30}
    name = vendor.submit(vendor.good(), vendor.good())
    vendor.now += 30
    if vendor.name == "claude":
        assert vendor.state(name) == "ended"
        kinds = sorted(each["type"] for each in vendor.results(name).values())
        assert kinds == ["expired", "succeeded"]
    else:
        assert vendor.state(name) == "expired"
        assert vendor.look(name)["error"]["code"] == 4
        assert "response" not in vendor.look(name)


@pytest.mark.parametrize(("name", "hours"), [("claude", 24), ("gemini", 48)])
def test_a_vendors_batch_has_its_own_time(name: str, hours: int) -> None:
    vendor = Vendor(name, {"delay": 10**9})
    batch = vendor.submit()
    vendor.now += hours * 3600 - 1
    assert vendor.state(batch) in ("in_progress", "running")
    vendor.now += 1
    assert vendor.state(batch) in ("ended", "expired")


def test_a_cancelled_batch_keeps_what_was_finished(vendor: Vendor) -> None:
    name = vendor.submit(*(vendor.good() for _ in range(4)))
    vendor.now += 30
    reply = vendor.ask("POST", f"{name}/cancel" if vendor.name == "claude" else f"{name}:cancel")
    if vendor.name == "gemini":
        assert reply == {}
        assert vendor.state(name) == "cancelled"
        assert vendor.look(name)["done"]
        return
    assert reply["processing_status"] == "canceling"
    assert reply["cancel_initiated_at"] is not None
    assert vendor.state(name) == "ended"
    counts = vendor.look(name)["request_counts"]
    assert (counts["succeeded"], counts["canceled"]) == (2, 2)
    kinds = [each["type"] for each in vendor.results(name).values()]
    assert sorted(kinds) == ["canceled", "canceled", "succeeded", "succeeded"]


def test_a_batch_that_has_ended_cannot_be_cancelled(vendor: Vendor) -> None:
    name = vendor.submit()
    vendor.now += 60
    reply = vendor.send("POST", f"{name}/cancel" if vendor.name == "claude" else f"{name}:cancel")
    assert reply.status == 400


def test_a_submission_whose_reply_is_lost_is_found_in_the_list(vendor: Vendor) -> None:
    vendor.options = {"lost": 1}
    reply = vendor.send("POST", body=vendor.body(vendor.good()))
    assert (reply.status, reply.ending) == (None, Ending.RESET)
    listed = vendor.ask("GET")
    (batch,) = listed["data"] if vendor.name == "claude" else listed["operations"]
    name = batch["id"] if vendor.name == "claude" else batch["name"].removeprefix("batches/")
    assert "Simulated reply" in texts(vendor, vendor.results(name)["r0"])
    assert vendor.send("POST", body=vendor.body(vendor.good())).status == 200


def test_gemini_finds_a_batch_again_by_its_title() -> None:
    gemini = Vendor("gemini")
    gemini.submit()
    (operation,) = gemini.ask("GET")["operations"]
    assert operation["metadata"]["displayName"] == "a title"


def test_a_batch_of_gemini_may_fail_as_a_whole() -> None:
    gemini = Vendor("gemini", {"failed": 1})
    name = gemini.submit()
    assert gemini.state(name) == "failed"
    assert gemini.look(name)["error"]["code"] == 13
    assert gemini.state(gemini.submit()) == "succeeded"


def test_the_newest_batch_is_listed_first_and_pages_follow(vendor: Vendor) -> None:
    names = [vendor.submit() for _ in range(5)]
    if vendor.name == "claude":
        first = vendor.ask("GET", limit="2")
        assert [each["id"] for each in first["data"]] == [names[4], names[3]]
        assert (first["has_more"], first["last_id"]) == (True, names[3])
        rest = vendor.ask("GET", after_id=first["last_id"])
        assert [each["id"] for each in rest["data"]] == [names[2], names[1], names[0]]
        assert not rest["has_more"]
        before = vendor.ask("GET", before_id=names[3])
        assert [each["id"] for each in before["data"]] == [names[4]]
        return
    first = vendor.ask("GET", pageSize="2")
    shown = [each["name"] for each in first["operations"]]
    assert shown == [f"batches/{names[4]}", f"batches/{names[3]}"]
    rest = vendor.ask("GET", pageSize="9", pageToken=first["nextPageToken"])
    assert len(rest["operations"]) == 3
    assert "nextPageToken" not in rest


def test_a_batch_can_be_deleted(vendor: Vendor) -> None:
    name = vendor.submit()
    if vendor.name == "claude":
        assert vendor.send("DELETE", name).status == 400
    vendor.now += 60
    assert vendor.send("DELETE", name).status == 200
    assert vendor.send("GET", name).status == 404


def test_claudes_batch_has_the_fields_of_the_documented_one() -> None:
    claude = Vendor("claude", {"delay": 60})
    name = claude.submit(claude.good(), claude.good())
    assert claude.look(name) == {
        "id": name,
        "type": "message_batch",
        "processing_status": "in_progress",
        "request_counts": {
            "processing": 2,
            "succeeded": 0,
            "errored": 0,
            "canceled": 0,
            "expired": 0,
        },
        "ended_at": None,
        "created_at": "2027-01-15T08:00:00.000000Z",
        "expires_at": "2027-01-16T08:00:00.000000Z",
        "archived_at": None,
        "cancel_initiated_at": None,
        "results_url": None,
    }
    claude.now += 60
    ended = claude.look(name)
    assert ended["ended_at"] == "2027-01-15T08:01:00.000000Z"
    assert ended["results_url"] == f"{BASE}/v1/messages/batches/{name}/results"
    (result, _) = claude.results(name).values()
    assert result["message"]["type"] == "message"
    assert result["message"]["usage"]["service_tier"] == "batch"


def test_geminis_batch_is_a_long_running_operation() -> None:
    gemini = Vendor("gemini", {"delay": 60})
    name = gemini.submit(gemini.good(), gemini.bad())
    assert gemini.look(name) == {
        "name": f"batches/{name}",
        "metadata": {
            "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
            "model": f"models/{GEMINI}",
            "displayName": "a title",
            "createTime": "2027-01-15T08:00:00.000000Z",
            "updateTime": "2027-01-15T08:00:00.000000Z",
            "batchStats": {"requestCount": "2", "pendingRequestCount": "2"},
            "state": "BATCH_STATE_PENDING",
            "name": f"batches/{name}",
        },
    }
    gemini.now += 60
    ended = gemini.look(name)
    assert ended["done"] is True
    assert ended["metadata"]["batchStats"] == {
        "requestCount": "2",
        "successfulRequestCount": "1",
        "failedRequestCount": "1",
    }
    assert ended["metadata"]["output"]["inlinedResponses"] == ended["response"]["inlinedResponses"]


def test_results_of_claude_are_there_only_once_the_batch_has_ended() -> None:
    claude = Vendor("claude", {"delay": 60})
    reply = claude.send("GET", f"{claude.submit()}/results")
    assert reply.status == 404


def test_results_of_claude_come_in_no_order() -> None:
    claude = Vendor("claude")
    name = claude.submit(*(claude.good() for _ in range(20)))
    order = list(claude.results(name))
    assert order != sorted(order)
    assert len(order) == 20


def test_a_request_of_a_batch_is_not_streamed() -> None:
    claude = Vendor("claude")
    results = claude.results(claude.submit(claude_body(stream=True)))
    assert results["r0"]["error"]["error"]["message"] == (
        "stream: Streaming is not supported in batches"
    )


CLAUDE_WRONG: list[tuple[Any, str]] = [
    (b"{", "The request body is not valid JSON"),
    ([], "should be a valid JSON object"),
    ({"request": []}, "requests: Field required"),
    ({"requests": []}, "requests: List should have at least 1 item after validation, not 0"),
    ({"requests": [1]}, "requests.0: Input should be a valid dictionary"),
    ({"requests": [{"params": {}}]}, "requests.0.custom_id: Field required"),
    ({"requests": [{"custom_id": "a b", "params": {}}]}, "requests.0.custom_id: String should"),
    ({"requests": [{"custom_id": "a"}]}, "requests.0.params: Field required"),
    (
        {"requests": 2 * [{"custom_id": "a", "params": {}}]},
        "requests.1.custom_id: Duplicate custom_id 'a'",
    ),
]
GEMINI_WRONG: list[tuple[Any, str]] = [
    (b"{", "Invalid JSON payload received."),
    ([1], "Root element must be a message."),
    ({"batch": {"displayName": "x"}}, "requests or file_name must be set"),
    ({"batch": {"inputConfig": {"requests": {"requests": [1]}}}}, "requests.requests[0]'"),
    ({"batch": [1]}, "Invalid value at 'batch'"),
]


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        *(("claude", *each) for each in CLAUDE_WRONG),
        *(("gemini", *each) for each in GEMINI_WRONG),
    ],
)
def test_a_wrong_batch_is_rejected_as_a_whole(name: str, body: Any, said: str) -> None:
    vendor = Vendor(name)
    reply = vendor.send("POST", body=body)
    assert reply.status == 400
    assert said in json.loads(reply.body)["error"]["message"]
    assert vendor.service.batches.batches == []


def test_a_batch_needs_a_key_and_a_name_that_exists(vendor: Vendor) -> None:
    assert vendor.send("GET", "msgbatch_01none").status == 404
    assert vendor.send("PUT", "msgbatch_01none").status == 404
    vendor.key = ""
    assert vendor.send("GET").status == (401 if vendor.name == "claude" else 403)
    assert vendor.send("POST", body=vendor.body(vendor.good())).status in (401, 403)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"delays": 5}, "unknown setting of batches 'delays'; did you mean 'delay'?"),
        ({"delay": "soon"}, "batches: delay: latency 'soon'"),
        ({"lifetime": 0}, "batches: lifetime must be seconds above 0, not 0"),
        ({"expired": 101}, "batches: expired must be a share from 0 to 100, not 101"),
        ({"lost": -1}, "batches: lost must be a whole number from 0 on, not -1"),
        ({"failed": True}, "batches: failed must be a whole number from 0 on, not True"),
    ],
)
def test_a_wrong_scenario_is_an_error_with_its_place(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario.parse({"batches": table})
    assert said in str(caught.value)


# Over a socket.


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def test_both_apis_are_served_where_the_vendors_serve_them(loop: asyncio.Runner) -> None:
    async def go() -> None:
        claude, gemini = Vendor("claude"), Vendor("gemini")
        async with Simulator(Scenario()) as served, aiohttp.ClientSession() as http:
            url = f"{served.anthropic_base}/v1/messages/batches"
            headers = {"x-api-key": "k"}
            sent = claude.body(claude.good())
            async with http.post(url, json=sent, headers=headers) as reply:
                batch = await reply.json()
            async with http.get(f"{url}/{batch['id']}", headers=headers) as reply:
                ended = await reply.json()
            assert ended["results_url"].startswith(served.url)
            async with http.get(ended["results_url"], headers=headers) as reply:
                assert reply.headers["content-type"] == "application/x-jsonl"
                assert json.loads(await reply.text())["custom_id"] == "r0"
            async with http.post(f"{url}/{batch['id']}/cancel", headers=headers) as reply:
                assert reply.status == 400
            headers = {"x-goog-api-key": "k"}
            address = f"{served.gemini_base}/models/{GEMINI}:batchGenerateContent"
            sent = gemini.body(gemini.good())
            async with http.post(address, json=sent, headers=headers) as reply:
                name = (await reply.json())["name"]
            async with http.get(f"{served.gemini_base}/{name}", headers=headers) as reply:
                assert (await reply.json())["done"]
            async with http.post(f"{served.gemini_base}/{name}:cancel", headers=headers) as reply:
                assert reply.status == 400
            assert [each.provider for each in served.batches] == ["claude", "gemini"]
            assert served.arrivals == []

    loop.run(go())


def test_a_lost_reply_is_a_connection_that_breaks(loop: asyncio.Runner) -> None:
    async def go() -> None:
        vendor = Vendor("claude")
        scenario = Scenario(batches=BatchOptions(lost=1))
        async with Simulator(scenario) as served, aiohttp.ClientSession() as http:
            url = f"{served.anthropic_base}/v1/messages/batches"
            sent = vendor.body(vendor.good())
            with pytest.raises(aiohttp.ClientError):
                await http.post(url, json=sent, headers={"x-api-key": "k"})
            (batch,) = served.batches
            assert batch.lost
            assert [item.label for item in batch.items] == ["r0"]

    loop.run(go())
