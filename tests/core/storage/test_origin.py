"""A run is the user's own where it was made, and a copy of it as long as nobody changed it."""

import gc
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall import (
    Check,
    Consent,
    ConsentDecided,
    RunError,
    UntrustedRun,
    WorkspaceVerified,
)
from rolecall.storage.origin import MARKER, NOBODY, ORIGIN, Signer
from rolecall.storage.run_folder import RunFolder
from rolecall.storage.run_index import past_history
from rolecall.storage.step_cache import StepCache

NAMES = st.sampled_from(["PLAN.md", "deliverables/01-a.md", "request.md", "run.toml", "new/file"])


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer(str(tmp_path / "state"))


@pytest.fixture
def run(tmp_path: Path, signer: Signer) -> Path:
    with RunFolder.create(tmp_path / "run", "Build it.", {"flags": []}, signer) as folder:
        folder.store.record_deliverable("a", "text")
        folder.save("deliverables/01-a.md", "text")
        folder.save("PLAN.md", "plan")
    return tmp_path / "run"


def copy(run: Path) -> Path:
    return Path(shutil.copytree(run, run.parent / "copy"))


def unpack(run: Path) -> Path:
    """Pack a run and unpack it over itself, times and all."""
    archive = run.parent / "run.tar"
    with tarfile.open(archive, "w") as packed:
        packed.add(run, "run")
    with tarfile.open(archive) as packed:
        packed.extractall(run.parent, filter="fully_trusted")
    return run


def move(run: Path) -> Path:
    return run.rename(run.parent / "moved")


def leave(run: Path) -> Path:
    return run


def edit(run: Path) -> None:
    (run / "deliverables" / "01-a.md").write_text("edited\n")


def test_the_secret_is_the_users_alone(run: Path, tmp_path: Path) -> None:
    identity = tmp_path / "state" / "identity"
    assert len(identity.read_text().strip()) == 64
    if os.name == "posix":
        assert identity.stat().st_mode & 0o777 == 0o600
    for path in run.rglob("*"):
        assert identity.read_text().strip().encode() not in (
            (path.is_file() and path.read_bytes()) or b""
        )


@pytest.mark.parametrize("take", [leave, move])
def test_a_run_in_its_place_is_ones_own_also_when_edited_or_broken_off(
    run: Path, signer: Signer, take: Callable[[Path], Path]
) -> None:
    edit(run)
    (run / "run.toml").write_text('flags = ["--x"]\n')
    with (run / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"torn')
    assert signer.doubt(take(run)) == ""


def test_a_run_is_signed_before_it_has_a_journal(tmp_path: Path) -> None:
    begun = []

    class Watching(Signer):
        def sign(self, run: Path, *, closed: bool = False) -> None:
            begun.append((run / "journal.jsonl").exists())
            super().sign(run, closed=closed)

    RunFolder.create(tmp_path / "run", "Build it.", {}, Watching(str(tmp_path / "state"))).close()
    assert begun == [False, True, True]  # and again once there is one, and as it is closed


@pytest.mark.parametrize("take", [copy, unpack])
def test_a_copy_is_ones_own_until_it_is_changed(
    run: Path, signer: Signer, take: Callable[[Path], Path]
) -> None:
    taken = take(run)
    assert signer.doubt(taken) == ""
    edit(taken)
    assert signer.doubt(taken).startswith("was copied from a run of yours, and changed")


@given(name=NAMES, content=st.binary(max_size=20), removes=st.booleans())
def test_any_change_of_a_copy_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes, removes: bool
) -> None:
    signer = Signer(str(tmp_path_factory.mktemp("state")))
    path = tmp_path_factory.mktemp("runs") / "run"
    with RunFolder.create(path, "Build it.", {}, signer) as folder:
        folder.save("deliverables/01-a.md", "text")
        folder.save("PLAN.md", "plan")
    changed = copy(path) / name
    before = changed.read_bytes() if changed.exists() else None
    changed.parent.mkdir(exist_ok=True)
    if removes:
        changed.unlink(missing_ok=True)
    else:
        changed.write_bytes(content)
    after = changed.read_bytes() if changed.exists() else None
    assert bool(signer.doubt(path.parent / "copy")) is (before != after)


def test_a_copy_that_was_opened_has_its_place_and_may_be_edited(run: Path, signer: Signer) -> None:
    taken = copy(run)
    RunFolder(taken, signer).close()
    edit(taken)
    assert signer.doubt(taken) == ""


def test_a_copy_of_a_run_that_was_killed_is_asked_for(run: Path, signer: Signer) -> None:
    folder = RunFolder(run, signer)
    folder.store.record_deliverable("b", "text")  # and then it was killed
    taken = copy(run)
    folder.close()
    assert signer.doubt(taken)
    assert signer.doubt(run) == ""


def test_an_own_signature_on_foreign_files_is_worth_nothing(run: Path, signer: Signer) -> None:
    other = run.parent / "other"
    RunFolder.create(other, "Build something else.", {}).close()
    for name in (ORIGIN, MARKER):
        shutil.copy2(run / name, other / name)
    assert signer.doubt(other)


def forged(run: Path) -> dict[str, object]:
    status = (run / MARKER).stat()
    return {"place": [status.st_ino, status.st_ctime_ns], "content": "", "mac": "0" * 64}


@pytest.mark.parametrize(
    "signature",
    [
        lambda run: "",
        lambda run: "null",
        lambda run: "[" * 900,
        lambda run: '{"place": ' + "[" * 400 + "]" * 400 + ', "content": "", "mac": ""}',
        lambda run: json.dumps({"place": [1, 2], "content": None, "mac": 3}),
        lambda run: json.dumps({"place": [1, 2], "content": "", "mac": "ä"}),
        lambda run: json.dumps(forged(run)),
        lambda run: "x" * 10**6,
    ],
)
def test_a_signature_that_is_none_proves_nothing(
    run: Path, signer: Signer, signature: Callable[[Path], str]
) -> None:
    (run / ORIGIN).write_text(signature(run), "utf-8")
    assert signer.doubt(run)
    with pytest.raises(UntrustedRun):
        RunFolder(run, signer)
    RunFolder(run, signer, trust=True).close()
    assert signer.doubt(run) == ""


@pytest.mark.parametrize("name", [ORIGIN, MARKER])
def test_a_link_in_a_signatures_place_is_replaced_and_not_followed(
    run: Path, signer: Signer, name: str
) -> None:
    private = run.parent / "private"
    private.write_text("private")
    (run / name).unlink()
    (run / name).symlink_to(private)
    edit(run)
    assert signer.doubt(run)
    RunFolder(run, signer, trust=True).close()
    assert private.read_text() == "private"
    assert signer.doubt(run) == ""


def test_a_run_from_before_there_were_signatures_is_adopted_once(
    tmp_path: Path, signer: Signer
) -> None:
    RunFolder.create(tmp_path / "old", "Build it.", {}).close()
    with pytest.raises(UntrustedRun, match=r"old was made elsewhere, or by a rolecall that signed"):
        RunFolder(tmp_path / "old", signer)
    RunFolder(tmp_path / "old", signer, trust=True).close()
    RunFolder(tmp_path / "old", signer).close()


def test_a_refused_run_is_left_as_it_is(tmp_path: Path, signer: Signer) -> None:
    RunFolder.create(tmp_path / "old", "Build it.", {}).close()
    with (tmp_path / "old" / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"torn')
    before = {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir()}
    with pytest.raises(UntrustedRun):
        RunFolder(tmp_path / "old", signer)
    assert {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir()} == before


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("short")])
def test_a_lost_secret_is_named_and_the_runs_can_be_adopted(
    run: Path, signer: Signer, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    identity = tmp_path / "state" / "identity"
    damage(identity)
    assert signer.doubt(run) == (
        f"was made by another user or on another machine, unless {identity} was lost or replaced "
        "since"
    )
    RunFolder(run, signer, trust=True).close()
    assert signer.doubt(run) == ""


def test_another_users_run_is_not_ones_own(run: Path, tmp_path: Path) -> None:
    other = Signer(str(tmp_path / "other"))
    RunFolder.create(tmp_path / "new", "Build it.", {}, other).close()
    assert other.doubt(run).startswith("was made by another user")


def test_where_nothing_can_be_signed_the_run_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").write_text("no folder")
    signer = Signer(str(tmp_path / "state"))
    RunFolder.create(tmp_path / "run", "Build it.", {}, signer).close()
    assert "cannot be signed as yours" in caplog.text
    with pytest.raises(UntrustedRun):
        RunFolder(tmp_path / "run", signer)


def test_without_a_place_for_a_secret_every_run_is_ones_own(run: Path) -> None:
    edit(copy(run))
    RunFolder(run.parent / "copy", NOBODY).close()


def test_who_begin_at_once_agree_on_one_secret(tmp_path: Path) -> None:
    def begin(number: int) -> Path:
        folder = tmp_path / f"run{number}"
        RunFolder.create(folder, "Build it.", {}, Signer(str(tmp_path / "state"))).close()
        return folder

    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(begin, range(16)))
    assert [Signer(str(tmp_path / "state")).doubt(run) for run in runs] == [""] * 16


def test_answers_of_foreign_runs_are_not_reused(
    tmp_path: Path, signer: Signer, caplog: pytest.LogCaptureFixture
) -> None:
    RunFolder.create(tmp_path / "runs" / "theirs", "Build it.", {}).close()
    assert StepCache([tmp_path / "runs"], tmp_path / "own", signer).find("step") is None
    assert "theirs; trust it first: rolecall runs trust " in caplog.text.replace(
        ", which was made elsewhere, or by a rolecall that signed no runs yet", ""
    )


def test_what_foreign_runs_took_says_nothing_of_ones_own(tmp_path: Path, signer: Signer) -> None:
    state = {"state": "done", "figures": {"a": {"seconds": 1.0, "calls": 1}}}
    for name, by in (("mine", signer), ("theirs", NOBODY)):
        with RunFolder.create(tmp_path / name, "Build it.", {}, by) as folder:
            folder.save("state.json", json.dumps(state | {"cost": 0.0}))
    assert past_history(tmp_path, (), signer).agents["a"].seconds == 1.0
    shutil.rmtree(tmp_path / "mine")
    assert past_history(tmp_path, (), signer).agents == {}


def test_a_file_that_cannot_be_read_leaves_a_copy_in_doubt(run: Path, signer: Signer) -> None:
    taken = copy(run)
    os.link(taken / "PLAN.md", taken.parent / "second-name")
    assert signer.doubt(taken) == ""  # what it holds is the same
    if os.name == "posix":
        (taken / "PLAN.md").unlink()
        os.mkfifo(taken / "PLAN.md")
        assert signer.doubt(taken)
    with pytest.raises(RunError):
        signer.check(taken.parent / "nowhere")


def test_what_its_operator_allowed_and_had_verified_counts_no_longer(
    tmp_path: Path, signer: Signer
) -> None:
    check = Check(command="true", code=0, output="", seconds=1.0, stopped="")
    with RunFolder.create(tmp_path / "run", "Build it.", {}) as folder:
        folder.store.remember(
            ConsentDecided(
                at=1.0, agent="a", step="s", call="1", tool="send", consent=Consent.ALWAYS
            )
        )
        folder.store.remember(
            WorkspaceVerified(
                at=1.0, agent="a", tree="t", sandbox="none", when=1.0, checks=(check,)
            )
        )
    with RunFolder(tmp_path / "run") as folder:
        assert folder.store.tools.consent("s", "1", "send") is Consent.ALWAYS
        assert folder.store.tools.verifications(["a"])
    for trust in (True, False):
        with RunFolder(tmp_path / "run", signer, trust=trust) as folder:
            assert folder.store.tools.consent("s", "1", "send") is None
            assert not folder.store.tools.verifications(["a"])


def test_a_run_that_cannot_be_signed_is_left_open_to_nobody(run: Path, signer: Signer) -> None:
    class Failing(Signer):
        def sign(self, run: Path, *, closed: bool = False) -> None:
            raise RunError("no")

    with pytest.raises(RunError, match="no"):
        RunFolder(run, Failing(""))
    gc.collect()  # a file left open would be a warning, and that an error here
    RunFolder(run, signer, trust=True).close()
