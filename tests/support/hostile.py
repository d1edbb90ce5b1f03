"""Run folders as a stranger may prepare them: a whole run, with things put in its files' places."""

import json
import os
import random
import socket
import stat
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

SECRET = "canary-7f3a"  # stands in every file outside, and must turn up nowhere else
# What a run's folder holds, or could: each place that some command looks at.
PLACES = [
    *(".holder", ".lock", ".origin", ".place", "journal.jsonl", "request.md", "run.toml"),
    *("state.json", "PLAN.md", "report.md", "report.html", "verification.json", "cassette.yaml"),
    *("deliverables", "deliverables/01-operator-intent-interpreter.md", "deliverables/x.md"),
    *("deliverables/04-feature-analyst.md", "history", "history/001", "history/001/PLAN.md"),
    *("workspace", "workspace/src", "workspace/src/app.py", "workspace/.git", "workspace/new"),
    *("workspace.git", "workspace.git/HEAD", "workspace.git/config", "workspace.git/objects"),
    *("workspace.git/objects/info/alternates", "workspace.git/refs/heads/main", "new.md"),
    *(
        "\x1b]0;owned\x07.md",
        "two\nlines.md",
        "workspace/\x1b[2Jx",
        "workspace/a\nb",
        "\u202egnp.md",
    ),
]
Put = Callable[[Path, Path, random.Random], None]


def outside(folder: Path) -> Path:
    """Make what lies beside a run and is no business of anybody who opens it."""
    folder.mkdir()
    (folder / "private.md").write_text(f"{SECRET}\n")
    (folder / "private.toml").write_text(f'flags = ["{SECRET}"]\n')
    (folder / "sub").mkdir()
    (folder / "sub" / "file.md").write_text(SECRET)
    return folder


def _link(path: Path, elsewhere: Path, rng: random.Random) -> None:
    targets = [
        *(elsewhere / name for name in ("private.md", "private.toml", "sub", "sub/file.md", "new")),
        *(Path(name) for name in ("/dev/zero", "/proc/self/environ", "/dev/stdin", "/etc", "..")),
        Path(path.name),  # itself
    ]
    path.symlink_to(rng.choice(targets))


def _hard_link(path: Path, elsewhere: Path, rng: random.Random) -> None:
    os.link(elsewhere / rng.choice(["private.md", "private.toml"]), path)


def _pipe(path: Path, elsewhere: Path, rng: random.Random) -> None:
    os.mkfifo(path)


def _socket(path: Path, elsewhere: Path, rng: random.Random) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        before = os.getcwd()
        os.chdir(path.parent)  # its name must be short
        try:
            bound.bind(path.name)
        finally:
            os.chdir(before)


def _device(path: Path, elsewhere: Path, rng: random.Random) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # without end, all zeros
    except OSError:
        path.mkdir()


def _folder(path: Path, elsewhere: Path, rng: random.Random) -> None:
    path.mkdir()
    (path / "inside").write_text("x")


def _sparse(path: Path, elsewhere: Path, rng: random.Random) -> None:
    path.touch()
    os.truncate(path, 5 * 10**9)


def _many(path: Path, elsewhere: Path, rng: random.Random) -> None:
    path.mkdir()
    for number in range(300):
        (path / f"{number}.md").touch()


def _locked(path: Path, elsewhere: Path, rng: random.Random) -> None:
    path.write_text("x")
    path.chmod(0)


def _text(path: Path, elsewhere: Path, rng: random.Random) -> None:
    deep = rng.choice([500, 5_000, 100_000])
    texts = [
        "",
        "\0" * 1000,
        "[" * deep,
        '{"a":' * deep,
        "a = " + "[" * deep,
        "x" * 10**6,
        "\x1b[2J\x1b]0;owned\x07\u202e\n" * 20,
        "null",
        "\ud800",
        "- &a [*a, *a]\n",
        '{"state": "running", "agents": -1, "done": NaN, "updated": 1e400, "cost": -1e99}',
        f'flags = ["--record={elsewhere}/new"]\n[routes]\n"../x" = ["a/b"]\n',
        f'flags = ["--replay={elsewhere}/private.md"]\nbudget = 1e300\n',
        f"gitdir: {elsewhere}\n",
    ]
    path.write_bytes(rng.choice(texts).encode("utf-8", "surrogatepass"))


def _bytes(path: Path, elsewhere: Path, rng: random.Random) -> None:
    path.write_bytes(rng.randbytes(rng.choice([1, 100, 100_000])))


def _records(path: Path, elsewhere: Path, rng: random.Random) -> None:
    """Write a journal of records whose checksums are right and whose values are not."""
    odd = [None, True, -1, 1e308, 10**400, "", "../../x", "\x1b[2J", [], {}, ["x"], "--output=x"]
    kinds = [
        *("run", "call_started", "call_ended", "step_done", "answered", "reused", "deliverable"),
        *("edited", "update", "touched", "adopted", "forgotten", "tool_started", "tool_ended"),
        *("workspace", "verified", "trusted", "consent", "rerouted", "of-tomorrow"),
    ]
    names = [
        *("when", "agents", "agent", "step", "call", "route", "text", "stop", "cost", "tree"),
        *("at", "provider", "model", "worst", "max_output_tokens", "sha256", "former", "checks"),
    ]
    lines = []
    for _ in range(rng.randrange(1, 20)):
        record = {"type": rng.choice(kinds), "v": rng.choice([1, 1, 1, 0, -1, "1", 99])}
        record |= {name: rng.choice(odd) for name in rng.sample(names, rng.randrange(len(names)))}
        lines.append(_line(record))
    path.write_bytes(b"".join(lines))


def _changed(path: Path, elsewhere: Path, rng: random.Random) -> None:
    """Change one value of a real record."""
    before = path.with_name("journal.before")
    lines = before.read_bytes().splitlines() if before.exists() else []
    if not lines:
        path.write_bytes(b"")
        return
    number = rng.randrange(len(lines))
    record = json.loads(lines[number])
    del record["crc"]
    name = rng.choice(list(record))
    record[name] = rng.choice([None, -1, 10**400, float("nan"), "../x", [[]], {"a": [1]}, "-x"])
    lines[number] = _line(record).rstrip()
    path.write_bytes(b"\n".join(lines) + b"\n")


def _line(record: Mapping[str, object]) -> bytes:
    body = json.dumps(record, separators=(",", ":"))[:-1].encode()
    return body + f',"crc":"{zlib.crc32(body):08x}"}}\n'.encode()


KINDS: tuple[Put, ...] = (
    *(_link, _hard_link, _pipe, _socket, _device, _folder, _sparse, _many, _locked, _text),
    _bytes,
)
JOURNALS: tuple[Put, ...] = (_records, _changed)


def spoil(run: Path, elsewhere: Path, rng: random.Random) -> list[str]:
    """Put some hostile things in a run's folder; return what, for a failing test to say."""
    done = []
    for _ in range(rng.choice([1, 1, 2, 4, 8])):
        put = rng.choice([*KINDS, *JOURNALS])
        name = "journal.jsonl" if put in JOURNALS else rng.choice(PLACES)
        path = run / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.parent.resolve().is_relative_to(run.resolve()):
                continue  # a link was put there before
            if put is _changed and path.is_file():
                path.rename(path.with_name("journal.before"))
            remove(path)
            put(path, elsewhere, rng)
        except (FileExistsError, NotADirectoryError, RuntimeError):
            continue  # another thing lies there already
        done.append(f"{put.__name__.strip('_')} at {name!r}")
    return done


def remove(path: Path) -> None:
    """Remove whatever lies at a path, and follow no link."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for inner in path.iterdir():
        remove(inner)
    path.rmdir()
