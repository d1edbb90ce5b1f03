"""What was public under another name works on, and says what to write instead."""

import warnings

import pytest

import rolecall
from rolecall import deprecations
from rolecall.deprecations import RENAMED, Renamed, current

OLD = {"Crew": Renamed("Team", "2.0"), "Old": Renamed("Settings", "2.0")}


def test_an_old_name_is_told_with_its_new_one() -> None:
    with pytest.warns(DeprecationWarning, match=r"rolecall.Crew is now rolecall.Team; .* with 2.0"):
        assert current("Crew", OLD) == "Team"


def test_a_name_of_today_is_none() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert current("Team", OLD) is None


@pytest.mark.parametrize("old", OLD)
def test_an_old_name_can_be_imported(monkeypatch: pytest.MonkeyPatch, old: str) -> None:
    monkeypatch.setattr(deprecations.current, "__defaults__", (OLD,))
    with pytest.warns(DeprecationWarning, match=f"rolecall.{old} is now"):
        assert getattr(rolecall, old) is getattr(rolecall, OLD[old].instead)


def test_every_renamed_name_leads_to_a_public_one() -> None:
    assert {each.instead for each in RENAMED.values()} <= set(rolecall.__all__)
    assert not RENAMED.keys() & set(rolecall.__all__)
