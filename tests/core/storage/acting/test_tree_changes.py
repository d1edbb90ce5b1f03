"""Who changed what is told by git, in two processes however often somebody did."""

from itertools import pairwise
from pathlib import Path

import pytest
from acting import ENVIRONMENT

from rolecall.storage.acting.tree_changes import parse_names, parse_patches
from rolecall.storage.acting.workspace import EMPTY_TREE, GitWorkspace

A, B, C = ("a" * 40, "b" * 40, "c" * 40)


@pytest.fixture
def workspace(tmp_path: Path) -> GitWorkspace:
    return GitWorkspace(tmp_path, ENVIRONMENT)


def states(workspace: GitWorkspace, *steps: dict[str, str | None]) -> list[tuple[str, str]]:
    """Write and delete files step by step; return the pairs of trees before and after each."""
    trees = [EMPTY_TREE]
    workspace.begin()
    for step in steps:
        for path, text in step.items():
            if text is None:
                workspace.delete(path)
            else:
                workspace.write(path, text)
        trees.append(workspace.keep())
    return list(pairwise(trees))


def test_each_step_has_its_files_and_its_patch(workspace: GitWorkspace) -> None:
    pairs = states(
        workspace, {"a": "one\n", "b c/ü": "x\n"}, {"a": "two\n"}, {"a": None, "d": "new\n"}
    )
    first, second, third = workspace.compare(pairs, 100_000)
    assert first[0] == [("a", "A"), ("b c/ü", "A")]
    assert second[0] == [("a", "M")]
    assert third[0] == [("a", "D"), ("d", "A")]
    assert "-one\n+two\n" in second[1]
    assert "+new\n" not in second[1]
    assert [cut for *_, cut in (first, second, third)] == [False] * 3


def test_what_is_too_much_is_cut(workspace: GitWorkspace) -> None:
    half = {"b": "line\n" * 100, "c": "line\n" * 101}
    pairs = states(workspace, {"a": "one\n"}, half, {"d": "three\n"})
    first, second, third = workspace.compare(pairs, 1000)
    assert (first[2], second[2], third[2]) == (False, True, True)
    assert "+one\n" in first[1]
    assert len(first[1]) + len(second[1]) < 1000
    assert third[1] == ""
    assert [name for name, _ in third[0]] == ["d"]


def test_a_large_file_is_not_written_out(workspace: GitWorkspace) -> None:
    pairs = states(workspace, {"large": "line\n" * 100_000}, {"small": "text\n"})
    large, small = workspace.compare(pairs, 10_000)
    assert "Binary files" in large[1]
    assert "+text\n" in small[1]


def test_text_that_looks_like_gits_own_misleads_nobody(workspace: GitWorkspace) -> None:
    line = f"{A} {B}\n"
    pairs = states(workspace, {"a": line * 2}, {"b": f"diff --git a/x b/x\n{line}"})
    first, second = workspace.compare(pairs, 100_000)
    assert first[1].count(line) == 2
    assert second[1].startswith("diff --git a/b b/b\n")


def test_a_name_that_looks_like_the_next_pair_is_a_name() -> None:
    name = f"x\n{B} {C}\nM"
    text = f"{A} {B}\nA\0{name}\0{B} {C}\nD\0y\0"
    assert parse_names(text, [(A, B), (B, C)]) == [[(name, "A")], [("y", "D")]]


@pytest.mark.parametrize("length", range(0, 140))
def test_names_that_are_cut_anywhere_are_left_out(length: int) -> None:
    text = f"{A} {B}\nA\0x\0M\0y\0{B} {C}\nD\0z\0"[:length]
    names = parse_names(text, [(A, B), (B, C)])
    whole = [[("x", "A"), ("y", "M")], [("z", "D")]]
    assert all(part == all_[: len(part)] for part, all_ in zip(names, whole, strict=True))


def test_patches_that_are_missing_are_empty() -> None:
    assert parse_patches("", [(A, B)]) == [""]
    assert parse_patches(f"{A} {B}\n+x\n", [(A, B), (B, C)]) == ["+x\n", ""]
