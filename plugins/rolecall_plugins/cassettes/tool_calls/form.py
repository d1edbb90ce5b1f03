"""How tool calls and verifications stand in a cassette's file, and how they are read from one."""

import json
from typing import Any

from rolecall import Check, FileChange, RecordedCall, WorkspaceVerified

from ..errors import CassetteError
from ..files.bodies import is_unicode, parse_json
from ..files.node import Node
from .values import ToolDescription

MODES = ("100644", "100755", "120000")


def call_as_written(call: RecordedCall) -> dict[str, Any]:
    """Return a call as it stands in a file; what is empty is left out."""
    written: dict[str, Any] = {"agent": call.agent, "tool": call.tool, "step": call.step}
    written["arguments"] = _arguments_as_written(call)
    written["text"] = call.text
    if call.is_error:
        written["is_error"] = True
    if call.changes:
        written["files"] = (
            "too large" if call.files is None else [_file_as_written(file) for file in call.files]
        )
    return written


def build_call(node: Node) -> RecordedCall:
    """Build a call from what a file holds; raise CassetteError with the wrong place."""
    files = node.field("files")
    changes = files.value is not None
    return RecordedCall(
        agent=node.field("agent").text(),
        step=node.field("step").text(""),
        tool=node.field("tool").text(),
        arguments=_arguments(node.field("arguments")),
        text=node.field("text").text(""),
        is_error=node.field("is_error").flag(),
        changes=changes,
        files=None if files.value == "too large" else tuple(map(_file, files.items())),
    )


def verification_as_written(verified: WorkspaceVerified) -> dict[str, Any]:
    """Return what was verified as it stands in a file."""
    return {
        "agent": verified.agent,
        "tree": verified.tree,
        "sandbox": verified.sandbox,
        "when": round(verified.when, 3),
        "checks": [_check_as_written(check) for check in verified.checks],
    }


def build_verification(node: Node) -> WorkspaceVerified:
    """Build what was verified from what a file holds; raise CassetteError with the wrong place."""
    return WorkspaceVerified(
        at=0.0,
        agent=node.field("agent").text(),
        tree=node.field("tree").text(""),
        sandbox=node.field("sandbox").text(""),
        when=node.field("when").moment(),
        checks=tuple(map(_check, node.field("checks").items())),
        replayed=True,
    )


def description_as_written(tool: ToolDescription) -> dict[str, Any]:
    """Return a tool's description as it stands in a file."""
    about = {"read_only": tool.read_only, "needs_sandbox": tool.needs_sandbox}
    return {
        "description": tool.description,
        "parameters": dict(tool.parameters),
        **{name: True for name, holds in about.items() if holds},
    }


def build_description(name: str, node: Node) -> ToolDescription:
    """Build a tool's description from what a file holds; raise CassetteError."""
    return ToolDescription(
        name,
        node.field("description").text(""),
        {word: inner.value for word, inner in node.field("parameters").fields()},
        node.field("read_only").flag(),
        node.field("needs_sandbox").flag(),
    )


def _arguments_as_written(call: RecordedCall) -> Any:
    """Return arguments as YAML has them, or as JSON where that cannot hold half a character."""
    text = json.dumps(dict(call.arguments), ensure_ascii=False)
    return json.loads(text) if is_unicode(text) else json.dumps(dict(call.arguments))


def _arguments(node: Node) -> dict[str, Any]:
    if not isinstance(node.value, str):
        return {name: inner.value for name, inner in node.fields()}
    arguments = parse_json(node.value)
    if not isinstance(arguments, dict):
        raise CassetteError(f"{node.place} must be a mapping, or JSON that is one")
    return arguments


def _file_as_written(file: FileChange) -> dict[str, Any]:
    written: dict[str, Any] = {"path": file.path}
    if file.content is None:
        return {**written, "removed": True}
    if file.mode != MODES[0]:
        written["mode"] = file.mode
    try:
        return {**written, "content": file.content.decode("utf-8")}
    except UnicodeDecodeError:
        return {**written, "content": file.content}


def _file(node: Node) -> FileChange:
    path = node.field("path").text()
    if not _is_within(path):
        raise CassetteError(f"{node.field('path').place}: {path[:80]!r} leaves the workspace")
    if node.field("removed").flag():
        return FileChange(path)
    mode = node.field("mode").text(MODES[0])
    if mode not in MODES:
        raise CassetteError(f"{node.field('mode').place} must be one of {', '.join(MODES)}")
    content = node.field("content").value
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogatepass")
    if not isinstance(content, bytes):
        raise node.field("content").error("a text or binary data")
    return FileChange(path, content, mode)


def _is_within(path: str) -> bool:
    """Check a path as the workspace does, before anything of it is written."""
    steps = path.split("/")
    is_git = any(step.rstrip(" .").lower() in (".git", "git~1") for step in steps)
    return not (is_git or {"", ".", ".."} & set(steps) or set("\\\0") & set(path))


def _check_as_written(check: Check) -> dict[str, Any]:
    written: dict[str, Any] = {"command": check.command, "code": check.code}
    if check.stopped:
        written["stopped"] = check.stopped
    return {**written, "seconds": check.seconds, "output": check.output}


def _check(node: Node) -> Check:
    return Check(
        command=node.field("command").text(),
        code=node.field("code").whole(),
        output=node.field("output").text(""),
        seconds=node.field("seconds").moment(),
        stopped=node.field("stopped").text(""),
    )
