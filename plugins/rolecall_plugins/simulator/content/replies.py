"""Write a text that declares itself simulated, from nothing but the prompt."""

import json
import re
from collections.abc import Sequence

from attrs import frozen

from ..exchange import Turn

NOTICE = "> **Simulated reply.** Written by rolecall's simulator, not by a language model."

_ROLE = re.compile(r"\bYou are the (.{1,80}?) of a team\b")
_SECTION = re.compile(r"^- `## (.+?)`:[ \t]*(.*)$", re.MULTILINE)
_DELIVERABLE = re.compile(r'<deliverable agent="([^"\n]*)" title="([^"\n]*)">')
_ANY_SECTIONS = (("Answer", "what was asked for"), ("Reasons", "what the answer rests on"))
_QUOTE = 200
# How the question is put whose work a change touches.
_TRIAGE = "an entry for each agent whose work the change touches"
_CHANGE = re.compile(r"<change>\n(.*?)\n</change>", re.DOTALL)
_LISTED = re.compile(r"^- ([a-z0-9.-]+): ", re.MULTILINE)


def reply(system: str, turns: Sequence[Turn]) -> str:
    """Answer the last question, or go on exactly where a cut answer to it stopped."""
    for position, turn in enumerate(turns):
        if turn.role == "user" and (rest := _rest(system, turns, position)) is not None:
            return rest
    users = [turn.text for turn in turns if turn.role == "user" and not turn.results]
    return _whole(system, users[-1] if users else "")


def is_triage(turns: Sequence[Turn]) -> bool:
    """Check whether the question is whose work a change touches."""
    return any(_TRIAGE in turn.text and _CHANGE.search(turn.text) for turn in turns)


def agent_of(system: str, turns: Sequence[Turn]) -> str | None:
    """Find the agent whose role stands in the system prompt, or else in the first question."""
    title = _title(_role(system, next((turn.text for turn in turns if turn.role == "user"), "")))
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") if title else None


@frozen
class _Section:
    title: str
    content: str


def _rest(system: str, turns: Sequence[Turn], question: int) -> str | None:
    so_far = "".join(turn.text for turn in turns[question + 1 :] if turn.role == "assistant")
    if not so_far:
        return None
    whole = _whole(system, turns[question].text)
    # A whole answer that follows its question is a finished exchange, not a cut one.
    unfinished = len(so_far) < len(whole) and whole.startswith(so_far)
    return whole[len(so_far) :] if unfinished else None


def _whole(system: str, question: str) -> str:
    if (start := question.find(_TRIAGE)) >= 0 and _CHANGE.search(question, 0, start):
        return _touched(question, start)
    quote = _shortened(_request(question))
    role = _role(system, question)
    head = [NOTICE, f"# {_title(role) or 'Simulated answer'}", _received(question)]
    return "\n\n".join(head + [_written(section, quote) for section in _sections(role)]) + "\n"


def _touched(question: str, start: int) -> str:
    """List the agents that a change names, or else the first of those to choose from."""
    agents = _LISTED.findall(question, start)
    change = _CHANGE.findall(question[:start])[-1].lower()
    named = [name for name in agents if name in change or name.replace("-", " ") in change]
    touched = [{"agent": name, "change": "the change names it"} for name in named]
    touched = touched or [{"agent": name, "change": "it comes first"} for name in agents[:1]]
    return json.dumps({"touched": touched})


def _written(section: _Section, quote: str) -> str:
    return (
        f"## {section.title}\n\n"
        f"A model would write here: {section.content}\n\n"
        f"It was asked for:\n\n> {quote}\n\n"
        f"This text stands in for it, so that everything around it can be tried."
    )


def _received(question: str) -> str:
    deliverables = _DELIVERABLE.findall(question)
    if not deliverables:
        return "Received: the request, and no deliverables."
    lines = "\n".join(f"- {title} (from {agent})" for agent, title in deliverables)
    return f"Received: the request, and these deliverables:\n\n{lines}"


def _role(system: str, question: str) -> str:
    """Return the text of the role: the system prompt, or what stands last in the question."""
    if _ROLE.search(system):
        return system
    places = [match.start() for match in _ROLE.finditer(question)]
    return question[places[-1] :] if places else system


def _sections(role: str) -> list[_Section]:
    sections = _SECTION.findall(role) or _ANY_SECTIONS
    return [
        _Section(title, content.strip() or "what the title says") for title, content in sections
    ]


def _request(question: str) -> str:
    _, opened, rest = question.partition("<request>")
    request, closed, _ = rest.partition("</request>")
    return request if opened and closed else question


def _shortened(text: str) -> str:
    # Far more than a quote is cut off first: a prompt may have megabytes.
    line = " ".join(text[: 10 * _QUOTE].split())
    return line if len(line) <= _QUOTE else line[: _QUOTE - 1].rstrip() + "…"


def _title(role: str) -> str | None:
    match = _ROLE.search(role)
    return match[1].strip(" *_`") if match else None
