"""Entry points are found as the standard library finds them, without what it imports."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall.plugin.entry_points import GROUP, Point, installed

NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
VALUES = st.from_regex(r"[a-z_]{1,5}(\.[a-z_]{1,5}){0,2}( ?: ?[a-z_]{1,5})?", fullmatch=True)
SECTIONS = st.sampled_from([GROUP, "console_scripts", f"{GROUP}.more", "other"])
TEXTS = st.dictionaries(SECTIONS, st.dictionaries(NAMES, VALUES, max_size=3), max_size=4)


def distribution(folder: Path, info: str, points: str, about: str = "") -> Path:
    (folder / info).mkdir(parents=True)
    (folder / info / "entry_points.txt").write_text(points, "utf-8")
    (folder / info / "METADATA").write_text(about or "Name: some\nVersion: 1.0\n", "utf-8")
    return folder


def found(*folders: Path) -> list[tuple[str, str]]:
    return [(each.name, each.value) for each in installed([str(folder) for folder in folders])]


def test_what_is_installed_here_is_what_the_standard_library_finds() -> None:
    def told(name: str, value: str, distribution: str, version: str) -> tuple[str, str, str, str]:
        return name, value, distribution, version

    ours = {
        told(each.name, each.value, each.distribution.name, each.distribution.version)
        for each in installed()
    }
    assert ours == {
        told(each.name, each.value, each.dist.name, each.dist.version)
        for each in importlib.metadata.entry_points(group=GROUP)
        if each.dist is not None
    }


@given(TEXTS, st.sampled_from(["{} = {}", "{}={}", "  {} =  {} ", "{} = {}\n# a = b\n"]))
def test_any_file_of_entry_points_is_read_as_the_standard_library_reads_it(
    tmp_path_factory: pytest.TempPathFactory, sections: dict[str, dict[str, str]], form: str
) -> None:
    lines = []
    for section, entries in sections.items():
        lines += [f"[{section}]", *(form.format(*each) for each in entries.items()), ""]
    folder = distribution(tmp_path_factory.mktemp("path"), "some-1.0.dist-info", "\n".join(lines))
    (known,) = importlib.metadata.distributions(path=[str(folder)])
    theirs = known.entry_points.select(group=GROUP)
    assert found(folder) == [(each.name, each.value) for each in theirs]


def test_of_two_distributions_of_a_name_the_first_on_the_path_counts(tmp_path: Path) -> None:
    first = distribution(tmp_path / "a", "rolecall_some-2.0.dist-info", "[rolecall]\nnew = new\n")
    second = distribution(tmp_path / "b", "Rolecall.Some-1.0.dist-info", "[rolecall]\nold = old\n")
    assert found(first, second) == [("new", "new")]
    assert found(second, first) == [("old", "old")]


def test_one_without_plugins_hides_an_older_one_with_some(tmp_path: Path) -> None:
    first = distribution(tmp_path / "a", "some-2.0.dist-info", "[other]\nx = y\n")
    second = distribution(tmp_path / "b", "some-1.0.dist-info", "[rolecall]\nold = old\n")
    assert found(first, second) == []


def test_an_older_installer_s_form_is_read_too(tmp_path: Path) -> None:
    info = tmp_path / "some.egg-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[rolecall]\nsome = some\n", "utf-8")
    (info / "PKG-INFO").write_text("Name: some\nVersion: 3\n\nRequires-Dist: none\n", "utf-8")
    (point,) = installed([str(tmp_path)])
    assert point.distribution == ("some", "3", ())


def test_what_a_distribution_wants_is_told(tmp_path: Path) -> None:
    about = "Name: some\nRequires-Dist: rolecall>=9\nVersion: 1\nRequires-Dist: attrs\n\nText: no\n"
    distribution(tmp_path, "some-1.dist-info", "[rolecall]\nsome = some\n", about)
    (point,) = installed([str(tmp_path)])
    assert point.distribution == ("some", "1", ("rolecall>=9", "attrs"))


def test_a_path_that_is_no_folder_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "packages.zip").write_bytes(b"PK")
    assert found(tmp_path / "packages.zip", tmp_path / "nothing", tmp_path) == []


@pytest.mark.parametrize("value", ["os.path:join", "os.path : join", "os.path:join [extra]"])
def test_a_plugin_may_be_an_attribute(value: str) -> None:
    import os.path

    assert Point("some", value, None).load() is os.path.join  # type: ignore[arg-type]


def test_a_plugin_is_a_module_by_default() -> None:
    assert Point("some", "sys", None).load() is sys  # type: ignore[arg-type]


def test_the_standard_library_s_way_is_not_imported() -> None:
    code = "import sys, rolecall; rolecall.Host(); print('importlib.metadata' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
