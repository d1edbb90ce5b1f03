"""What a journal's lines say: a frozen class for each type of record.

The start and the end of a call are recorded as the events that announced them, and what balancing
moved likewise.
"""

from collections.abc import Mapping
from typing import Any

from attrs import NOTHING, asdict, fields, frozen

from ..types.events import (
    CallEnded,
    CallStarted,
    ConsentDecided,
    Rerouted,
    ToolEnded,
    ToolStarted,
    WorkspaceVerified,
)
from ..types.messages import Stop
from ..types.parts import Attachment, Part, Text, ToolCall, ToolResult, Verbatim, to_json
from ..types.verification import Check
from ..usage import Usage
from .record_fields import PARSERS

# What journals of earlier versions lack; every other field must be there, defaults or not.
_ADDED = frozenset({"held", "parts", "quota", "replayed", "without", "worst"})


@frozen(kw_only=True)
class ProcessRecord:
    """A process began to work on the run; `when` is in seconds since 1970."""

    when: float
    agents: tuple[str, ...]


@frozen(kw_only=True)
class TrustedRecord:
    """Who received the run from somebody else made it theirs; `when` is in seconds since 1970.

    What its operator had allowed, and what rolecall had verified for them, counts no longer.
    """

    when: float


@frozen(kw_only=True)
class StepRecord:
    """A step was answered by a call whose end is on record."""

    step: str
    call: int
    route: str


@frozen(kw_only=True)
class AnswerRecord:
    """A step was answered, and no record of a call holds the answer."""

    step: str
    agent: str
    text: str
    stop: Stop
    route: str
    cost: float | None
    call: int
    parts: tuple[Part, ...] = ()


@frozen(kw_only=True)
class ReusedRecord:
    """A step was answered by another run, whose folder is called `run`."""

    step: str
    agent: str
    text: str
    stop: Stop
    route: str
    cost: float | None
    run: str
    parts: tuple[Part, ...] = ()


@frozen(kw_only=True)
class WorkspaceRecord:
    """The workspace's files are those of a tree, and no tool call of this run left them so.

    without: agents whose changes are taken out, so that the files are about to be this tree's; a
        second record says that they are.
    """

    tree: str
    without: tuple[str, ...] = ()


@frozen(kw_only=True)
class DeliverableRecord:
    """An agent wrote a deliverable with this hash."""

    agent: str
    sha256: str


@frozen(kw_only=True)
class EditRecord:
    """A person's text with this hash stands in place of an agent's."""

    agent: str
    sha256: str


@frozen(kw_only=True)
class UpdateRecord:
    """The operator asked for a change; `former` maps agents to their deliverables before it."""

    number: int
    date: str
    change: str
    former: Mapping[str, str]


@frozen(kw_only=True)
class TouchedRecord:
    """The last change touches the work of these agents, each for a reason."""

    agents: Mapping[str, str]


@frozen(kw_only=True)
class CarriedOverRecord:
    """A deliverable that the change of this number does not touch answers a step."""

    step: str
    agent: str
    text: str
    update: int


@frozen(kw_only=True)
class ForgottenRecord:
    """These agents are to be asked again although nothing has changed."""

    agents: tuple[str, ...]


Record = (
    ProcessRecord
    | CallStarted
    | CallEnded
    | Rerouted
    | StepRecord
    | AnswerRecord
    | ReusedRecord
    | DeliverableRecord
    | EditRecord
    | UpdateRecord
    | TouchedRecord
    | CarriedOverRecord
    | ForgottenRecord
    | ToolStarted
    | ToolEnded
    | ConsentDecided
    | TrustedRecord
    | WorkspaceRecord
    | WorkspaceVerified
)
_TYPES: Mapping[str, type[Record]] = {
    "run": ProcessRecord,
    "trusted": TrustedRecord,
    "call_started": CallStarted,
    "call_ended": CallEnded,
    "rerouted": Rerouted,
    "step_done": StepRecord,
    "answered": AnswerRecord,
    "reused": ReusedRecord,
    "deliverable": DeliverableRecord,
    "edited": EditRecord,
    "update": UpdateRecord,
    "touched": TouchedRecord,
    "adopted": CarriedOverRecord,
    "forgotten": ForgottenRecord,
    "tool_started": ToolStarted,
    "tool_ended": ToolEnded,
    "consent": ConsentDecided,
    "workspace": WorkspaceRecord,
    "verified": WorkspaceVerified,
}
_NAMES = {kind: name for name, kind in _TYPES.items()}
_FIELDS = {
    kind: {attribute.name: PARSERS[attribute.type] for attribute in fields(kind)} for kind in _NAMES
}


def serialise(record: Record) -> dict[str, object]:
    """Return a record as the JSON object that a journal's line holds."""
    kind = type(record)
    values = {name: getattr(record, name) for name in _FIELDS[kind]}
    # Mostly they are empty; then the records are those of versions that did not know them.
    for name in ("parts", "quota", "without"):
        if name in values and not values[name]:
            del values[name]
    return {"type": _NAMES[kind], **values}


def plain(value: object) -> object:
    """Return a value within a record as JSON has it, for `json.JSONEncoder(default=plain)`."""
    match value:
        case Usage() | Check():
            return asdict(value, recurse=False)
        case Verbatim() | Text() | ToolCall() | ToolResult() | Attachment():
            return to_json(value)
        case Mapping():
            return dict(value)
    raise TypeError(f"{value!r} has no form in a journal")


def parse(values: Mapping[str, object]) -> Record | None:
    """Return the record that a JSON object holds; None where its type is a later version's.

    Raises ValueError where a field is missing or wrong, and names it.
    """
    name = values.get("type")
    kind = _TYPES.get(name) if isinstance(name, str) else None
    if kind is None:
        return None
    parsed: dict[str, Any] = {}
    for field, parser in _FIELDS[kind].items():
        value = values.get(field, NOTHING)
        if value is not NOTHING:
            try:
                parsed[field] = parser(value)
            except ValueError as error:
                raise ValueError(f"{name}.{field} {error}") from error
        elif field not in _ADDED:
            raise ValueError(f"{name}.{field} is missing")
    return kind(**parsed)
