"""The Message Batches API of Anthropic.

Source: https://platform.claude.com/docs/en/api/creating-message-batches
"""

import json
import re
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from ..anthropic.content import invalid, required
from ..anthropic.events import body
from ..anthropic.service import AnthropicFraming
from ..exchange import Chunk, Ending, HttpReply, Incoming, Rejected
from .store import DAY, Answer, Batch, BatchItem, BatchStore, Fate, whole_json

PROVIDER = "claude"
LARGEST = 100_000
_PREFIX = "msgbatch_01"
_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class AnthropicBatches:
    """Answer requests about batches; `base` is the address of the API."""

    def __init__(self, store: BatchStore, answer: Answer, base: str) -> None:
        self._store = store
        self._answer = answer
        self._base = base

    def handle(
        self, method: str, path: str, query: dict[str, str], sent: bytes, key: str
    ) -> HttpReply:
        """Answer a request to a path behind `/v1/messages/batches`."""
        try:
            if not key:
                message = "x-api-key header is required"
                raise Rejected("missing_key", 401, "authentication_error", message)
            match method, path.strip("/").split("/"):
                case "POST", [""]:
                    return self._create(sent, key)
                case "GET", [""]:
                    return self._list(query)
                case "GET", [name]:
                    return self._shown(self._find(name))
                case "DELETE", [name]:
                    return self._delete(self._find(name))
                case "POST", [name, "cancel"]:
                    return self._cancel(self._find(name))
                case "GET", [name, "results"]:
                    return self._results(self._find(name))
            raise Rejected("unknown_model", 404, "not_found_error", "Not Found")
        except Rejected as rejection:
            return self._framing().rejected(rejection)

    def _framing(self) -> AnthropicFraming:
        call = f"{len(self._store.batches):020x}"
        return AnthropicFraming(call=call, now=self._store.clock())

    def _create(self, sent: bytes, key: str) -> HttpReply:
        items = []
        for name, params in _requests(sent):
            # What is wrong with a request is said in its result alone.
            if params.get("stream"):
                wrong = invalid("stream: Streaming is not supported in batches")
                items.append(BatchItem(name, self._framing().rejected(wrong)))
                continue
            incoming = Incoming(provider=PROVIDER, key=key, body=body(params))
            items.append(BatchItem(name, self._answer(incoming)))
        batch = self._store.submit(PROVIDER, "", items, lifetime=DAY)
        if batch.lost:
            return HttpReply(status=None, ending=Ending.RESET)
        return self._shown(batch)

    def _list(self, query: dict[str, str]) -> HttpReply:
        shown = [self._described(batch) for batch in self._store.of(PROVIDER)]
        names = [batch["id"] for batch in shown]
        if (after := query.get("after_id")) in names:
            shown = shown[names.index(after) + 1 :]
        elif (before := query.get("before_id")) in names:
            shown = shown[: names.index(before)]
        limit = int(query["limit"]) if query.get("limit", "").isdigit() else 20
        page = shown[:limit]
        return _reply(
            {
                "data": page,
                "has_more": len(page) < len(shown),
                "first_id": page[0]["id"] if page else None,
                "last_id": page[-1]["id"] if page else None,
            }
        )

    def _cancel(self, batch: Batch) -> HttpReply:
        if batch.ended(self._store.clock()) is not None:
            raise invalid(f"Batch {_PREFIX}{batch.id} cannot be canceled: it has ended.")
        canceled = self._store.cancel(batch)
        # Shown as it is in between: what is being processed is still finished.
        described = self._described(batch) | {
            "processing_status": "canceling",
            "cancel_initiated_at": _time(canceled.canceled),
        }
        return _reply(described)

    def _results(self, batch: Batch) -> HttpReply:
        now = self._store.clock()
        if batch.ended(now) is None:
            message = f"Batch {_PREFIX}{batch.id} has no results yet: its processing goes on."
            raise Rejected("invalid_request", 404, "not_found_error", message)
        fates = zip(batch.items, batch.fates(now), strict=True)
        lines = [
            body({"custom_id": item.label, "result": _result(item, fate)}) for item, fate in fates
        ]
        lines.sort(key=lambda line: line[::-1])  # results come in any order
        headers = (("content-type", "application/x-jsonl"),)
        data = b"".join(line + b"\n" for line in lines)
        return HttpReply(status=200, headers=headers, chunks=(Chunk(data),))

    def _delete(self, batch: Batch) -> HttpReply:
        if batch.ended(self._store.clock()) is None:
            raise invalid(f"Batch {_PREFIX}{batch.id} cannot be deleted before it has ended.")
        self._store.delete(batch)
        return _reply({"id": f"{_PREFIX}{batch.id}", "type": "message_batch_deleted"})

    def _find(self, name: str) -> Batch:
        batch = self._store.find(PROVIDER, name.removeprefix(_PREFIX))
        if batch is None or not name.startswith(_PREFIX):
            message = f"No message batch with id {name}"
            raise Rejected("unknown_model", 404, "not_found_error", message)
        return batch

    def _shown(self, batch: Batch) -> HttpReply:
        return _reply(self._described(batch))

    def _described(self, batch: Batch) -> dict[str, Any]:
        now = self._store.clock()
        ended = batch.ended(now)
        counts = Counter(
            "processing" if ended is None else _result(item, fate)["type"]
            for item, fate in zip(batch.items, batch.fates(now), strict=True)
        )
        name = f"{_PREFIX}{batch.id}"
        return {
            "id": name,
            "type": "message_batch",
            "processing_status": "in_progress" if ended is None else "ended",
            "request_counts": {
                kind: counts[kind]
                for kind in ("processing", "succeeded", "errored", "canceled", "expired")
            },
            "ended_at": _time(ended),
            "created_at": _time(batch.created),
            "expires_at": _time(batch.expires),
            "archived_at": None,
            "cancel_initiated_at": _time(batch.canceled),
            "results_url": (
                None if ended is None else f"{self._base}/v1/messages/batches/{name}/results"
            ),
        }


def _requests(sent: bytes) -> list[tuple[str, dict[str, Any]]]:
    """Parse the requests of a batch: names and parameters."""
    try:
        data = json.loads(sent)
    except (ValueError, RecursionError) as error:
        raise invalid(f"The request body is not valid JSON: {error}") from None
    if not isinstance(data, dict):
        raise invalid("The request body should be a valid JSON object")
    requests = required(data, "requests", list, "list", "")
    if not requests:
        raise invalid("requests: List should have at least 1 item after validation, not 0")
    if len(requests) > LARGEST:
        raise invalid(
            f"requests: List should have at most {LARGEST} items after validation, not "
            f"{len(requests)}"
        )
    params: dict[str, dict[str, Any]] = {}
    for number, request in enumerate(requests):
        place = f"requests.{number}"
        if not isinstance(request, dict):
            raise invalid(f"{place}: Input should be a valid dictionary")
        name = required(request, "custom_id", str, "string", place)
        if not _CUSTOM_ID.fullmatch(name):
            raise invalid(
                f"{place}.custom_id: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'"
            )
        if name in params:
            raise invalid(f"{place}.custom_id: Duplicate custom_id '{name}'")
        params[name] = required(request, "params", dict, "dictionary", place)
    return list(params.items())


def _result(item: BatchItem, fate: Fate) -> dict[str, Any]:
    if fate in (Fate.CANCELED, Fate.EXPIRED):
        return {"type": fate.value}
    value = whole_json(item.reply)
    if item.reply.status == 200 and value is not None:
        message = value | {"usage": value["usage"] | {"service_tier": "batch"}}
        return {"type": "succeeded", "message": message}
    if value is None:  # the call broke off, or its payload was damaged
        error = {"type": "api_error", "message": "Internal server error"}
        value = {"type": "error", "error": error, "request_id": None}
    return {"type": "errored", "error": value}


def _reply(value: object) -> HttpReply:
    headers = (("content-type", "application/json"),)
    return HttpReply(status=200, headers=headers, chunks=(Chunk(body(value)),))


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
