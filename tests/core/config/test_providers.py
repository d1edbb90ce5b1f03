"""What a provider's table says of its keys, its endpoints and what their calls count on."""

from pathlib import Path

import pytest

from rolecall import (
    Deployment,
    DeploymentSettings,
    ProviderLimits,
    ProviderSettings,
    Settings,
    SettingsError,
    load_settings,
)

HEAD = "[tool.rolecall.providers.one]\n"


def read(folder: Path, table: str) -> Settings:
    (folder / "pyproject.toml").write_text(HEAD + table, "utf-8")
    return load_settings(folder, {})


def refusal(folder: Path, table: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read(folder, table)
    return str(caught.value).removeprefix(f"{folder / 'pyproject.toml'}: tool.rolecall.providers.")


def settings(**own: object) -> Settings:
    return Settings(providers={"one": ProviderSettings(**own)})  # type: ignore[arg-type]


def test_a_provider_without_keys_or_endpoints_has_one_way_that_counts_on_its_name() -> None:
    assert settings().deployments("one") == (Deployment("", "one"),)


def test_one_key_is_the_only_way() -> None:
    assert settings(keys=("A",)).deployments("one") == (Deployment("", "one", "A"),)


def test_each_key_counts_for_itself() -> None:
    assert settings(keys=("A", "B")).deployments("one") == (
        Deployment("A", "one@A", "A"),
        Deployment("B", "one@B", "B"),
    )


def test_keys_of_one_quota_count_together() -> None:
    both = settings(keys=("A", "B"), quota="acme").deployments("one")
    assert [each.quota for each in both] == ["one@acme", "one@acme"]


def test_endpoints_take_from_the_table_above_what_they_do_not_say() -> None:
    eu = DeploymentSettings(api_base="http://eu", model="m-eu", options={"b": 3})
    us = DeploymentSettings(api_base="http://us", keys=("C", "D"), quota="us")
    deployments = {"eu": eu, "us": us}
    one = settings(keys=("A",), model="m", options={"a": 1, "b": 2}, deployments=deployments)
    assert one.deployments("one") == (
        Deployment("eu", "one@eu", "A", "http://eu", "m-eu", {"a": 1, "b": 3}),
        Deployment("us.C", "one@us", "C", "http://us", "m", {"a": 1, "b": 2}),
        Deployment("us.D", "one@us", "D", "http://us", "m", {"a": 1, "b": 2}),
    )


def test_a_quotas_limits_are_its_endpoints_or_else_the_tables() -> None:
    eu = DeploymentSettings(requests_per_minute=60)
    one = settings(requests_per_minute=10, concurrency=2, deployments={"eu": eu, "us": eu})
    assert one.limits("one", "one@eu") == ProviderLimits(requests_per_minute=60, concurrency=2)
    assert one.limits("one", "one@other") == ProviderLimits(requests_per_minute=10, concurrency=2)


def test_several_endpoints_are_read_from_the_file(tmp_path: Path) -> None:
    table = """litellm = "azure"
keys = "A"
[tool.rolecall.providers.one.deployments.eu]
api_base = "http://eu"
concurrency = 3
"""
    eu = DeploymentSettings(api_base="http://eu", concurrency=3)
    own = ProviderSettings(litellm="azure", keys=("A",), deployments={"eu": eu})
    assert read(tmp_path, table).provider("one") == own


@pytest.mark.parametrize("key", ["sk-1234", "AIzaSy1234abcd"])
def test_a_key_in_the_place_of_its_variable_is_refused_and_not_repeated(
    tmp_path: Path, key: str
) -> None:
    message = refusal(tmp_path, f'keys = ["{key}"]')
    assert message == (
        "one: keys must name environment variables, in capitals; "
        "put a key itself into .env, as NAME=KEY, and its name here"
    )


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('keys = ["A", "A"]', "one: keys names a variable twice"),
        ('quota = "a/b"', "one: quota must be letters, digits, '-', '_' or '.', not 'a/b'"),
        (
            "[tool.rolecall.providers.one.deployments.eu]\nkey = 1",
            "one.deployments.eu.key: no such",
        ),
        ('[tool.rolecall.providers.one.deployments."a/b"]', "one: 'a/b' is no name of a"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, table: str, message: str) -> None:
    assert refusal(tmp_path, table).startswith(message)


def test_the_variables_that_hold_keys_are_known_by_whatever_name() -> None:
    deployments = {"eu": DeploymentSettings(keys=("B",))}
    assert settings(keys=("A",), deployments=deployments).key_variables == {"A", "B"}
