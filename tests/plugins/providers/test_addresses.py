"""Addresses that cannot be called are found without calling them, and never repeated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall import Settings
from rolecall_plugins.providers.addresses import wrong_endpoint, wrong_proxy


@pytest.mark.parametrize(
    "address",
    ["https://api.example", "http://127.0.0.1:8080/v1", "https://[::1]:1", "https://a:b@c:443/x"],
)
def test_an_address_that_can_be_called_is_none_of_ours_to_judge(address: str) -> None:
    assert wrong_endpoint(address, "BASE") is None


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("api.example", "it must begin with https:// or http://"),
        ("localhost:8080", "it must begin with https:// or http://"),
        ("ftp://api.example", "it must begin with https:// or http://"),
        ("https:/api.example", "it must begin with https:// or http://"),
        ("https://", "it names no host"),
        ("https://:8080", "it names no host"),
        ("https://api example", "it names no host"),
        ("https://api.example:http", "its host or port cannot be read"),
        ("https://api.example:99999", "its host or port cannot be read"),
        ("https://[::1", "its host or port cannot be read"),
    ],
)
def test_an_address_that_cannot_be_called_is_named_by_its_setting(address: str, why: str) -> None:
    assert wrong_endpoint(address, "BASE") == f"BASE is no address: {why}"


@given(st.text(), st.sampled_from(["", "https://", "http:/", "//"]), st.text())
def test_no_message_repeats_an_address(before: str, scheme: str, after: str) -> None:
    said = wrong_endpoint(f"{before}{scheme}alice:Planted-0@{after}", "BASE")
    assert said is None or "Planted-0" not in said


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_a_wrong_proxy_is_named_by_its_variable(variable: str) -> None:
    said = wrong_proxy(Settings(environment={variable: "http://:3128"}), "")
    assert said == f"{variable} is no address: it names no host"


@pytest.mark.parametrize(
    "proxy", ["http://alice:pw@proxy.example:3128", "proxy.example:3128", "socks5://proxy.example"]
)
def test_a_proxy_that_can_be_used_is_none_of_ours_to_judge(proxy: str) -> None:
    assert wrong_proxy(Settings(environment={"HTTPS_PROXY": proxy}), "") is None


@pytest.mark.parametrize(
    ("variable", "endpoint"),
    [
        ("HTTP_PROXY", "https://api.example"),
        ("HTTPS_PROXY", "http://api.example"),
        ("HTTPS_PROXY", "https://localhost:1"),
        ("HTTPS_PROXY", "https://127.0.0.1:1"),
    ],
)
def test_a_proxy_that_is_not_used_may_be_wrong(variable: str, endpoint: str) -> None:
    assert wrong_proxy(Settings(environment={variable: "http://:3128"}), endpoint) is None
