"""The files that agents work on are kept, restored and handed out, whoever prepared them."""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall import RunError, UsageError
from rolecall.storage.acting.workspace import (
    EMPTY_TREE,
    FILES,
    GIT,
    LARGEST,
    GitWorkspace,
    TooLarge,
)

ENVIRONMENT = {"PATH": os.environ["PATH"]}
PATHS = st.sampled_from(["a", "b/c", "b/d", ".gitignore", "x.log", "deep/er/e"])
TEXTS = st.sampled_from(["", "one\n", "two\r\n", "*.log\n", "caf\u00e9"])


@pytest.fixture
def workspace(tmp_path: Path) -> GitWorkspace:
    made = GitWorkspace(tmp_path, ENVIRONMENT)
    made.begin()
    return made


def test_an_empty_workspace_has_no_file_and_no_commit(workspace: GitWorkspace) -> None:
    assert workspace.files() == []
    assert workspace.keep() == EMPTY_TREE
    assert workspace.commits() == []
    assert workspace.last() is None


def test_a_run_that_never_wrote_has_no_workspace(tmp_path: Path) -> None:
    assert not GitWorkspace(tmp_path, ENVIRONMENT).is_begun
    assert GitWorkspace(tmp_path, ENVIRONMENT).commits() == []
    assert list(tmp_path.iterdir()) == []


def test_files_are_written_read_and_removed(workspace: GitWorkspace) -> None:
    workspace.write("src/app.py", "print(1)\n")
    assert workspace.files() == ["src/app.py"]
    assert workspace.read("./src/app.py") == "print(1)\n"
    workspace.delete("src/app.py")
    with pytest.raises(ValueError, match=r"^src/app.py: there is no such file$"):
        workspace.read("src/app.py")
    with pytest.raises(ValueError, match="there is no such file"):
        workspace.delete("src/app.py")


@pytest.mark.parametrize(
    "path",
    ["../x", "/etc/passwd", "a/../../x", "", ".", ".git/config", "a/.GIT/hooks/x", "git~1", "a\\b"],
)
def test_a_path_that_leaves_the_workspace_is_refused(workspace: GitWorkspace, path: str) -> None:
    for use in (workspace.read, workspace.delete, lambda path: workspace.write(path, "x")):
        with pytest.raises(ValueError, match=r"no path below|is git's"):
            use(path)


def test_a_link_is_not_followed(workspace: GitWorkspace, tmp_path: Path) -> None:
    (tmp_path / "private").write_text("private")
    Path(workspace.root, "link").symlink_to(tmp_path / "private")
    with pytest.raises(ValueError, match="link: cannot be read: is a link"):
        workspace.read("link")
    assert workspace.files() == []


def test_a_commit_names_its_agent_and_step(workspace: GitWorkspace) -> None:
    workspace.write("a", "one\n")
    first = workspace.commit("writer", "key-1", "Write the first")
    workspace.write("a", "two\n")
    workspace.write("b", "new\n")
    workspace.commit("tester", "key-2", "Test it")
    second, before = workspace.commits()
    assert (second.agent, second.step) == ("tester", "key-2")
    assert (before.id, before.agent, before.step) == (first, "writer", "key-1")
    assert workspace.changes(before.tree, second.tree) == {"a": "M", "b": "A"}
    assert "+two" in workspace.diff(before.tree, second.tree)


def test_an_agent_that_changed_nothing_makes_no_commit(workspace: GitWorkspace) -> None:
    assert workspace.commit("reader", "key-1", "Read") is None
    workspace.write("a", "one\n")
    assert workspace.commit("writer", "key-2", "Write") is not None
    assert workspace.commit("writer", "key-2", "Write") is None


def test_a_state_is_restored_whole(workspace: GitWorkspace) -> None:
    workspace.write("a", "one\n")
    workspace.write("b/c", "two\n")
    tree = workspace.keep()
    workspace.write("a", "changed\n")
    workspace.delete("b/c")
    workspace.write("new/file", "new\n")
    workspace.restore(tree)
    assert workspace.files() == ["a", "b/c"]
    assert workspace.read("a") == "one\n"
    assert workspace.keep() == tree


def test_files_that_others_are_still_at_work_on_are_left_to_their_commits(
    workspace: GitWorkspace,
) -> None:
    workspace.write("ours", "one\n")
    workspace.write("theirs", "one\n")
    workspace.commit("writer", "key-1", "Write")
    workspace.write("ours", "two\n")
    workspace.write("new/caf\u00e9", "new\n")
    workspace.delete("theirs")
    workspace.commit("writer", "key-2", "Write", without={"theirs", "new/caf\u00e9"})
    workspace.commit("tester", "key-3", "Test")
    tested, written, first = workspace.commits()
    assert workspace.changes(first.tree, written.tree) == {"ours": "M"}
    assert workspace.changes(written.tree, tested.tree) == {"theirs": "D", "new/caf\u00e9": "A"}
    assert tested.tree == workspace.keep()


def test_what_a_killed_process_left_half_done_is_no_hindrance(
    workspace: GitWorkspace, tmp_path: Path
) -> None:
    workspace.write("a", "one\n")
    tree = workspace.keep()
    workspace.commit("writer", "key-1", "Write")
    left = ["index.lock", "HEAD.lock", "refs/heads/main.lock", "0f.index", "0f.index.lock"]
    for name in [*left, f"objects/{tree[:2]}/tmp_obj_x"]:
        (tmp_path / GIT / name).write_text("half")
    (tmp_path / FILES / ".0123456789abcdef.part").write_text("half")
    again = GitWorkspace(tmp_path, ENVIRONMENT)
    again.restore(tree)
    again.write("a", "two\n")
    assert again.commit("writer", "key-2", "Write") is not None
    assert again.files() == ["a"]
    files = [path for path in (tmp_path / GIT).rglob("*") if path.is_file()]
    assert b"half" not in [path.read_bytes() for path in files]


@pytest.mark.parametrize("missing", ["HEAD", "objects", "refs", "config", "index"])
def test_a_history_that_was_only_begun_is_finished(tmp_path: Path, missing: str) -> None:
    GitWorkspace(tmp_path, ENVIRONMENT).begin()
    path = tmp_path / GIT / missing
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    again = GitWorkspace(tmp_path, ENVIRONMENT)
    again.write("a", "one\n")
    assert again.commit("writer", "key", "Write") is not None


@given(st.lists(st.tuples(PATHS, TEXTS), min_size=1, max_size=6), st.tuples(PATHS, TEXTS))
def test_what_is_restored_is_what_was_kept(
    tmp_path_factory: pytest.TempPathFactory,
    writes: list[tuple[str, str]],
    later: tuple[str, str],
) -> None:
    workspace = GitWorkspace(tmp_path_factory.mktemp("run"), ENVIRONMENT)
    for path, text in writes:
        workspace.write(path, text)
    tree = workspace.keep()
    workspace.write(*later)
    workspace.restore(tree)
    assert workspace.keep() == tree


def test_a_tree_is_handed_out_into_an_empty_folder(workspace: GitWorkspace, tmp_path: Path) -> None:
    workspace.write("src/app.py", "print(1)\n")
    tree = workspace.keep()
    workspace.export(tree, tmp_path / "out")
    assert (tmp_path / "out" / "src" / "app.py").read_text() == "print(1)\n"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["src"]
    with pytest.raises(UsageError, match="not an empty folder"):
        workspace.export(tree, tmp_path / "out")


def test_links_that_leave_and_repositories_within_are_not_kept(
    workspace: GitWorkspace, tmp_path: Path
) -> None:
    root = Path(workspace.root)
    (root / "away").symlink_to(tmp_path)
    (root / "b").mkdir()
    (root / "b" / "file").write_text("kept")
    (root / "b" / "near").symlink_to("file")
    subprocess.run(["git", "init", "-q", root / "b"], check=True)
    tree = workspace.keep()
    assert workspace.changes(EMPTY_TREE, tree) == {"b/file": "A", "b/near": "A"}
    assert not (root / "b" / ".git").exists()
    assert not (root / "away").is_symlink()


def _hooks(git: Path, mark: Path) -> None:
    for name in ("pre-commit", "post-index-change", "reference-transaction"):
        hook = git / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
        hook.chmod(0o755)


def _monitor(git: Path, mark: Path) -> None:
    (git / "config").write_text(f"[core]\n\tfsmonitor = touch {mark}; false\n")


def _filter(git: Path, mark: Path) -> None:
    (git / "config").write_text(f'[filter "x"]\n\tclean = touch {mark}; cat\n')
    (git / "info").mkdir(exist_ok=True)
    (git / "info" / "attributes").write_text("* filter=x\n")


@pytest.mark.parametrize("poison", [_hooks, _monitor, _filter])
def test_a_strangers_history_runs_nothing(
    tmp_path: Path, poison: Callable[[Path, Path], None]
) -> None:
    prepared = GitWorkspace(tmp_path, ENVIRONMENT)
    prepared.write("a", "one\n")
    prepared.commit("writer", "key", "Write")
    poison(tmp_path / GIT, tmp_path / "mark")
    opened = GitWorkspace(tmp_path, ENVIRONMENT)
    opened.write("a", "two\n")
    opened.commit("writer", "key", "Write again")
    opened.restore(EMPTY_TREE)
    assert not (tmp_path / "mark").exists()


def test_a_strangers_history_leads_nowhere_else(tmp_path: Path) -> None:
    prepared = GitWorkspace(tmp_path / "run", ENVIRONMENT)
    (tmp_path / "run").mkdir()
    prepared.write("a", "one\n")
    prepared.commit("writer", "key", "Write")
    (tmp_path / "run" / GIT / "refs").rename(tmp_path / "refs")
    (tmp_path / "run" / GIT / "refs").symlink_to(tmp_path / "refs")
    with pytest.raises(RunError, match="refs: is a link"):
        GitWorkspace(tmp_path / "run", ENVIRONMENT).keep()


def test_without_git_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs git, and git is not installed"):
        GitWorkspace(tmp_path, {"PATH": str(tmp_path)}).begin()


def test_a_workspace_that_is_a_link_is_not_listed_or_copied(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "file").write_text("private")
    (run / "workspace").symlink_to(tmp_path / "private", target_is_directory=True)
    for use in (GitWorkspace.files, lambda each: each.copy(tmp_path / "out")):
        with pytest.raises(RunError, match=r"workspace: cannot be .* is a link"):
            use(GitWorkspace(run, ENVIRONMENT))


def test_files_are_copied_as_they_are_and_nothing_of_the_run_is_written(
    workspace: GitWorkspace, tmp_path: Path
) -> None:
    workspace.write("src/app.py", "print(1)\n")
    workspace.keep()
    workspace.write("new", "not kept yet\n")
    Path(workspace.root, "away").symlink_to(tmp_path)
    Path(workspace.root, "sparse").touch()
    os.truncate(Path(workspace.root, "sparse"), 10**9)
    left_out = workspace.copy(tmp_path / "out")
    assert [line.rpartition("/")[2] for line in left_out] == [
        "sparse: is larger than 67,108,864 bytes, and is not read"
    ]
    copied = (path for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert sorted(path.name for path in copied) == ["app.py", "new"]
    assert Path(workspace.root, "away").is_symlink()
    with pytest.raises(UsageError, match="not an empty folder"):
        workspace.copy(tmp_path / "out")


# What commands may leave.


def _circle(root: Path) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")


def _deep(root: Path) -> None:
    place = os.getcwd()
    os.chdir(root)
    for _ in range(1500):
        os.mkdir("deeper")
        os.chdir("deeper")
    Path("file").write_text("out of reach")
    os.chdir(place)


def _locked(root: Path) -> None:
    (root / "locked" / "inner").mkdir(parents=True)
    (root / "locked" / "inner" / "file").write_text("text")
    (root / "locked" / "inner" / "file").chmod(0)
    (root / "locked" / "inner").chmod(0o500)
    (root / "locked").chmod(0)
    root.chmod(0)


def _odd_names(root: Path) -> None:
    for name in ("-rf", "--git-dir=x", "a\nb", " ", "*", ":(top)x", "\u202eexe"):
        (root / name).write_text("text")
    with suppress(OSError):  # some systems take no such name
        Path(os.fsdecode(os.fsencode(root) + b"/\xff\xfe")).write_text("text")


def _special(root: Path) -> None:
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.path.relpath(root / "socket"))
    (root / "program").write_text("#!/bin/sh\n")
    (root / "program").chmod(0o6755)


def _git_of_its_own(root: Path) -> None:
    (root / ".gitattributes").write_text("* filter=x diff=x merge=x text working-tree-encoding=x\n")
    (root / ".gitmodules").write_text('[submodule "x"]\n\tpath = x\n\turl = ext::sh -c id\n')
    (root / "sub").mkdir()
    (root / "sub" / ".git").write_text("gitdir: /tmp/elsewhere\n")
    (root / ".GIT").mkdir()
    (root / ".GIT" / "config").write_text("[core]\n\tfsmonitor = touch mark\n")


@pytest.mark.skipif(os.name != "posix", reason="these are a POSIX system's files")
@pytest.mark.parametrize("leave", [_circle, _deep, _locked, _odd_names, _special, _git_of_its_own])
def test_whatever_a_command_leaves_can_be_kept_restored_and_handed_out(
    workspace: GitWorkspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    leave: Callable[[Path], None],
) -> None:
    monkeypatch.chdir(tmp_path)
    workspace.write("mine", "text\n")
    before = workspace.keep()
    leave(Path(workspace.root))
    tree = workspace.keep()
    files = workspace.files()
    workspace.export(tree, tmp_path / "out")
    workspace.restore(before)
    assert workspace.files() == ["mine"]
    workspace.restore(tree)
    assert workspace.files() == files
    assert workspace.keep() == tree
    assert not list(tmp_path.rglob("mark"))
    modes = [path.stat().st_mode for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert modes
    assert not [mode for mode in modes if mode & 0o6000]


def test_files_that_are_too_large_together_are_not_kept(
    workspace: GitWorkspace,
) -> None:
    before = workspace.keep()
    (Path(workspace.root) / ".gitignore").write_text("*\n")
    for number in range(3):
        with open(Path(workspace.root) / f"{number}", "wb") as file:
            file.truncate(LARGEST // 2)
    with pytest.raises(TooLarge, match="larger than 4 GB together"):
        workspace.keep()
    workspace.restore(before, ignored=True)
    assert workspace.keep() == before
    assert workspace.files() == []


def _alternates(git: Path, mark: Path) -> None:
    (git / "objects" / "info").mkdir(exist_ok=True)
    (git / "objects" / "info" / "alternates").write_text(f"{mark.parent}/elsewhere\n")


def _include(git: Path, mark: Path) -> None:
    (git / "config").write_text(f"[include]\n\tpath = {mark.parent}/elsewhere\n")


def _commands(git: Path, mark: Path) -> None:
    run = f"touch {mark}"
    (git / "config").write_text(
        f"[core]\n\tpager = {run}\n\tsshCommand = {run}\n\teditor = {run}\n\taskPass = {run}\n"
        f'[diff]\n\texternal = {run}\n[diff "x"]\n\ttextconv = {run}\n\tcommand = {run}\n'
        f"[gpg]\n\tprogram = {run}\n[credential]\n\thelper = !{run}\n"
        f'[remote "origin"]\n\turl = ext::{run}\n\tpromisor = true\n'
        "[extensions]\n\tpartialClone = origin\n\tworktreeConfig = true\n"
        "[submodule]\n\trecurse = true\n[commit]\n\tgpgSign = true\n[core]\n\tworktree = /\n"
    )
    (git / "config.worktree").write_text(f"[core]\n\tfsmonitor = {run}; false\n")


def _worktrees(git: Path, mark: Path) -> None:
    for name in ("commondir", "gitdir"):
        (git / name).write_text(f"{mark.parent}/elsewhere\n")


def _head(git: Path, mark: Path) -> None:
    (git / "HEAD").write_text("ref: refs/heads/../../../mark\n")
    (git / "shallow").write_text("0" * 40 + "\n")


def _replaced(git: Path, mark: Path) -> None:
    (git / "refs" / "replace").mkdir()
    for tree in ("6b2b0e6f", "4b825dc6"):
        (git / "refs" / "replace" / tree.ljust(40, "0")).write_text("0" * 40 + "\n")


@pytest.mark.parametrize(
    "poison",
    [_hooks, _monitor, _filter, _alternates, _include, _commands, _worktrees, _head, _replaced],
)
def test_whatever_a_strangers_history_is_set_to_the_files_are_kept_and_restored(
    tmp_path: Path, poison: Callable[[Path, Path], None]
) -> None:
    (tmp_path / "run").mkdir()
    prepared = GitWorkspace(tmp_path / "run", ENVIRONMENT)
    prepared.write("a", "one\n")
    prepared.commit("writer", "key", "Write")
    tree = prepared.keep()
    poison(tmp_path / "run" / GIT, tmp_path / "mark")
    outside = sorted(path.name for path in tmp_path.iterdir())
    opened = GitWorkspace(tmp_path / "run", ENVIRONMENT)
    assert [commit.agent for commit in opened.commits()] == ["writer"]
    Path(opened.root, ".gitattributes").write_text("* filter=x diff=x merge=x\n")
    Path(opened.root, ".gitmodules").write_text('[submodule "s"]\n\tpath = s\n\turl = ext::x\n')
    opened.write("b", "two\n")
    changed = opened.keep()
    assert "+two" in opened.diff(tree, changed)
    opened.export(changed, tmp_path / "run" / "out")
    opened.restore(tree)
    assert opened.files() == ["a"]
    assert sorted(path.name for path in tmp_path.iterdir()) == outside


def test_a_strangers_index_is_not_looked_at(tmp_path: Path) -> None:
    prepared = GitWorkspace(tmp_path, ENVIRONMENT)
    prepared.write("a", "one\n")
    tree = prepared.keep()
    (tmp_path / GIT / "index").write_bytes(b"whatever a parser trips over")
    opened = GitWorkspace(tmp_path, ENVIRONMENT)
    opened.restore(EMPTY_TREE)
    opened.restore(tree)
    assert opened.keep() == tree


@pytest.mark.parametrize("tree", ["--index-output=../x", "-u", "HEAD", "main:../x", "", "0" * 39])
def test_what_a_journal_names_as_a_state_is_one(workspace: GitWorkspace, tree: str) -> None:
    for use in (
        lambda: workspace.restore(tree),
        lambda: workspace.export(tree, Path(workspace.root).parent / "out"),
        lambda: workspace.changes(tree, EMPTY_TREE),
        lambda: workspace.diff(EMPTY_TREE, tree),
    ):
        with pytest.raises(RunError, match="is no state of the workspace"):
            use()


@pytest.mark.skipif(os.name != "posix", reason="pipes are POSIX's")
@pytest.mark.parametrize("name", ["HEAD", "refs/heads/pipe", "objects/pipe", "index"])
def test_a_pipe_in_a_strangers_history_holds_nobody_up(tmp_path: Path, name: str) -> None:
    prepared = GitWorkspace(tmp_path, ENVIRONMENT)
    prepared.begin()
    (tmp_path / GIT / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / GIT / name)
    with pytest.raises(RunError, match=f"{name}: is no regular file"):
        GitWorkspace(tmp_path, ENVIRONMENT).keep()


@pytest.mark.parametrize("name", ["workspace", GIT])
def test_a_file_in_a_folders_place_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("gitdir: /elsewhere\n")
    with pytest.raises(RunError, match=f"{name}: is no folder; remove it"):
        GitWorkspace(tmp_path, ENVIRONMENT).begin()


def test_a_link_to_itself_is_removed(workspace: GitWorkspace) -> None:
    Path(workspace.root, "loop").symlink_to("loop")
    assert workspace.keep() == EMPTY_TREE
