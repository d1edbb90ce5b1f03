"""The batch API of Gemini: batches of generateContent, with the requests in the body.

Source: https://ai.google.dev/api/batch-api
"""

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from ..exchange import Chunk, Ending, HttpReply, Incoming, Rejected
from ..gemini.bodies import plain
from ..gemini.errors import either, invalid, message_field
from ..gemini.requests import not_found
from ..gemini.service import GeminiFraming
from .store import DAY, Answer, Batch, BatchItem, BatchStore, Fate, whole_json

PROVIDER = "gemini"
LARGEST_BODY = 20 * 1024 * 1024
_KIND = "type.googleapis.com/google.ai.generativelanguage.v1main"
# What errors of single requests are numbered with: codes of RPC, not of HTTP.
_CODES = {
    "INVALID_ARGUMENT": 3,
    "DEADLINE_EXCEEDED": 4,
    "NOT_FOUND": 5,
    "PERMISSION_DENIED": 7,
    "RESOURCE_EXHAUSTED": 8,
    "FAILED_PRECONDITION": 9,
    "INTERNAL": 13,
    "UNAVAILABLE": 14,
    "UNAUTHENTICATED": 16,
}


class GeminiBatches:
    """Answer requests about batches."""

    def __init__(self, store: BatchStore, answer: Answer) -> None:
        self._store = store
        self._answer = answer

    def create(self, model: str, version: str, sent: bytes, key: str) -> HttpReply:
        """Answer `models/MODEL:batchGenerateContent`."""
        framing = GeminiFraming(call="batch", model=model, version=version)
        try:
            _check_key(key)
            if not model.startswith("gemini"):
                raise Rejected("unknown_model", 404, "NOT_FOUND", not_found(model, version))
            title, requests = _requests(sent)
            items = []
            for request, metadata in requests:
                incoming = Incoming(
                    provider=PROVIDER,
                    key=key,
                    body=json.dumps(request).encode(),
                    model=str(request.get("model") or model).removeprefix("models/"),
                    version=version,
                )
                items.append(BatchItem(metadata, self._answer(incoming)))
            batch = self._store.submit(PROVIDER, model, items, lifetime=2 * DAY, title=title)
        except Rejected as rejection:
            return framing.rejected(rejection)
        if batch.lost:
            return HttpReply(status=None, ending=Ending.RESET)
        return _reply(self._operation(batch))

    def handle(self, method: str, path: str, query: dict[str, str], key: str) -> HttpReply:
        """Answer a request to a path behind `batches`."""
        framing = GeminiFraming(call="batch", model="")
        try:
            _check_key(key)
            name, colon, action = path.strip("/").partition(":")
            match method, name, action:
                case "GET", "", "":
                    return self._list(query)
                case "GET", _, "":
                    return _reply(self._operation(self._find(name)))
                case "POST", _, "cancel" if colon:
                    return self._cancel(self._find(name))
                case "DELETE", _, "":
                    self._store.delete(self._find(name))
                    return _reply({})
            raise _missing()
        except Rejected as rejection:
            return framing.rejected(rejection)

    def _list(self, query: dict[str, str]) -> HttpReply:
        given = query.get("pageSize", "")
        size = int(given) if given.isdigit() and int(given) else 50
        token = query.get("pageToken", "")
        start = int(token) if token.isdigit() else 0
        batches = self._store.of(PROVIDER)
        page = {"operations": [self._operation(batch) for batch in batches[start : start + size]]}
        more = {"nextPageToken": str(start + size)} if start + size < len(batches) else {}
        return _reply(page | more)

    def _cancel(self, batch: Batch) -> HttpReply:
        if batch.ended(self._store.clock()) is not None:
            message = f"Batch batches/{batch.id} has ended and cannot be cancelled."
            raise Rejected("invalid_request", 400, "FAILED_PRECONDITION", message)
        self._store.cancel(batch)
        return _reply({})

    def _find(self, name: str) -> Batch:
        batch = self._store.find(PROVIDER, name)
        if batch is None:
            raise _missing()
        return batch

    def _operation(self, batch: Batch) -> dict[str, Any]:
        """Describe a batch as the long-running operation that it is."""
        now = self._store.clock()
        ended = batch.ended(now)
        state = _state(batch, now)
        name = f"batches/{batch.id}"
        counts = Counter(
            "pending" if ended is None or fate is not Fate.ANSWERED else _outcome(item)
            for item, fate in zip(batch.items, batch.fates(now), strict=True)
        )
        metadata: dict[str, Any] = {
            "@type": f"{_KIND}.GenerateContentBatch",
            "model": f"models/{batch.model}",
            "displayName": batch.title,
            "createTime": _time(batch.created),
            "updateTime": _time(now if ended is None else ended),
            "batchStats": {
                "requestCount": str(len(batch.items)),
                **{
                    f"{kind}RequestCount": str(counts[kind])
                    for kind in ("successful", "failed", "pending")
                    if counts[kind]
                },
            },
            "state": f"BATCH_STATE_{state}",
            "name": name,
        }
        if ended is None:
            return {"name": name, "metadata": metadata}
        metadata["endTime"] = _time(ended)
        described = {"name": name, "metadata": metadata, "done": True}
        if state != "SUCCEEDED":
            code = {"FAILED": 13, "CANCELLED": 1, "EXPIRED": 4}[state]
            error = {"code": code, "message": f"The batch ended as {state.lower()} (simulated)."}
            return described | {"error": error}
        fates = zip(batch.items, batch.fates(now), strict=True)
        responses = {"inlinedResponses": [_response(item, fate) for item, fate in fates]}
        metadata["output"] = {"inlinedResponses": responses}
        output = {"@type": f"{_KIND}.GenerateContentBatchOutput", "inlinedResponses": responses}
        return described | {"response": output}


def _state(batch: Batch, now: float) -> str:
    if batch.ended(now) is None:
        return "RUNNING" if now > batch.created else "PENDING"
    if batch.canceled is not None:
        return "CANCELLED"
    if batch.has_expired(now):
        return "EXPIRED"
    return "FAILED" if batch.failed else "SUCCEEDED"


def _requests(sent: bytes) -> tuple[str, list[tuple[dict[str, Any], dict[str, Any]]]]:
    """Parse a batch: its name, and its requests with what the caller says of each."""
    if len(sent) > LARGEST_BODY:
        raise invalid("Request payload size exceeds the limit: 20971520 bytes.")
    try:
        data = json.loads(sent)
    except (ValueError, RecursionError) as error:
        raise invalid(f"Invalid JSON payload received. {error}") from None
    if not isinstance(data, dict):
        raise invalid("Invalid JSON payload received. Root element must be a message.")
    batch = message_field(data, "batch", "batch")
    config = message_field(batch, "inputConfig", "input_config")
    inner = either(message_field(config, "requests", "requests"), "requests", "requests")
    if not isinstance(inner, list) or not inner:
        raise invalid(
            "* BatchGenerateContentRequest.batch.input_config: requests or file_name must be set\n"
        )
    requests = []
    for number, item in enumerate(inner):
        if not isinstance(item, dict):
            raise invalid(f"Invalid value at 'batch.input_config.requests.requests[{number}]'")
        request, metadata = (message_field(item, name, name) for name in ("request", "metadata"))
        requests.append((request, metadata))
    return str(either(batch, "displayName", "display_name") or ""), requests


def _response(item: BatchItem, fate: Fate) -> dict[str, Any]:
    label = {"metadata": item.label} if item.label else {}
    if fate is Fate.EXPIRED:
        return {"error": {"code": 4, "message": "The request expired (simulated)."}, **label}
    value = whole_json(item.reply)
    if item.reply.status == 200 and value is not None:
        return {"response": value, **label}
    error = (value or {}).get("error", {})
    code = _CODES.get(str(error.get("status")), 13)
    message = error.get("message", "Internal error encountered.")
    details = {"details": error["details"]} if error.get("details") else {}
    return {"error": {"code": code, "message": message, **details}, **label}


def _outcome(item: BatchItem) -> str:
    return "successful" if item.reply.status == 200 and whole_json(item.reply) else "failed"


def _check_key(key: str) -> None:
    if not key:
        message = "Method doesn't allow unregistered callers. Please use API Key."
        raise Rejected("missing_key", 403, "PERMISSION_DENIED", message)


def _missing() -> Rejected:
    message = "Requested entity was not found."
    return Rejected("unknown_model", 404, "NOT_FOUND", message)


def _reply(value: dict[str, Any]) -> HttpReply:
    headers = (("content-type", "application/json; charset=UTF-8"),)
    return HttpReply(status=200, headers=headers, chunks=(Chunk(plain(value)),))


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
