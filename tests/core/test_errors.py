"""The tree of errors: what each ends the command line with, and how it is worded."""

import pytest

import rolecall
from rolecall import AllRoutesFailed, CallFailed, ProviderError, RolecallError
from rolecall.errors import nearest


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("RolecallError", 1),
        ("UsageError", 2),
        ("SettingsError", 2),
        ("PluginError", 2),
        ("TeamError", 2),
        ("RunError", 1),
        ("RunBusy", 1),
        ("JournalCorrupt", 1),
        ("ProviderError", 1),
        ("CallFailed", 1),
        ("AllRoutesFailed", 4),
    ],
)
def test_every_error_ends_the_command_line_with_its_code(name: str, code: int) -> None:
    error = getattr(rolecall, name)
    assert issubclass(error, RolecallError)
    assert error.exit_code == code


def test_a_providers_error_is_to_be_retried_unless_it_says_otherwise() -> None:
    error = ProviderError("timeout", "no answer")
    assert (error.retryable, error.retry_after, error.status, error.headers) == (
        True,
        None,
        None,
        {},
    )
    assert str(error) == "no answer"


@pytest.mark.parametrize("nothing", [None, -1.0, float("nan")])
def test_a_wait_that_says_nothing_is_none(nothing: float | None) -> None:
    assert ProviderError("rate_limited", "wait", retry_after=nothing).retry_after is None
    assert ProviderError("rate_limited", "wait", retry_after=0.0).retry_after == 0.0


def test_a_failed_step_lists_what_was_tried_in_order() -> None:
    failures = [("one", ProviderError("auth", "401")), ("two/m", ProviderError("empty", "nothing"))]
    stopped, exhausted = CallFailed("writer", failures), AllRoutesFailed("writer", failures)
    tried = "one: auth (401); two/m: empty (nothing)"
    assert str(stopped) == f"writer: stopped: {tried}"
    assert str(exhausted) == f"writer: all routes failed: {tried}"
    assert exhausted.failures == tuple(failures)


@pytest.mark.parametrize(
    ("word", "known", "ending"),
    [
        ("clade", ["claude", "gemini"], "; did you mean 'claude'?"),
        ("zzz", ["claude", "gemini"], "; known: claude, gemini"),
        ("zzz", ["gemini", "claude"], "; known: claude, gemini"),
        ("zzz", [], ""),
    ],
)
def test_a_wrong_word_is_answered_with_the_nearest_or_with_all(
    word: str, known: list[str], ending: str
) -> None:
    assert nearest(word, known) == ending
