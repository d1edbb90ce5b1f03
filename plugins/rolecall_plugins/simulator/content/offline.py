"""What `--offline` plays: a team that builds a small program, whose test fails once.

The texts say that they are simulated. What the program does has nothing to do with the request.
"""

import sys
from collections.abc import Mapping, Sequence
from importlib.resources import files

from ..exchange import FunctionCall
from .replies import NOTICE
from .scripts import Round, Script

PYTHON = "python" if sys.platform == "win32" else "python3"
CHECK = f"{PYTHON} -m unittest"
START = f"{PYTHON} shortener.py"
PROGRAM, TESTS, README = "shortener.py", "test_shortener.py", "README.md"
FAULTY = "        code = encode(len(self._addresses) + 1)\n"
MENDED = (
    "        for code, known in self._addresses.items():\n"
    "            if known == address:\n"
    "                return code\n"
)
_ASKED = "Write the deliverable of"
_REPAIR = "rolecall ran the checks"


def offline_scripts() -> Mapping[str, Sequence[Script]]:
    """Return the scripts of the agents that act, by agent."""
    return {
        "code-implementer": [
            Script([Round(calls=[_edit()]), Round(_implementer(True))], when=_REPAIR),
            Script([Round(calls=_build()), Round(_implementer(False))], when=_ASKED),
        ],
        "quality-assurance": [
            Script(
                [Round(calls=[_list(), _read(PROGRAM), _read(TESTS)]), Round(_QUALITY)],
                when=_ASKED,
            )
        ],
        "technical-writer": [
            Script(
                [
                    Round(calls=[_list(), _read(PROGRAM)]),
                    Round(calls=[_write(README)]),
                    Round(_WRITER),
                ],
                when=_ASKED,
            )
        ],
        "plan-update-coordinator": [
            Script([Round(calls=[_list(), _read(README)]), Round(_PLAN)], when=_ASKED)
        ],
    }


def _build() -> list[FunctionCall]:
    checks = {"checks": [CHECK], "start": START}
    return [_write(PROGRAM), _write(TESTS), FunctionCall("register_checks", checks)]


def _edit() -> FunctionCall:
    arguments = {"path": PROGRAM, "old": FAULTY, "new": MENDED + FAULTY}
    return FunctionCall("workspace_edit", arguments)


def _write(path: str) -> FunctionCall:
    text = files(__package__).joinpath("program", f"{path}.txt").read_text("utf-8")
    text = text.replace("python3 ", f"{PYTHON} ")
    return FunctionCall("workspace_write", {"path": path, "content": text})


def _read(path: str) -> FunctionCall:
    return FunctionCall("workspace_read", {"path": path})


def _list() -> FunctionCall:
    return FunctionCall("workspace_list")


def _implementer(mended: bool) -> str:
    gap = (
        "None: an address that was shortened before keeps its code now."
        if mended
        else "None that the simulator knows of; the checks will tell."
    )
    return f"""\
{NOTICE}

# Code Implementer: shortener [S, web application]

## What runs

A small URL shortener stands in for what was asked for: a page that shortens an address, and links
that lead to it.

## Start and check

`{START}` starts it at http://127.0.0.1:8000, `{CHECK}` runs its tests.

## Files

| path | what it holds |
|---|---|
| {PROGRAM} | the program |
| {TESTS} | its tests |

## Gaps

{gap}
"""


_QUALITY = f"""\
{NOTICE}

# Quality Assurance: shortener [S, web application]

## Verdict

`usable with the findings below`: the checks that rolecall ran cover the main path.

## Findings

| id | severity | file and function | evidence | consequence | fix |
|---|---|---|---|---|---|
| FIND-01 | minor | {PROGRAM}, main | `int(sys.argv[1])` | a wrong port is a traceback | argparse |
"""
_WRITER = f"""\
{NOTICE}

# Technical Writer: shortener [S, web application]

## Documentation

| file | for whom | answers |
|---|---|---|
| {README} | who starts it | how to start and test it, where links are kept |
"""
_PLAN = f"""\
# Plan: shortener [S, web application]

{NOTICE}

## What you have

A URL shortener of one file, with tests and a README. It is a sample that `--offline` leaves
whatever was asked for, so that everything around a program can be tried: start it, test it, change
it. With keys, a team of models builds what you asked for in its place.

## What is open

| what | matters because | from | task |
|---|---|---|---|
| a wrong port ends in a traceback | whoever mistypes it learns nothing | FIND-01 | T-01 |

## Questions to the operator

| question | why it matters | default in force | by when |
|---|---|---|---|
| Shall links expire? | the file grows for ever | they stay | before others use it |

## Next three actions

1. Start the program by the command at the top, and shorten an address.
2. Run its check in the same folder.
3. Set the keys in `.env` and run your request without `--offline`.

## Tasks

| id | task | role | needs | done when |
|---|---|---|---|---|
| T-01 | read the port with argparse | code-implementer | | `{START} x` ends with a usage line |
"""
