"""The tools that read and write the workspace's files."""

import asyncio
import json
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from attrs import frozen

from rolecall import ToolResult, Work, Workspace

Arguments = Mapping[str, Any]
LINES = 400  # of a file that are shown at a time
FOUND = 100  # places that a search lists
LISTED = 500  # files that a list shows
LONG = 300  # characters of a line that a search shows


def _schema(required: str = "", **properties: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": required.split(),
        "additionalProperties": False,
    }


def _text(description: str) -> Mapping[str, Any]:
    return {"type": "string", "description": description}


def _number(description: str) -> Mapping[str, Any]:
    return {"type": "integer", "minimum": 1, "description": description}


@frozen
class FileTool:
    """A tool whose work is done by one function on the workspace.

    What the function raises as ValueError is the model's to know.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    work: Callable[[Workspace, Arguments], str]
    read_only: bool = True
    # The workspace is put back to what it was before a call that a crash cut off.
    repeatable: bool = True

    async def call(self, arguments: Arguments, work: Work) -> ToolResult:
        if work.workspace is None:
            return ToolResult("this run has no workspace", is_error=True)
        try:
            return ToolResult(await asyncio.to_thread(self.work, work.workspace, arguments))
        except ValueError as error:
            return ToolResult(str(error), is_error=True)


def _list(workspace: Workspace, arguments: Arguments) -> str:
    pattern = arguments.get("pattern", "*")
    names = [name for name in workspace.files() if fnmatchcase(name, pattern)]
    more = f"\n[{len(names) - LISTED} more]" if len(names) > LISTED else ""
    return "\n".join(map(_plain, names[:LISTED])) + more if names else "no file"


def _plain(name: str) -> str:
    """Write an odd name, of several lines for instance, as JSON has it."""
    return name if name.isprintable() else json.dumps(name)


def _read(workspace: Workspace, arguments: Arguments) -> str:
    lines = workspace.read(arguments["path"]).split("\n")
    first = arguments.get("first", 1)
    last = min(len(lines), arguments.get("last", first + LINES - 1), first + LINES - 1)
    shown = "\n".join(lines[first - 1 : last])
    if first == 1 and last == len(lines):
        return shown
    return f"[lines {first} to {last} of {len(lines)}]\n{shown}"


def _search(workspace: Workspace, arguments: Arguments) -> str:
    wanted, pattern = arguments["text"], arguments.get("pattern", "*")
    if not wanted:
        raise ValueError("text: is empty")
    found = []
    for name in workspace.files():
        if not fnmatchcase(name, pattern):
            continue
        try:
            lines = workspace.read(name).split("\n")
        except ValueError:
            continue  # no text, or too large to be searched
        found += [
            f"{_plain(name)}:{number}: {line.strip()[:LONG]}"
            for number, line in enumerate(lines, 1)
            if wanted in line
        ]
        if len(found) > FOUND:
            return "\n".join(found[:FOUND]) + "\n[there are more; narrow the search]"
    return "\n".join(found) or "nothing found"


def _write(workspace: Workspace, arguments: Arguments) -> str:
    text = arguments["content"]
    workspace.write(arguments["path"], text)
    return f"{arguments['path']}: {len(text.splitlines())} lines written"


def _edit(workspace: Workspace, arguments: Arguments) -> str:
    path, old, new = arguments["path"], arguments["old"], arguments["new"]
    text = workspace.read(path)
    count = text.count(old) if old else 0
    if not count:
        raise ValueError(f"{path}: the old text is not there; read the file and copy it exactly")
    if count > 1 and not arguments.get("all", False):
        raise ValueError(f"{path}: the old text is there {count} times; make it longer, or set all")
    workspace.write(path, text.replace(old, new))
    places = "1 place" if count == 1 else f"{count} places"
    return f"{path}: changed in {places}"


def _delete(workspace: Workspace, arguments: Arguments) -> str:
    workspace.delete(arguments["path"])
    return f"{arguments['path']}: removed"


PATH = _text("The file's path within the workspace, with /.")
PATTERN = _text("Only files whose path matches this pattern, such as src/*.py; * matches / too.")
FILE_TOOLS = (
    FileTool(
        "workspace.list",
        "List the files of the workspace.",
        _schema(pattern=PATTERN),
        _list,
    ),
    FileTool(
        "workspace.read",
        f"Read a file of the workspace, at most {LINES} lines at a time.",
        _schema(
            "path",
            path=PATH,
            first=_number("The first line to show; 1 if left out."),
            last=_number("The last line to show."),
        ),
        _read,
    ),
    FileTool(
        "workspace.search",
        "Find the lines of the workspace's files that hold a text.",
        _schema("text", text=_text("The text, exactly, within one line."), pattern=PATTERN),
        _search,
    ),
    FileTool(
        "workspace.write",
        "Write a whole file of the workspace, new or in place of what it holds.",
        _schema("path content", path=PATH, content=_text("The file's whole text.")),
        _write,
        read_only=False,
    ),
    FileTool(
        "workspace.edit",
        "Replace a text in a file of the workspace by another.",
        _schema(
            "path old new",
            path=PATH,
            old=_text("The text to replace, exactly as it stands in the file, blanks included."),
            new=_text("The text that takes its place."),
            all={"type": "boolean", "description": "Replace it wherever it stands."},
        ),
        _edit,
        read_only=False,
    ),
    FileTool(
        "workspace.delete",
        "Remove a file of the workspace.",
        _schema("path", path=PATH),
        _delete,
        read_only=False,
    ),
)
