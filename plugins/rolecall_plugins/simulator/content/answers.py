"""Choose what a request is answered: by a script, a tool that must be called, a schema, a text."""

import json
from collections.abc import Mapping, Sequence

from attrs import field, frozen

from ..exchange import FunctionCall, OfferedTool, Query
from .replies import agent_of, is_triage, reply
from .sample import sample
from .scripts import Round, Script, scripted

MANY = 24  # calls of one answer that makes as many as it likes
UNINVITED = FunctionCall("a_tool_nobody_offered", {"path": "README.md"})


@frozen
class Answers:
    """What a scenario answers in a good call.

    texts: agent to its text. scripts: agent to its scripts, of which the first that fits counts;
    "*" stands for every agent that has none.
    """

    texts: Mapping[str, str] = field(factory=dict)
    scripts: Mapping[str, Sequence[Script]] = field(factory=dict)

    def choose(self, query: Query) -> Round:
        """Return the text and the calls that answer a request."""
        agent = agent_of(query.system, query.turns) or ""
        round = scripted(self.scripts.get(agent, self.scripts.get("*", ())), query)
        if round is not None and (round.text or round.calls):
            return round
        if query.forced and query.tools:
            return Round(calls=(fitting_call(query),))
        if query.schema is not None and agent not in self.texts and not is_triage(query.turns):
            return Round(json.dumps(sample(query.schema), ensure_ascii=False))
        return Round(self.texts.get(agent) or reply(query.system, query.turns))


def fitting_call(query: Query) -> FunctionCall:
    """Make up a call of the first tool that is offered."""
    return _fitting(query.tools[0])


def _fitting(tool: OfferedTool) -> FunctionCall:
    arguments = sample(tool.parameters)
    return FunctionCall(tool.name, arguments if isinstance(arguments, dict) else {})


def some_call(query: Query) -> FunctionCall:
    """Make up a call of a tool that is offered, or of one that nobody offered."""
    return fitting_call(query) if query.tools else UNINVITED


def many_calls(query: Query) -> list[FunctionCall]:
    """Make up calls of all tools that are offered, in turn, for one answer."""
    tools = query.tools or (OfferedTool(UNINVITED.name),)
    return [_fitting(tools[number % len(tools)]) for number in range(MANY)]


def unfitting_call(query: Query) -> FunctionCall:
    """Make up a call whose arguments its tool does not take."""
    return FunctionCall(some_call(query).name, {"an_argument_nobody_knows": True})
