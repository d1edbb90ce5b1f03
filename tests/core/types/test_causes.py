"""Why a call failed, and what is done about it."""

import re

import pytest
from places import ROOT

from rolecall import Action, Cause
from rolecall.types.causes import DEFAULT_ACTIONS

DOCUMENT = (ROOT / "docs" / "causes.md").read_text("utf-8")
DESIGNED = {
    "empty": "retry_once",
    "thinking_only": "enlarge",
    "truncated": "continue",
    "safety": "fallback",
    "refusal": "stop",
    "bad_tool_call": "retry_once",
    "bad_schema": "repair",
    "rate_limited": "retry",
    "quota_exhausted": "fallback",
    "overloaded": "retry",
    "server_error": "retry",
    "timeout": "retry",
    "connection": "retry",
    "bad_payload": "retry",
    "auth": "fallback",
    "missing_key": "fallback",
    "forbidden": "fallback",
    "unknown_model": "fallback",
    "context_overflow": "fallback",
    "invalid_request": "stop",
    "plugin_error": "stop",
    "superseded": "fallback",
}


def test_every_cause_has_the_action_that_was_agreed() -> None:
    assert {str(cause): str(action) for cause, action in DEFAULT_ACTIONS.items()} == DESIGNED
    assert set(DEFAULT_ACTIONS) == set(Cause)


def test_the_table_of_actions_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        DEFAULT_ACTIONS[Cause.EMPTY] = Action.STOP  # type: ignore[index]


def test_a_cause_is_the_word_that_settings_and_journals_say() -> None:
    assert Cause("rate_limited") is Cause.RATE_LIMITED
    assert f"{Cause.RATE_LIMITED}" == "rate_limited"


def test_the_documents_table_says_what_is_done_by_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| `(\w+)` \|$", DOCUMENT, re.MULTILINE)
    assert dict(rows) == DESIGNED


@pytest.mark.parametrize("action", Action)
def test_the_document_describes_every_action(action: Action) -> None:
    assert f"\n| `{action}` | " in DOCUMENT
