"""The files that a run's agents work on, with a git history that lies beside them.

`workspace/` holds the files and nothing of git; `workspace.git/` holds the history, where no
command that runs in the workspace can reach it. Both may come from a stranger, so of the history
only objects and references are taken, and all else is written anew before git looks at it: no
configuration, hook, index or other place to look for objects that somebody prepared is used.
"""

import os
import re
import secrets
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from ...errors import RunError, UsageError
from ..safe_folder import DEEPEST, SafeFolder
from .scratch import remove_folder
from .tree_changes import Pair, parse_names, parse_patches
from .tree_entries import EMPTY_TREE, entries_between, object_id, with_entries

FILES = "workspace"
GIT = "workspace.git"
BRANCH = "refs/heads/main"
LARGEST = 4 * 1024**3  # bytes of all files together
SMALLEST = 4096  # bytes that a file counts as at least: names take room, too
LARGEST_TEXT = 4 * 1024**2  # bytes of a file that a tool reads
OUTPUTS = ".rolecall/outputs"  # whole outputs that models were shown in part; never kept
_CONFIG = b"""\
[core]
\trepositoryformatversion = 0
\tbare = false
\tfilemode = true
\tautocrlf = false
\tfsmonitor = false
\tlogAllRefUpdates = false
[user]
\tname = rolecall
\temail = rolecall@localhost
[commit]
\tgpgSign = false
[gc]
\tauto = 0
"""
# Files are kept byte for byte, whatever the workspace's own attributes say.
_ATTRIBUTES = b"* -text -filter -ident -working-tree-encoding\n"
# Nothing of the user's own configuration, no hook, no prompt, no other repository.
_SAFE = ("-c", "core.hooksPath=/dev/null", "-c", "diff.ignoreSubmodules=all")
_ALONE = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "LC_ALL": "C",
}
# Of the environment git gets what programs need to be found and to start.
_KEPT = ("PATH", "SYSTEMROOT", "TEMP", "TMP")
# What is taken of a history: an index may name files anywhere, and `info` other places.
_TAKEN = ("objects", "refs", "packed-refs")
# What git needs to take a folder for a history, beside what is written anew.
_HISTORY = ("objects", "refs")
# What a process that was killed may have left: locks, and files that were to become others.
_LEFT_BEHIND = re.compile(r".+\.lock|tmp_obj_.+|.+\.index")


class TooLarge(RunError):
    """The files are larger together than a workspace may be."""


@frozen
class Commit:
    """One agent's state of the files. `step` is the key of the answer it was finished with."""

    id: str
    tree: str
    agent: str
    step: str


class GitWorkspace:
    """The files of one run; implements `Workspace`, and keeps states of them as trees of git.

    environment: the process's; git is found in its `PATH`. redact: masks secrets in what tools
        write, and in the names of their files.

    Links that lead out of the workspace and repositories of their own within it are removed when
    a state is kept: the first would be followed, the configuration of the second obeyed.
    """

    def __init__(
        self,
        run: Path,
        environment: Mapping[str, str],
        redact: Callable[[str], str] = lambda text: text,
    ) -> None:
        run = run.resolve()
        # Tools that build and install make hard links, and nothing here is written in place.
        self._folder = SafeFolder(run / FILES, hard_links=True, may_be_link=False)
        self._git_dir = run / GIT
        self._environment = {name: environment[name] for name in _KEPT if name in environment}
        self._redact = redact
        self._is_ready = False

    @property
    def root(self) -> str:
        return str(self._folder.path)

    @property
    def is_begun(self) -> bool:
        """Check whether the run has a workspace."""
        return self._git_dir.is_dir() and not self._git_dir.is_symlink()

    def begin(self) -> None:
        """Make the folder and its history where there is none, or only a part of it.

        Nobody else may be at it: what a process that was killed left half done is removed.
        Raises UsageError where git is not installed, RunError where what is there is unsound.
        """
        if self._is_ready:
            return
        try:
            self._make_ready(SafeFolder(self._git_dir.parent))
        except OSError as error:
            raise RunError(f"{error.filename}: cannot be used: {error.strerror}") from error
        self._is_ready = True

    def files(self) -> list[str]:
        if not os.path.lexists(self._folder.path):
            return []
        return [
            path
            for path in self._folder.files()
            if not _is_git(path) and not path.startswith(f"{OUTPUTS}/")
        ]

    def read(self, path: str) -> str:
        with_name = self._checked(path)
        try:
            text = self._folder.read_text(with_name, LARGEST_TEXT)
        except RunError as error:
            raise ValueError(self._plain(error)) from error
        if text is None:
            raise ValueError(f"{path}: there is no such file")
        return text

    def has(self, path: str) -> bool:
        """Check whether there is a file of this name."""
        return self._folder.exists(self._checked(path))

    def write(self, path: str, text: str) -> None:
        try:
            content = self._redact(text).encode("utf-8")
            self._folder.write(self._checked(self._redact(path)), content, 0o644)
        except (RunError, UnicodeEncodeError) as error:
            raise ValueError(self._plain(error)) from error

    def delete(self, path: str) -> None:
        try:
            if not self._folder.delete(self._checked(path)):
                raise ValueError(f"{path}: there is no such file")
        except RunError as error:
            raise ValueError(self._plain(error)) from error

    def keep(self) -> str:
        """Keep the files as they are; return the tree's id.

        Raises TooLarge where they are larger than git could handle in reasonable time.
        """
        self.begin()
        if _clean(self._folder.path) > LARGEST:
            raise TooLarge(
                f"the files are larger than {LARGEST // 1024**3} GB together; remove what is not "
                "needed"
            )
        self._git("add", "--all", ".")
        return self._git("write-tree").strip()

    def restore(self, tree: str, *, ignored: bool = False) -> None:
        """Put the files back to a tree.

        ignored: remove also what the workspace ignores.
        """
        self.begin()
        _clean(self._folder.path)
        self._git("read-tree", "--reset", "-u", object_id(tree))
        self._git("clean", "-d", "--force", "--quiet", *(["-x"] if ignored else []))
        self._folder.sweep()
        _clean(self._folder.path)  # the tree itself may be a stranger's

    def commit(
        self, agent: str, step: str, title: str, without: Collection[str] = ()
    ) -> str | None:
        """Record that an agent left the files as they are; None where nothing changed.

        without: files that others are still at work on, which stay as the last commit has them.
        """
        tree = self.keep()
        last = self.last()
        if without:
            tree = self._mixed(tree, last.tree if last else EMPTY_TREE, without)
        if tree == (last.tree if last else EMPTY_TREE):
            return None
        message = f"{title}\n\nAgent: {agent}\nStep: {step}\n"
        parents = ["-p", last.id] if last else []
        made = self._git("commit-tree", tree, *parents, "-F", "-", content=message).strip()
        self._git("update-ref", BRANCH, made)
        return made

    def drop_commits(self, agents: Collection[str]) -> None:
        """Write the history as it would be had these agents not written.

        The commits of others stay, each with what it changed, file by file.
        """
        commits = self.commits()[::-1]
        first = next((n for n, each in enumerate(commits) if each.agent in agents), None)
        if first is None:
            return
        tip = commits[first - 1].id if first else ""
        tree = parent = commits[first - 1].tree if first else EMPTY_TREE
        for commit in commits[first:]:
            if commit.agent not in agents:
                made = with_entries(self, tree, entries_between(self, parent, commit.tree))
                if made != tree:
                    tip, tree = self._made_again(commit, made, tip), made
            parent = commit.tree
        if tip:
            self.git("update-ref", BRANCH, tip)
        else:
            self.git("update-ref", "-d", BRANCH)

    def _made_again(self, commit: Commit, tree: str, parent: str) -> str:
        """Make a commit with the message and the time of another one; return its id."""
        told = self.git("show", "--no-patch", "--format=%at%x00%B", commit.id)
        when, _, message = told.partition("\0")
        dates = {"GIT_AUTHOR_DATE": f"@{when} +0000", "GIT_COMMITTER_DATE": f"@{when} +0000"}
        parents = ["-p", parent] if parent else []
        content = f"{message.rstrip()}\n".encode("utf-8", "surrogateescape")
        making = ("commit-tree", tree, *parents, "-F", "-")
        return self.git(*making, content=content, variables=dates).strip()

    def last(self) -> Commit | None:
        """Return the last commit, or None where there is none."""
        return next(iter(self.commits(most=1)), None)

    def commits(self, most: int = 1000) -> list[Commit]:
        """List the commits, the last one first."""
        if not self.is_begun or not self._git("for-each-ref", BRANCH).strip():
            return []
        form = "%H%x00%T%x00%(trailers:key=Agent,valueonly,separator=%x2C)"
        form += "%x00%(trailers:key=Step,valueonly,separator=%x2C)"
        lines = self._git("log", f"--max-count={most}", f"--format={form}", BRANCH).splitlines()
        return [Commit(*line.split("\0")) for line in lines]

    def changes(self, old: str, new: str) -> dict[str, str]:
        """Map the files that differ between two trees to `A`, `M` or `D`."""
        names = self._git(
            "diff-tree", "-r", "-z", "--no-renames", "--name-status", *map(object_id, (old, new))
        )
        fields = names.split("\0")[:-1]
        return dict(zip(fields[1::2], fields[::2], strict=True))

    def compare(
        self, pairs: Sequence[Pair], most: int
    ) -> list[tuple[list[tuple[str, str]], str, bool]]:
        """Return for each pair of trees the files that differ, the patch, and whether it is cut.

        most: bytes of all patches, and of all names. Large files count as binary.
        """
        content = "".join(f"{object_id(old)} {object_id(new)}\n" for old, new in pairs)
        names, _ = self._beginning("-z", "--name-status", content=content, most=most)
        plain = ("--no-ext-diff", "--no-textconv", "--no-color")
        text, cut = self._beginning("-p", *plain, content=content, most=most)
        patches = parse_patches(text, pairs)
        last = max((number for number, patch in enumerate(patches) if patch), default=-1)
        return [
            (files, patch, cut and number >= last)
            for number, (files, patch) in enumerate(
                zip(parse_names(names, pairs), patches, strict=True)
            )
        ]

    def diff(self, old: str, new: str) -> str:
        """Return how two trees differ, as a patch."""
        trees = map(object_id, (old, new))
        small = ("-c", f"core.bigFileThreshold={LARGEST_TEXT}")  # larger ones count as binary
        plain = ("--no-ext-diff", "--no-textconv", "--no-renames")
        return self.git(*small, "diff-tree", "-r", "-p", *plain, *trees)

    def copy(self, target: Path) -> list[str]:
        """Copy the files as they are into a folder, which must be empty or not be there yet.

        Nothing of the run is written, and links are left out. Returns what else was left out, and
        why.
        """
        _make_empty(target)
        left_out = []
        for path in self.files():
            try:
                self._folder.copy(path, SafeFolder(target))
            except RunError as error:
                left_out.append(f"left out: {error}")
        return left_out

    def export(self, tree: str, target: Path) -> None:
        """Write a tree's files into a folder, which must be empty or not be there yet."""
        _make_empty(target)
        with self.index_of(tree) as index:
            self._git("checkout-index", "--all", f"--prefix={target.resolve()}/", variables=index)
        _clean(target)

    def _mixed(self, tree: str, other: str, paths: Collection[str]) -> str:
        """Return a tree that has these paths from another one."""
        entries = entries_between(self, tree, other)
        return with_entries(self, tree, (entry for entry in entries if entry.path in paths))

    @contextmanager
    def index_of(self, tree: str) -> Iterator[Mapping[str, str]]:
        """Make an index of a tree, beside that of the files; yield the variables that name it."""
        path = self._git_dir / f"{secrets.token_hex(8)}.index"
        variables = {"GIT_INDEX_FILE": str(path)}
        try:
            self._git("read-tree", object_id(tree), variables=variables)
            yield variables
        finally:
            path.unlink(missing_ok=True)

    def _make_ready(self, run: SafeFolder) -> None:
        for name in (FILES, GIT):
            if (run.path / name).is_symlink():
                raise RunError(f"{run.path / name}: is a link, and links are not followed")
            if (run.path / name).exists() and not (run.path / name).is_dir():
                raise RunError(f"{run.path / name}: is no folder; remove it")
        self._folder.path.mkdir(mode=0o700, exist_ok=True)
        for path in list(_below(self._git_dir)):
            if path.is_symlink():
                raise RunError(f"{path}: is a link; the workspace's history is not used")
            if not path.is_dir() and not path.is_file():
                raise RunError(f"{path}: is no regular file; the workspace's history is not used")
        self._clean_history()
        if not all((self._git_dir / name).exists() for name in _HISTORY):
            self._call("init", "--quiet", "--template=", "--initial-branch=main")
        run.write(f"{GIT}/HEAD", f"ref: {BRANCH}\n".encode())
        run.write(f"{GIT}/config", _CONFIG)
        run.write(f"{GIT}/info/attributes", _ATTRIBUTES)
        run.write(f"{GIT}/info/exclude", f"/{OUTPUTS}/\n".encode())

    def _clean_history(self) -> None:
        """Remove what is not taken of a history, and what a killed process left in the rest."""
        if not self._git_dir.exists():
            return
        for path in self._git_dir.iterdir():
            if path.name not in _TAKEN:
                _remove(path)
        if (self._git_dir / "objects" / "info").exists():
            _remove(self._git_dir / "objects" / "info")
        for path in list(_below(self._git_dir)):
            if _LEFT_BEHIND.fullmatch(path.name) and not path.is_dir():
                path.unlink()

    def _checked(self, path: str) -> str:
        plain = path.removeprefix("./")
        if _is_git(plain):
            raise ValueError(f"{path}: is git's, and none of the workspace's files")
        return plain

    def _plain(self, error: Exception) -> str:
        return str(error).replace(f"{self._folder.path}{os.sep}", "")

    def _beginning(self, *options: str, content: str, most: int) -> tuple[str, bool]:
        """Return what git writes of pairs of trees, up to so many bytes, and whether it is cut."""
        self.begin()
        arguments = ("-c", f"core.bigFileThreshold={most}", "diff-tree", "--stdin", "-r")
        with tempfile.TemporaryFile() as pairs:
            pairs.write(content.encode())
            pairs.seek(0)
            with subprocess.Popen(
                self._command(*arguments, "--no-renames", *options),
                env={**self._environment, **_ALONE},
                cwd=self._folder.path,
                stdin=pairs,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            ) as process:
                assert process.stdout is not None
                data = process.stdout.read(most + 1)
                if len(data) > most:
                    process.kill()  # there may be gigabytes of it
        return data[:most].decode("utf-8", "replace"), len(data) > most

    def _command(self, *arguments: str) -> list[str]:
        program = shutil.which("git", path=self._environment.get("PATH"))
        if program is None:
            raise UsageError("a workspace needs git, and git is not installed")
        places = (f"--git-dir={self._git_dir}", f"--work-tree={self._folder.path}")
        return [program, *places, *_SAFE, *arguments]

    def _git(
        self, *arguments: str, content: str = "", variables: Mapping[str, str] | None = None
    ) -> str:
        """Call git on what was made ready for it."""
        self.begin()
        return self._call(*arguments, content=content, variables=variables)

    def _call(
        self, *arguments: str, content: str = "", variables: Mapping[str, str] | None = None
    ) -> str:
        encoded = content.encode("utf-8", "surrogateescape")
        written = self._output(*arguments, content=encoded, variables=variables)
        return written.decode("utf-8", "surrogateescape")

    def git(
        self, *arguments: str, content: bytes = b"", variables: Mapping[str, str] | None = None
    ) -> str:
        """Run git on the workspace and its history; return what it writes as text."""
        written = self.git_output(*arguments, content=content, variables=variables)
        return written.decode("utf-8", "surrogateescape")

    def git_output(
        self, *arguments: str, content: bytes = b"", variables: Mapping[str, str] | None = None
    ) -> bytes:
        """Run git on the workspace and its history; return the bytes that it writes.

        content: what it reads. variables: of its environment, beside what it needs.
        """
        self.begin()
        return self._output(*arguments, content=content, variables=variables)

    def _output(
        self, *arguments: str, content: bytes, variables: Mapping[str, str] | None
    ) -> bytes:
        command = self._command(*arguments)
        try:
            done = subprocess.run(
                command,
                input=content,
                env={**self._environment, **_ALONE, **(variables or {})},
                cwd=self._folder.path,
                capture_output=True,
                check=True,
            )
        except subprocess.CalledProcessError as error:
            why = error.stderr.decode("utf-8", "replace").strip().splitlines()
            raise RunError(
                f"{self._git_dir}: git {arguments[0]}: {why[-1] if why else error}"
            ) from error
        except OSError as error:
            raise RunError(f"{self._git_dir}: git cannot be run: {error.strerror}") from error
        return done.stdout


def _make_empty(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_empty = not any(folder.iterdir())
    except FileExistsError:
        is_empty = False
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror}") from error
    if not is_empty:
        raise UsageError(f"{folder} is there already and is not an empty folder; name another")


def _is_git(path: str) -> bool:
    """Check whether a step of a path is git's on any file system that git knows of."""
    steps = (step.rstrip(" .").lower() for step in path.split("/"))
    return any(step in (".git", "git~1") for step in steps)


def _clean(root: Path) -> int:
    """Make a folder one that git and we can handle; return the bytes of what is in it.

    Removed are what git keeps in files of its own, links that lead out of the folder, and folders
    that are too deep. What its owner may not read or change is made so, and no program in it gets
    the rights of its owner.
    """
    total = 0
    _open_up(root)
    for folder, names, files in os.walk(root):
        depth = len(Path(folder).relative_to(root).parts)
        for name in [*names, *files]:
            path = Path(folder, name)
            if _is_git(name) or (depth + 2 > DEEPEST and name in names):
                _remove(path)
            elif path.is_symlink():
                if not _stays(path, root):
                    path.unlink()
            else:
                total += max(_open_up(path), SMALLEST)
        names[:] = [name for name in names if Path(folder, name).is_dir()]
    return total


def _open_up(path: Path) -> int:
    """Open a file, or a folder, to its owner; return its size."""
    found = path.lstat()
    mode = stat.S_IMODE(found.st_mode)
    wanted = (mode | (0o700 if stat.S_ISDIR(found.st_mode) else 0o600)) & 0o777
    if os.name == "posix" and mode != wanted:
        path.chmod(wanted)
    return found.st_size


def _stays(link: Path, root: Path) -> bool:
    """Check whether a link leads to somewhere below a folder."""
    try:
        return link.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # links in a circle
        return False


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        remove_folder(path)
    else:
        path.unlink()


def _below(folder: Path) -> Iterator[Path]:
    for place, names, files in os.walk(folder):
        yield from (Path(place, name) for name in [*names, *files])
