"""Check what a cassette file holds, value by value, and build the typed values of it."""

import json
from collections.abc import Mapping
from typing import Any

from attrs import evolve

from rolecall import Action, Cause, Route

from ..errors import CassetteError
from ..interactions import CassetteMetadata, Fallback, Interaction, RecordedAgent
from ..tool_calls.form import build_call, build_description, build_verification
from ..tool_calls.values import ActingRecord
from .node import Node


def build(value: Any) -> tuple[CassetteMetadata, list[Interaction]]:
    """Build a cassette's metadata and interactions; raise CassetteError with the wrong place."""
    if not isinstance(value, dict) or not isinstance(value.get("interactions"), list):
        raise CassetteError("it does not list interactions")
    root = Node(value, "")
    interactions = [
        build_interaction(node, position)
        for position, node in enumerate(root.field("interactions").items())
    ]
    acting = ActingRecord(
        tuple(map(build_call, root.field("tool_calls").items())),
        tuple(map(build_verification, root.field("verifications").items())),
    )
    return evolve(build_metadata(root.field("metadata")), acting=acting), interactions


def build_metadata(node: Node) -> CassetteMetadata:
    if node.value is None:
        return CassetteMetadata()
    return CassetteMetadata(
        source=node.field("source").text("HTTP traffic"),
        recorded=node.field("recorded").text(""),
        versions={name: inner.text() for name, inner in node.field("versions").fields()},
        models=node.field("models").texts(),
        request=node.field("request").text(""),
        team={name: _agent(inner) for name, inner in node.field("team").fields()},
        shared=node.field("shared").text(""),
        only=node.field("only").texts(),
        skip=node.field("skip").texts(),
        settings=_settings(node.field("settings")),
        fallbacks=tuple(_fallback(inner) for inner in node.field("fallbacks").items()),
        has_sandbox=node.field("has_sandbox").flag(),
        tools={
            name: build_description(name, inner) for name, inner in node.field("tools").fields()
        },
    )


def build_interaction(node: Node, position: int) -> Interaction:
    request, response = node.field("request"), node.field("response")
    status = response.field("status")
    return Interaction(
        request={
            "method": request.field("method").text(),
            "uri": request.field("uri").text(),
            "headers": _headers(request.field("headers")),
            "body": _request_body(request.field("body")),
        },
        response={
            "status": {
                "code": status.field("code").whole(),
                "message": status.field("message").text(""),
            },
            "headers": _headers(response.field("headers")),
            "body": _reply_body(response.field("body")),
        },
        agent=node.field("agent").text(""),
        route=node.field("route").text(""),
        seconds=max(0.0, node.field("seconds").number(0.0)),
        position=position,
    )


def _agent(node: Node) -> RecordedAgent:
    routes = node.field("routes")
    for route in routes.items():
        route.converted(Route.parse)
    return RecordedAgent(
        prompt=node.field("prompt").text(""),
        routes=routes.texts(),
        assigned=node.field("assigned").flag(),
        text=node.field("text").text(""),
        tools=node.field("tools").texts(),
    )


def _fallback(node: Node) -> Fallback:
    return Fallback(
        agent=node.field("agent").text(),
        route=str(node.field("route").converted(Route.parse)),
        cause=node.field("cause").converted(Cause),
    )


def _settings(node: Node) -> Mapping[str, Any]:
    """Check the settings that a replay takes over; others are kept as they are."""
    settings = dict(node.fields())
    for name in ("max_output_tokens", "continuations", "attempts", "max_rounds", "repairs"):
        if name in settings and settings[name].whole() < 0:
            raise CassetteError(f"{settings[name].place} must not be below 0")
    if "temperature" in settings:
        settings["temperature"].number(0.0)
    if "verify" in settings:
        settings["verify"].texts()
    if "stream" in settings:
        settings["stream"].flag()
    if "on" in settings:
        for name, action in settings["on"].fields():
            Node(name, settings["on"].place).converted(Cause)
            action.converted(Action)
    return {name: inner.value for name, inner in settings.items()}


def _headers(node: Node) -> dict[str, list[str]]:
    """Return each header's values as a list; some recorders write a single text."""
    headers = {
        name: [inner.text()] if isinstance(inner.value, str) else list(inner.texts())
        for name, inner in node.fields()
    }
    return {name: values for name, values in headers.items() if values}


def _request_body(node: Node) -> str | bytes | None:
    """Return a request's body as vcrpy keeps it; ours are written as YAML, and are JSON again."""
    if node.value is None or isinstance(node.value, str | bytes):
        return node.value
    if not isinstance(node.value, dict | list):
        raise node.error("a text, binary data, a mapping or a list")
    try:
        return json.dumps(node.value, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise CassetteError(f"{node.place} is no JSON: {error}") from error


def _reply_body(node: Node) -> dict[str, str | bytes]:
    if node.value is None:
        return {}
    string = node.field("string")
    if string.value is None:
        return {}
    if not isinstance(string.value, str | bytes):
        raise string.error("a text or binary data")
    return {"string": string.value}
