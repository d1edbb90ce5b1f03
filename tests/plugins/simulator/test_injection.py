"""Faults: how they are written, and which calls they strike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_plugins.simulator.faults import CAUSES, PROVIDERS, variants
from rolecall_plugins.simulator.injection import Injector
from rolecall_plugins.simulator.scenario import Fault, Options, ScenarioError


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("gemini:timeout", Fault(provider="gemini", cause="timeout")),
        ("gemini:thinking_only:2", Fault(provider="gemini", cause="thinking_only", count=2)),
        (
            "gemini/gemini-3.8-flash:empty:30%",
            Fault(provider="gemini", model="gemini-3.8-flash", cause="empty", percent=30.0),
        ),
        (
            "claude:rate_limited:1@retry_after=3",
            Fault(
                provider="claude", cause="rate_limited", count=1, options=Options(retry_after=3.0)
            ),
        ),
        (
            "*:connection@variant=midway, after=40,agent=technical-writer",
            Fault(
                provider="*",
                cause="connection",
                options=Options(variant="midway", after=40, agent="technical-writer"),
            ),
        ),
    ],
)
def test_a_fault_is_read_from_a_short_text(text: str, fault: Fault) -> None:
    assert Fault.parse(text) == fault


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gemini", "it must have the form PROVIDER[/MODEL]:CAUSE"),
        ("", "it must have the form PROVIDER[/MODEL]:CAUSE"),
        ("gemini:empty:1:2", "it must have the form PROVIDER[/MODEL]:CAUSE"),
        (
            "gemni:empty",
            "unknown provider 'gemni'; did you mean 'gemini'? valid: *, claude, gemini",
        ),
        ("gemini/:empty", "a model must follow the '/'"),
        (
            "gemini:thinking",
            "unknown cause 'thinking'; did you mean 'thinking_only'? valid: auth, ",
        ),
        ("gemini:empty:often", "'often' is neither a count as in 2 nor a share as in 30%"),
        ("gemini:empty:some%", "'some%' is neither"),
        ("gemini:empty:0", "the count must be at least 1, not 0"),
        ("gemini:empty:101%", "the share must be from 0% to 100%, not 101%"),
        ("gemini:empty:nan%", "the share must be from 0% to 100%, not nan%"),
        ("gemini:empty@", "unknown option ''"),
        (
            "gemini:empty@varient=x",
            "unknown option 'varient'; did you mean 'variant'? valid: after",
        ),
        ("gemini:empty@variant", "option 'variant' needs a value, as in variant=VALUE"),
        ("gemini:empty@variant=blank", "unknown variant of gemini:empty 'blank'; did you mean"),
        ("claude:empty@variant=no_parts", "valid: newline, no_content, stop_sequence"),
        ("*:empty@variant=no_parts", "unknown variant of *:empty 'no_parts'; valid: none"),
        ("gemini:empty@retry_after=3", "unknown option of empty 'retry_after'; valid: agent"),
        ("claude:rate_limited@retry_after=soon", "'retry_after' needs a number, not 'soon'"),
        ("claude:rate_limited@retry_after=-1", "retry_after must be a number from 0 on, not -1.0"),
        ("claude:rate_limited@retry_after=nan", "retry_after must be a number from 0 on, not nan"),
        ("claude:timeout@after=1.5", "'after' needs a number, not '1.5'"),
        ("claude:timeout@after=1,after=2", "option 'after' is given twice"),
    ],
)
def test_a_wrong_fault_is_named_with_what_is_right(text: str, said: str) -> None:
    with pytest.raises(ScenarioError) as error:
        Fault.parse(text)
    assert str(error.value).startswith(f"fault {text!r}: ")
    assert said in str(error.value)


@given(st.text() | st.text(alphabet="gemini:claude*/%@=,0123 empty_afr"))
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        Fault.parse(text)
    except ScenarioError:
        return


@pytest.mark.parametrize("cause", CAUSES)
def test_every_cause_can_be_asked_for_of_every_provider(cause: str) -> None:
    for provider in (*PROVIDERS, "*"):
        assert Fault.parse(f"{provider}:{cause}").cause == cause
        for variant in variants(provider, cause):
            assert Fault.parse(f"{provider}:{cause}@variant={variant}").options.variant == variant


def strikes(text: str, calls: int = 4, **call: str | None) -> list[bool]:
    injector = Injector([Fault.parse(text)], seed=1)
    asked = {"provider": "gemini", "model": "gemini-3.8-flash", "agent": None} | call
    return [injector.choose(ordinal=n, **asked) is not None for n in range(1, calls + 1)]  # type: ignore[arg-type]


def test_a_fault_without_a_number_strikes_every_call() -> None:
    assert strikes("gemini:empty") == [True] * 4


def test_a_count_strikes_the_first_calls() -> None:
    assert strikes("gemini:empty:2") == [True, True, False, False]


def test_a_count_is_used_up_by_matching_calls_only() -> None:
    injector = Injector([Fault.parse("gemini:empty:1")], seed=1)
    assert injector.choose("claude", 1, "claude-sonnet-5-5", None) is None
    assert injector.choose("gemini", 1, "gemini-3.8-flash", None) is not None
    assert injector.choose("gemini", 2, "gemini-3.8-flash", None) is None


def test_a_share_is_drawn_from_the_seed() -> None:
    struck = strikes("gemini:empty:30%", calls=2000)
    assert struck == strikes("gemini:empty:30%", calls=2000)
    assert 0.25 < sum(struck) / 2000 < 0.35
    assert not any(strikes("gemini:empty:0%"))
    assert all(strikes("gemini:empty:100%"))


def test_provider_model_and_agent_narrow_a_fault_down() -> None:
    assert not any(strikes("claude:empty"))
    assert all(strikes("*:empty"))
    assert all(strikes("gemini/gemini-3.8-flash:empty"))
    assert not any(strikes("gemini/gemini-2.5-pro:empty"))
    assert not any(strikes("gemini:empty@agent=technical-writer"))
    assert all(strikes("gemini:empty@agent=technical-writer", agent="technical-writer"))


def test_the_first_fault_that_is_not_used_up_wins() -> None:
    faults = [Fault.parse("gemini:empty:1"), Fault.parse("gemini:overloaded")]
    injector = Injector(faults, seed=0)
    chosen = [injector.choose("gemini", n, "gemini-3.8-flash", None) for n in (1, 2, 3)]
    assert [fault.cause for fault in chosen if fault] == ["empty", "overloaded", "overloaded"]
