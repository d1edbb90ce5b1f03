"""A folder that somebody else prepared is read and written without leaving it."""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall import RunError
from rolecall.storage import safe_folder
from rolecall.storage.safe_folder import SafeFolder

STEPS = st.sampled_from(["..", ".", "", "a", "b", "link", "away", "\\", "a\0", "C:", "~", "file"])


@pytest.fixture(params=["descriptors", "paths"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with links that lead out of it; the other way to walk is tried as well."""
    if request.param == "paths":
        monkeypatch.setattr(safe_folder, "_HAS_DESCRIPTORS", False)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "private.txt").write_text("private")
    inside = tmp_path / "inside"
    (inside / "a").mkdir(parents=True)
    (inside / "a" / "file").write_text("here")
    (inside / "link").symlink_to(tmp_path / "outside" / "private.txt")
    (inside / "away").symlink_to(tmp_path / "outside", target_is_directory=True)
    return inside


def test_what_was_written_is_read_again(folder: Path) -> None:
    safe = SafeFolder(folder)
    safe.write("new/deep/file.txt", b"text")
    assert safe.read("new/deep/file.txt") == b"text"
    assert safe.read_text("new/deep/file.txt") == "text"
    assert safe.exists("new/deep/file.txt")
    assert list(safe.files()) == ["a/file", "new/deep/file.txt"]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_files_and_folders_are_for_their_owner_alone(folder: Path) -> None:
    SafeFolder(folder).write("new/file", b"text")
    assert stat.S_IMODE((folder / "new").stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "new" / "file").stat().st_mode) == 0o600


def test_what_is_not_there_is_none(folder: Path) -> None:
    safe = SafeFolder(folder)
    assert safe.read("a/missing") is None
    assert safe.read("missing/file") is None
    assert not safe.delete("a/missing")
    assert not safe.exists("missing/file")


@pytest.mark.parametrize("name", ["link", "away/private.txt", "away/new.txt"])
@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda safe, name: safe.read(name), id="read"),
        pytest.param(lambda safe, name: safe.open_to_append(name), id="append"),
    ],
)
def test_a_link_is_not_followed_and_named(
    folder: Path, use: Callable[[SafeFolder, str], object], name: str
) -> None:
    with pytest.raises(RunError, match=r"(link|away): cannot be .* is a link, and links are not"):
        use(SafeFolder(folder), name)


def test_a_link_is_replaced_and_not_written_through(folder: Path) -> None:
    SafeFolder(folder).write("link", b"mine")
    assert (folder.parent / "outside" / "private.txt").read_text() == "private"
    assert not (folder / "link").is_symlink()
    with pytest.raises(RunError, match="away: cannot be written: is a link"):
        SafeFolder(folder).write("away/new.txt", b"mine")


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices are POSIX's")
def test_a_pipe_in_a_file_s_place_is_refused_at_once(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(RunError, match="pipe: is no regular file"):
        SafeFolder(folder).read("pipe")
    with pytest.raises(RunError, match=r"a: cannot be read|a: is no regular file"):
        SafeFolder(folder).read("a")


def test_a_file_that_is_too_large_is_refused(folder: Path) -> None:
    (folder / "large").write_bytes(b"x" * 11)
    assert SafeFolder(folder).read("large", most=11)
    with pytest.raises(RunError, match="larger than 10 bytes"):
        SafeFolder(folder).read("large", most=10)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(folder: Path) -> None:
    with pytest.raises(RunError, match="a: cannot be written"):
        SafeFolder(folder).write("a", b"in a folder's place")
    assert list(SafeFolder(folder).files()) == ["a/file"]


@given(st.lists(STEPS, min_size=1, max_size=5))
def test_no_path_leaves_the_folder(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    base = tmp_path_factory.mktemp("hostile")
    (base / "outside").mkdir()
    inside = base / "inside"
    inside.mkdir()
    (inside / "away").symlink_to(base / "outside", target_is_directory=True)
    (inside / "link").symlink_to(base / "outside" / "new")
    with suppress(RunError):
        SafeFolder(inside).write("/".join(steps), b"x")
    assert list((base / "outside").iterdir()) == []
    assert sorted(each.name for each in base.iterdir()) == ["inside", "outside"]


def test_a_file_with_a_second_name_elsewhere_is_neither_read_nor_appended_to(
    folder: Path,
) -> None:
    os.link(folder.parent / "outside" / "private.txt", folder / "private.txt")
    files = SafeFolder(folder)
    for use in (files.read, files.open_to_append):
        with pytest.raises(RunError, match=r"private\.txt: has a second name elsewhere"):
            use("private.txt")
    files.write("private.txt", b"mine")  # the name is taken over, the other file stays
    assert files.read("private.txt") == b"mine"
    assert (folder.parent / "outside" / "private.txt").read_bytes() != b"mine"


def test_a_file_is_copied_and_stays_executable(folder: Path, tmp_path: Path) -> None:
    files = SafeFolder(folder)
    files.write("bin/run", b"#!/bin/sh\n", 0o755)
    files.write("text", b"text")
    for name in ("bin/run", "text"):
        files.copy(name, SafeFolder(tmp_path / "copy"))
    assert (tmp_path / "copy" / "text").read_bytes() == b"text"
    if os.name == "posix":
        assert os.access(tmp_path / "copy" / "bin" / "run", os.X_OK)
        assert (tmp_path / "copy" / "text").stat().st_mode & 0o111 == 0
    with pytest.raises(RunError, match="missing: is not there"):
        files.copy("missing", SafeFolder(tmp_path / "copy"))


def test_a_folder_that_is_a_link_itself_is_followed_only_where_it_may_be(
    folder: Path,
) -> None:
    link = folder.parent / "to-folder"
    link.symlink_to(folder, target_is_directory=True)
    assert SafeFolder(link).read("a/file") == b"here"
    with pytest.raises(RunError, match="to-folder: cannot be read: is a link"):
        SafeFolder(link, may_be_link=False).read("a/file")


def test_what_a_killed_process_had_begun_to_write_is_swept(tmp_path: Path) -> None:
    folder = SafeFolder(tmp_path)
    folder.write("deep/er/file", b"whole")
    for name in (".0123456789abcdef.part", "mine.part"):
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / ".fedcba9876543210.part").mkdir()
    folder.sweep()
    assert sorted(folder.files()) == ["deep/er/file", "mine.part"]
