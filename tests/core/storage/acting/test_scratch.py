"""Copies to try something in are removed, at the latest by the next process of the run."""

import os
import tempfile
from pathlib import Path

import pytest

from rolecall.storage.acting.scratch import Scratch, remove_folder


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_folder_is_removed_with_all_that_is_in_it(tmp_path: Path, temporary: Path) -> None:
    with Scratch(tmp_path).folder() as folder:
        (folder / "a" / "b").mkdir(parents=True)
        (folder / "a" / "b" / "file").write_text("text")
        assert list(temporary.iterdir()) == [folder]
    assert list(temporary.iterdir()) == []


def test_what_a_killed_process_left_is_swept_and_nothing_of_other_runs(
    tmp_path: Path, temporary: Path
) -> None:
    for run in ("one", "two"):
        killed = Scratch(tmp_path / run).folder()
        (killed.__enter__() / "file").write_text(run)
    Scratch(tmp_path / "one").sweep()
    (left,) = temporary.iterdir()
    assert (left / "file").read_text() == "two"


@pytest.mark.skipif(os.name != "posix", reason="links and modes are a POSIX system's")
def test_a_link_of_such_a_name_is_not_followed(tmp_path: Path, temporary: Path) -> None:
    with Scratch(tmp_path).folder() as folder:
        name = folder.name
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "file").write_text("text")
    (temporary / name).symlink_to(tmp_path / "private")
    Scratch(tmp_path).sweep()
    assert (tmp_path / "private" / "file").exists()


@pytest.mark.skipif(os.name != "posix", reason="links and modes are a POSIX system's")
def test_neither_depth_nor_modes_nor_links_keep_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "private").write_text("text")
    folder = tmp_path / "folder"
    (folder / "locked" / "inner").mkdir(parents=True)
    (folder / "locked" / "link").symlink_to(tmp_path)
    (folder / "locked" / "inner").chmod(0)
    (folder / "locked").chmod(0)
    folder.chmod(0o500)
    with monkeypatch.context() as moved:
        os.chmod(folder, 0o700)
        moved.chdir(folder)
        for _ in range(1500):
            os.mkdir("deeper")
            os.chdir("deeper")
    remove_folder(folder)
    assert [path.name for path in tmp_path.iterdir() if path.name != "temporary"] == ["private"]
