"""dvc.lock: a cut one is seen and mended, and DVC cuts none where we start it."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from stages.shared.errors import UserError
from tests.conftest import ROOT
from tests.tools.conftest import git
from tools import lock

STAGE = """  {name}:
    cmd: python -m stages.{name}
    deps:
    - path: params.yaml
      hash: md5
      md5: 0123456789abcdef0123456789abcdef
      size: 1234
    outs:
    - path: data/{name}
      hash: md5
      md5: fedcba9876543210fedcba9876543210.dir
      nfiles: 12
"""


def text(*names):
    return "schema: '2.0'\nstages:\n" + "".join(STAGE.format(name=name) for name in names)


@pytest.fixture
def locked(repository):
    """A repository with a dvc.lock that is committed; call it to write another."""

    def write(content):
        (repository.path / "dvc.lock").write_text(content, encoding="utf-8")

    write(text("check"))
    git("add", "dvc.lock")
    git("commit", "-m", "locked")
    return write


def mended(capsys):
    lock.mend()
    return lock.LOCK.read_text(encoding="utf-8") if lock.LOCK.is_file() else None, capsys.readouterr().out


def test_a_whole_lock_is_left_alone_and_kept_aside(locked, capsys):
    locked(text("check", "corpus"))
    assert mended(capsys) == (text("check", "corpus"), "")
    assert lock.KEPT.read_text() == text("check", "corpus")


@pytest.mark.parametrize("end", [0, 1, 12, 14, 20, 24, 60, 150, 340, -200, -3, -1])
def test_a_cut_lock_is_the_one_of_the_last_stage_again(locked, capsys, end):
    locked(text("check", "corpus"))
    lock.mend()
    locked(text("check", "corpus", "collect")[:end])
    restored, said = mended(capsys)
    assert restored == text("check", "corpus")
    assert said.startswith("dvc.lock was cut, as by a kill while DVC wrote it: the one of the last stage is restored; ")
    assert said.count("\n") == 1
    assert lock.CUT.read_text() == text("check", "corpus", "collect")[:end]
    assert mended(capsys) == (text("check", "corpus"), "")


def test_it_comes_from_git_where_none_is_kept_or_git_s_is_younger(locked, capsys):
    locked("")
    restored, said = mended(capsys)
    assert restored == text("check") and "the committed one is restored" in said
    locked(text("old"))
    lock.mend()
    os.utime(lock.KEPT, (1, 1))
    locked("")
    assert mended(capsys)[0] == text("check")
    # What is kept may be cut, too.
    lock.KEPT.write_text("")
    locked("")
    assert mended(capsys)[0] == text("check")


def test_without_any_it_begins_anew(repository, capsys):
    (repository.path / "dvc.lock").write_text("sch")
    restored, said = mended(capsys)
    assert restored is None and "there is none to restore, so that it begins anew" in said
    lock.mend()


def test_a_merge_conflict_is_not_resolved(locked):
    conflict = text("check") + "<<<<<<< HEAD\n  a: 1\n=======\n  a: 2\n>>>>>>> other\n"
    locked(conflict)
    with pytest.raises(UserError, match=r"dvc\.lock has a merge conflict: take either side"):
        lock.mend()
    assert lock.LOCK.read_text() == conflict


@pytest.mark.parametrize("tool", ["tidy", "study", "experiments", "seeds"])
def test_tools_that_read_it_mend_it(locked, repository, capsys, tool):
    (repository.path / "dvc.yaml").write_text("stages:\n  check:\n    cmd: x\n")
    (repository.path / "studies").mkdir()
    (repository.path / "studies/s.yaml").write_text("seed: 2\n")
    locked("schema: '2.0'\nstages:\n  che")
    try:
        repository.run(tool, *{"study": ["s"], "seeds": ["table"]}.get(tool, []))
    except UserError as error:
        assert tool in ("experiments", "seeds") and "there are no" in str(error)
    assert "dvc.lock was cut" in capsys.readouterr().out
    assert lock.LOCK.read_text() == text("check")


class Killed(Exception):
    """Whatever ends a process while it writes."""


def added(data, name, value=None):
    data["stages"][name] = {"cmd": "x"} if value is None else value


def dying(monkeypatch, path):
    """Have DVC end when half of a file is written, which it writes to `path`."""
    from dvc.utils.serialize import _common

    def dump(path, data, dumper, fs=None):
        with open(path, "w") as opened:  # noqa: PTH123
            opened.write("schema: '2.0'\nstages:\n  che")
        raise Killed

    monkeypatch.setattr(_common, "_dump_data", dump)
    monkeypatch.setattr(Path, "write_text", lambda path, content, **how: dump(path, content, None))


def test_dvc_writes_it_whole_or_not_at_all(locked, repository, monkeypatch):
    from dvc import dvcfile

    theirs, ours = repository.path / "theirs.lock", repository.path / "dvc.lock"
    theirs.write_text(text("check"))
    with dvcfile.modify_yaml(str(theirs)) as data:
        added(data, "corpus")
    with lock.written_whole(), dvcfile.modify_yaml(str(ours)) as data:
        added(data, "corpus")
    assert ours.read_bytes() == theirs.read_bytes() == lock.KEPT.read_bytes()
    dying(monkeypatch, ours)
    with pytest.raises(Killed), lock.written_whole(), dvcfile.modify_yaml(str(ours)) as data:
        added(data, "collect")
    assert ours.read_bytes() == theirs.read_bytes()
    with pytest.raises(Killed), dvcfile.modify_yaml(str(theirs)) as data:
        added(data, "collect")
    assert not lock.whole(theirs.read_text())  # which is why


def test_what_is_written_stage_by_stage_is_what_dvc_writes(locked, repository):
    """On the real lock: stages that are new, changed, the same, gone; names and values that YAML quotes."""
    from dvc import dvcfile

    theirs, ours = repository.path / "theirs.lock", repository.path / "dvc.lock"
    for file in (theirs, ours):
        shutil.copyfile(ROOT / "dvc.lock", file)

    def changed(data, name, turn):
        data["stages"].update({name: {"cmd": f"echo {turn}", "params": {"params.yaml": {"a": [1.5e-7, None, "no"]}}}})

    def again(data, name, turn):
        data["stages"].update({name: json.loads(json.dumps(data["stages"][name]))})

    def gone(data, name, turn):
        del data["stages"][name]

    steps = [
        *((changed, name) for name in ("train@1e5", "no", "über: x", "check", "y" * 200)),
        *((again, "check"), (gone, "no"), (changed, "check"), (again, "collect")),
    ]
    for turn, (step, name) in enumerate(steps):
        with dvcfile.modify_yaml(str(theirs)) as data:
            step(data, name, turn)
    with lock.written_whole():
        for turn, (step, name) in enumerate(steps):
            with dvcfile.modify_yaml(str(ours)) as data:
                step(data, name, turn)
            if turn == 3:  # another has written it
                ours.write_text(ours.read_text().replace("echo 3", "echo 33"))
    assert ours.read_text() == theirs.read_text() == lock.KEPT.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_wait_for_it(locked, number):
    from dvc import dvcfile

    def raised(number, _):
        raise Killed

    before = signal.signal(number, raised)
    try:
        with pytest.raises(Killed), lock.written_whole(), dvcfile.modify_yaml("dvc.lock") as data:
            signal.raise_signal(number)
            added(data, "corpus")
    finally:
        signal.signal(number, before)
    assert "corpus" in lock.LOCK.read_text() and lock.KEPT.read_bytes() == lock.LOCK.read_bytes()
