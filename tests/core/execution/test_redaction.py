"""Nothing that came from outside carries a secret on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall import Cause, ProviderError, Response
from rolecall.execution.redaction import (
    LONGEST_MESSAGE,
    MASK,
    SHORTEST,
    Redactor,
    redact_error,
    redacted,
)

SECRETS = (
    st.text(min_size=SHORTEST)
    .map(str.strip)
    .filter(lambda secret: len(secret) >= SHORTEST and secret not in MASK)
)


@given(SECRETS, st.lists(st.text(), min_size=1, max_size=4))
def test_a_key_is_masked_wherever_it_stands(key: str, around: list[str]) -> None:
    redacted = Redactor({"ANTHROPIC_API_KEY": key})(key.join(["", *around, ""]))
    assert key not in redacted
    assert redacted.count(MASK) > len(around)


@given(st.text())
def test_a_text_without_secrets_stays_as_it_is(text: str) -> None:
    assert Redactor({"ANTHROPIC_API_KEY": "\x00" * 8 + "never drawn"})(text) == text


@given(SECRETS, st.text(min_size=1))
def test_of_two_keys_where_one_begins_the_other_the_longer_is_masked_whole(
    short: str, more: str
) -> None:
    more = more.rstrip() or "x"
    redact = Redactor({"A_KEY": short, "B_KEY": short + more})
    assert redact(f"<{short + more}>") == f"<{MASK}>"


@pytest.mark.parametrize(
    "name", ["GEMINI_API_KEY", "GITHUB_TOKEN", "client_secret", "DB_PASSWORD", "AWS_CREDENTIALS"]
)
def test_a_variable_is_secret_by_its_name(name: str) -> None:
    assert Redactor({name: "a-long-value"})("says a-long-value") == f"says {MASK}"


def test_other_variables_are_not_secret() -> None:
    assert Redactor({"HOME": "/home/somebody"})("in /home/somebody") == "in /home/somebody"


def test_a_key_is_masked_also_without_the_blanks_around_it_in_the_environment() -> None:
    assert Redactor({"API_KEY": " planted-key\n"})("you sent planted-key") == f"you sent {MASK}"


def test_eight_characters_are_enough_for_a_secret() -> None:
    assert Redactor({"API_KEY": "12345678"})("says 12345678") == f"says {MASK}"


def test_a_value_too_short_to_be_a_secret_is_left_in_words() -> None:
    assert Redactor({"API_KEY": "offline", "TOKEN": ""})("it is offline") == "it is offline"


def test_a_key_is_taken_literally() -> None:
    assert Redactor({"API_KEY": "a.c+(d)|[e]"})("abc+(d) a.c+(d)|[e]") == f"abc+(d) {MASK}"


def test_without_any_secret_nothing_is_masked() -> None:
    assert Redactor({})("as it is") == "as it is"


@given(st.integers(0, 1200), st.integers(0, 1200))
def test_a_key_is_masked_before_a_message_is_cut(before: int, after: int) -> None:
    key = "planted-key-0123456789"
    said = f"{'x' * before}{key}{'y' * after}"
    redact = Redactor({"API_KEY": key})
    error = ProviderError(Cause.AUTH, said)
    redact_error(error, redact)
    for message in (str(error), redacted(Response("", detail=said), redact).detail):
        assert len(message) <= LONGEST_MESSAGE
        assert "planted" not in message
        assert message.endswith("…") == (before + len(MASK) + after > LONGEST_MESSAGE)
