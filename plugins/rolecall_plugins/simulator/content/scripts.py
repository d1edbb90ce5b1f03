"""Scripts: which tools an agent calls, round by round, and what it writes in between."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from ..errors import ScenarioError, unknown, within
from ..exchange import FunctionCall, Query


def _calls(calls: Iterable[FunctionCall]) -> tuple[FunctionCall, ...]:
    return tuple(calls)


def _rounds(rounds: "Iterable[Round]") -> "tuple[Round, ...]":
    return tuple(rounds)


@frozen
class Round:
    """One answer: a text, and calls of tools, all made at once."""

    text: str = ""
    calls: tuple[FunctionCall, ...] = field(default=(), converter=_calls)


@frozen
class Script:
    """What an agent answers to a question, and then to the results of each round's calls.

    when: a text that the question must contain; empty fits every question.
    """

    rounds: tuple[Round, ...] = field(converter=_rounds)
    when: str = ""

    @classmethod
    def parse(cls, table: Mapping[str, Any]) -> "Script":
        """Read a table with `rounds` and perhaps `when`; raises ScenarioError."""
        _check_names("script", table, ("rounds", "when"))
        rounds = []
        for number, round in enumerate(_checked(list, table.get("rounds", [])), start=1):
            with within(f"round {number}"):
                rounds.append(_round(_checked(dict, round)))
        return cls(rounds, _checked(str, table.get("when", "")))


def scripted(scripts: Iterable[Script], query: Query) -> Round | None:
    """Return the round that a request has come to, or None where nothing is scripted for it.

    Calls of tools that the request does not offer are left out.
    """
    for script in scripts:
        if script.when in query.question and query.round < len(script.rounds):
            round = script.rounds[query.round]
            offered = {tool.name for tool in query.tools}
            return Round(round.text, (call for call in round.calls if call.name in offered))
    return None


def load_texts(folder: Path) -> dict[str, str]:
    """Read a folder of texts, each called after its agent: `05-solution-architect.md`."""
    try:
        files = sorted(folder.glob("*.md"))
        texts = {re.sub(r"^\d+-", "", file.stem): file.read_text("utf-8") for file in files}
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{folder} cannot be read: {error}") from error
    if not texts:
        raise ScenarioError(f"{folder} holds no text, as in solution-architect.md")
    return texts


def _round(table: dict[str, Any]) -> Round:
    _check_names("round", table, ("text", "calls"))
    calls = []
    for call in _checked(list, table.get("calls", [])):
        _check_names("call", _checked(dict, call), ("name", "arguments"))
        name = _checked(str, call.get("name"))
        calls.append(FunctionCall(name, _checked(dict, call.get("arguments", {}))))
    return Round(_checked(str, table.get("text", "")), calls)


def _check_names(kind: str, table: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for name in table:
        if name not in names:
            raise unknown(f"setting of a {kind}", name, names)


_KINDS: dict[type, str] = {list: "a list", dict: "a table", str: "a text"}


def _checked(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise ScenarioError(f"it must be {_KINDS[kind]}, not {value!r}")
    return value
