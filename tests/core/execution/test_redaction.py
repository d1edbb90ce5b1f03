"""Nothing that came from outside carries a secret on."""

import base64
import json
import logging
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall import Cause, ProviderError, ProviderSettings, Response, Settings
from rolecall.execution.redaction import (
    LONGEST_MESSAGE,
    MASK,
    SHORTEST,
    RedactedStream,
    Redactor,
    SecretFilter,
    masked_log,
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


def test_a_variable_is_secret_where_a_provider_takes_its_key_from_it() -> None:
    own = ProviderSettings(keys=("OPENING",))
    settings = Settings(providers={"one": own}, environment={"OPENING": "sesame-sesame"})
    assert Redactor.of(settings)("it is sesame-sesame") == f"it is {MASK}"


def test_the_password_of_an_endpoint_is_secret() -> None:
    own = ProviderSettings(api_base="https://me:sesame-sesame@example.org/v1")
    assert Redactor.of(Settings(providers={"one": own}))("sesame-sesame") == MASK


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


# In which forms it may come back.

KEY = "sk-made-up-Planted+Secret/VALUE=0123456789"
# Of a key that repeats itself, a part is found at several places: no vendor makes such.
LONG = st.permutations("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_/+=").map(
    lambda letters: "".join(letters[:40])
)
AROUND = st.text(max_size=8)


def shown(key: str, text: str) -> str:
    return Redactor({"ONE_API_KEY": key})(text)


@pytest.mark.parametrize(
    "encode",
    [
        lambda key: quote(key, safe=""),
        lambda key: quote(key, safe="").lower() if "%" in quote(key, safe="") else key,
        lambda key: quote_plus(key),
        lambda key: key.encode().hex(),
        lambda key: json.dumps(key)[1:-1],
    ],
)
def test_an_encoded_key_is_masked(encode: Callable[[str], str]) -> None:
    if encode(KEY) != encode(KEY).lower():
        assert shown(KEY, f"at {encode(KEY)}!") == f"at {MASK}!"


@given(LONG, st.binary(max_size=5), st.binary(max_size=5), st.booleans())
def test_a_key_within_something_in_base64_is_masked(
    key: str, before: bytes, after: bytes, for_urls: bool
) -> None:
    encoder = base64.urlsafe_b64encode if for_urls else base64.b64encode
    text = shown(key, encoder(before + key.encode() + after).decode())
    assert MASK in text
    decoded = base64.b64encode(key.encode()).decode()
    assert not any(decoded[start : start + 16] in text for start in range(len(decoded) - 15))


@given(LONG, st.integers(20, 60), st.integers(0, 40), AROUND)
def test_a_part_of_a_key_is_masked(key: str, length: int, start: int, around: str) -> None:
    part = key[start : start + length]
    if len(part) >= 20 or (start == 0 and len(part) >= 10):
        assert part not in shown(key, f"{around} {part} {around}")


@given(LONG, st.lists(st.integers(1, 59), max_size=6), AROUND)
def test_a_key_that_comes_in_pieces_is_never_shown(key: str, cuts: list[int], around: str) -> None:
    text = f"{around}{key}{around}"
    stream = RedactedStream(Redactor({"ONE_API_KEY": key}))
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[a:b] for a, b in pairwise(edges)]
    told = [stream.add(piece) for piece in pieces] + [stream.end()]
    whole = "".join(told)
    assert MASK in whole
    assert not any(key[start : start + 20] in whole for start in range(len(key) - 19))


@given(st.lists(st.text(max_size=5), max_size=5))
def test_a_stream_without_secrets_comes_whole(pieces: list[str]) -> None:
    stream = RedactedStream(Redactor({"ONE_API_KEY": "\x00" * 12 + "never drawn by hypothesis"}))
    assert "".join([*map(stream.add, pieces), stream.end()]) == "".join(pieces)


@pytest.mark.parametrize(
    ("address", "safe"),
    [
        ("http://alice:pw@proxy:3128/x", f"http://{MASK}@proxy:3128/x"),
        ("https://token@host", f"https://{MASK}@host"),
        ("postgres://u:p%40ss@db/x?y=z", f"postgres://{MASK}@db/x?y=z"),
        ("mail alice@example.com", "mail alice@example.com"),
        ("https://host/@alice", "https://host/@alice"),
    ],
)
def test_what_stands_before_the_host_of_an_address_is_masked(address: str, safe: str) -> None:
    assert Redactor({})(f"via {address}: refused") == f"via {safe}: refused"


def test_the_password_of_a_proxy_is_masked_wherever_it_stands() -> None:
    redact = Redactor({"HTTPS_PROXY": "http://alice:hunter-2-pass@proxy:3128"})
    assert redact("Proxy-Authorization for hunter-2-pass") == f"Proxy-Authorization for {MASK}"


def test_the_values_of_headers_are_masked() -> None:
    headers = "authorization=Bearer%20planted-token-0,x-team=planted-team-00"
    redact = Redactor({"OTEL_EXPORTER_OTLP_HEADERS": headers})
    assert "planted" not in redact("sent Bearer planted-token-0 and planted-team-00")


def test_a_key_split_over_lines_is_masked_with_what_indents_them() -> None:
    assert shown(KEY, f"at {KEY[:9]}\n    {KEY[9:22]}\r\n{KEY[22:]}\nnext") == f"at {MASK}\nnext"


@pytest.mark.parametrize(
    "escape",
    [
        lambda text: "".join(f"\\u{ord(each):04x}" for each in text),
        lambda text: "".join(f"%{ord(each):02X}" for each in text),
        lambda text: "".join(f"&#{ord(each)};" for each in text),
        lambda text: "".join(f"&#x{ord(each):x};" for each in text),
        lambda text: quote(quote(text, safe=""), safe=""),
        lambda text: json.dumps(text).replace("/", "\\/")[1:-1],
    ],
)
def test_an_escaped_key_is_masked_with_its_escapes(escape: Callable[[str], str]) -> None:
    assert shown(KEY, f"<{escape(KEY)}>") == f"<{MASK}>"


def test_headers_in_lines_are_masked_too() -> None:
    redact = Redactor({"VENDOR_HEADERS": "x-team: planted-team-00\nx-key: planted-key-000"})
    assert redact("planted-key-000 of planted-team-00") == f"{MASK} of {MASK}"


def test_what_credentials_in_json_keep_secret_is_masked_in_a_variable_and_in_a_file(
    tmp_path: Path,
) -> None:
    key = f"-----BEGIN PRIVATE KEY-----\n{'planted0123456789' * 3}\n-----END PRIVATE KEY-----\n"
    content = json.dumps({"client_email": "someone@example.com", "private_key": key})
    (tmp_path / "key.json").write_text(content, "utf-8")
    for value in (content, str(tmp_path / "key.json")):
        redact = Redactor({"SOME_CREDENTIALS": value})
        assert redact(f"sent {'planted0123456789' * 3}") == f"sent {MASK}"
        assert redact("to someone@example.com") == "to someone@example.com"
        assert redact("-----BEGIN PRIVATE KEY-----") == "-----BEGIN PRIVATE KEY-----"


def test_options_of_providers_are_secret_by_their_names() -> None:
    options = {"headers": {"Authorization": "planted-option-0"}, "region": "eu-central-1"}
    redact = Redactor.of(Settings(providers={"one": ProviderSettings(options=options)}))
    assert redact("planted-option-0 in eu-central-1") == f"{MASK} in eu-central-1"


def test_the_variables_of_the_secrets_in_a_text_are_named() -> None:
    redact = Redactor({"A_KEY": "planted-a-key", "B_KEY": "planted-b-key"})
    assert redact.names("here is planted-b-key") == ["B_KEY"]
    assert redact.names("here is none") == []


def test_in_what_models_wrote_only_known_secrets_are_masked() -> None:
    redact = Redactor({"A_KEY": "planted-a-key"})
    text = "DATABASE_URL=postgres://app:app@db/app planted-a-key"
    assert redacted(Response(text), redact).text == f"DATABASE_URL=postgres://app:app@db/app {MASK}"


def test_a_cause_that_shows_a_secret_is_replaced_and_the_others_stay() -> None:
    root, shows = KeyError("root"), ValueError("with planted-a-key")
    error = ProviderError(Cause.CONNECTION, "reset")
    error.__cause__, shows.__cause__ = shows, root
    redact_error(error, Redactor({"A_KEY": "planted-a-key"}))
    assert str(error.__cause__) == f"ValueError: with {MASK}"
    assert error.__cause__.__cause__ is root


def test_what_is_logged_is_masked_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("rolecall")
    with masked_log(Redactor({"A_KEY": "planted-a-key"})):
        try:
            raise ValueError("planted-a-key")
        except ValueError as error:
            log.warning("it broke: %s", error, exc_info=True)
    assert caplog.messages == [f"it broke: {MASK}"]
    assert f"ValueError: {MASK}" in caplog.text
    assert "planted" not in caplog.text


@given(st.lists(st.sampled_from([KEY, "planted-a-key", "p", "sk-", "a b", "\n", "pl"]), max_size=6))
def test_a_stream_that_comes_letter_by_letter_hides_what_the_whole_text_does(
    pieces: list[str],
) -> None:
    redact = Redactor({"A_KEY": "planted-a-key", "B_KEY": KEY})
    text = " x ".join(["postgres://app:app@db", *pieces])
    stream = RedactedStream(redact)
    told = "".join([*map(stream.add, text), stream.end()])
    assert told == redacted(Response(text), redact).text
    assert "planted" not in told


@given(LONG, st.integers(0, 20), st.integers(1, 5))
def test_of_a_part_that_comes_in_small_pieces_hardly_anything_is_shown(
    key: str, start: int, size: int
) -> None:
    part = key[start : start + 30]
    stream = RedactedStream(Redactor({"ONE_API_KEY": key}))
    pieces = [part[at : at + size] for at in range(0, len(part), size)]
    told = "".join([*map(stream.add, pieces), stream.end()])
    assert MASK in told
    assert len(told.replace(MASK, "")) <= 4 + size


def test_a_log_call_whose_arguments_do_not_fit_breaks_nobody() -> None:
    record = logging.LogRecord("client", logging.INFO, "f", 1, "%d sent", ("key-of-nobody",), None)
    assert SecretFilter(Redactor.of(Settings())).filter(record)
    assert record.getMessage() == "%d sent ('key-of-nobody',)"
