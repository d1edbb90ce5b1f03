"""What `constraints.txt` pins is what the project asks for, and each file has a hash."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from places import ROOT

from rolecall_plugins.providers.litellm_doors import NEWEST_TESTED

TEXT = (ROOT / "constraints.txt").read_text("utf-8")
PINS = re.findall(
    r"^([\w.-]+)==(\S+)([^\n]*)\n((?:    --hash=sha256:[0-9a-f]{64}.*\n)*)", TEXT, re.M
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.mark.parametrize("wanted", PROJECT["dependencies"])
def test_what_the_project_asks_for_is_pinned_within_its_range(wanted: str) -> None:
    requirement = Requirement(wanted)
    name = canonicalize_name(requirement.name)
    versions = [version for pinned, version, *_ in PINS if pinned == name]
    assert versions
    assert all(requirement.specifier.contains(version) for version in versions)


def test_every_pin_has_hashes() -> None:
    assert len(PINS) == len(re.findall(r"^[\w.-]+==", TEXT, re.M))
    assert [name for name, _, _, hashes in PINS if not hashes] == []


def test_the_litellm_that_is_pinned_is_the_newest_that_was_tested() -> None:
    (pinned,) = (version for name, version, *_ in PINS if name == "litellm")
    assert Version(pinned) == Version(NEWEST_TESTED)
