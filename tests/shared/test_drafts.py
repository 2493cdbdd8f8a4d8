"""Drafts: where no stage looks; those of the dead go, and those of the living never."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stages.shared import drafts, tables
from stages.shared.state import STATE
from tests.conftest import ROOT

# A process that begins to write PATH, says so, and waits for its end.
WRITER = """
import sys
from stages.shared import tables
with tables.replacing(sys.argv[1]) as draft:
    draft.mkdir()
    (draft / "half").write_text("x")
    print("begun", flush=True)
    sys.stdin.read()
"""


def writer(workspace, path):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=workspace.path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout.readline() == b"begun\n"
    return process


def found(folder):
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("models/trained/x", "models/.drafts"),
        ("models/base", "models/.drafts"),
        ("models/.drafts/abc/encoder.json", "models/.drafts"),
        ("data/runs/x", "data/.drafts"),
        ("metrics/report", "metrics/.drafts"),
        ("params.yaml", ".drafts"),
    ],
)
def test_drafts_lie_in_the_top_folder_of_their_target(workspace, path, place):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    assert drafts.place(Path(path)) == workspace.path / place


def test_drafts_of_what_is_kept_lie_in_the_state_and_others_beside_their_target(workspace, tmp_path, monkeypatch):
    state = tmp_path / "main/.state"
    monkeypatch.setattr(drafts, "STATE", state)
    (state / "vectors/blocks").mkdir(parents=True)
    assert drafts.place(state / "vectors/blocks/x.npz") == state / ".drafts"
    assert drafts.place(tmp_path / "elsewhere.json") == tmp_path / ".drafts"
    assert STATE.name == state.name


def test_a_folder_on_another_disk_has_its_own_drafts(workspace, monkeypatch):
    other = workspace.path / "models/trained"
    other.mkdir(parents=True)
    stat = Path.stat
    monkeypatch.setattr(
        Path,
        "stat",
        lambda self, **how: os.stat_result((0, 0, 7, *[0] * 7)) if self.is_relative_to(other) else stat(self, **how),
    )
    assert drafts.place(Path("models/trained/x")) == other / ".drafts"


def test_what_a_killed_process_left_goes_with_the_next_draft_and_what_a_living_one_writes_stays(workspace):
    killed, living = writer(workspace, "models/base"), writer(workspace, "models/trained/x")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    place = workspace.path / "models/.drafts"
    assert [file.endswith("/half") for file in found(place)].count(True) == 2
    tables.write_text("whole", "models/merged/y/a.json")
    assert [file.endswith("/half") for file in found(place)].count(True) == 1
    living.communicate(b"")
    assert living.returncode == 0
    assert found(workspace.path / "models") == ["merged/y/a.json", "trained/x/half"]
    assert not place.exists()


def test_tidy_clears_every_place_of_drafts(workspace):
    for path in ("models/base", "data/scores", "metrics/report", "x"):
        killed = writer(workspace, path)
        killed.kill()
        killed.wait()
    assert len(found(workspace.path)) == 1 + 2 * 4
    workspace.run("tidy")
    assert found(workspace.path) == ["params.yaml"]


def test_a_file_or_folder_that_is_replaced_is_there_until_the_draft_is(workspace, monkeypatch):
    """Of a folder, no part is removed where it stands: a kill would leave the others."""
    tables.write_text("old", "data/out/a")
    tables.write_text("old", "data/out/b")
    seen, removed = [], shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", lambda path: (seen.append(Path(path)), removed(path)))
    with tables.replacing("data/out") as draft:
        draft.mkdir()
        (draft / "c").write_text("new")
        assert found(Path("data/out")) == ["a", "b"]
    assert found(Path("data")) == ["out/c"]
    assert [path.parent.name for path in seen] == [".drafts"]


def test_a_draft_survives_that_its_place_is_cleared_in_between(workspace, monkeypatch):
    """The moments between two steps: the folder of drafts was empty and is gone, or the lock file is."""
    acquire, troubles = drafts.FileLock.acquire, [FileNotFoundError(errno.ENOENT, "gone"), drafts.Timeout("x")]

    def interrupted(self, **how):
        if troubles:
            shutil.rmtree("data/.drafts")
            raise troubles.pop()
        return acquire(self, **how)

    monkeypatch.setattr(drafts.FileLock, "acquire", interrupted)
    tables.write_text("whole", "data/x")
    assert found(Path("data")) == ["x"] and not troubles
