"""parallel: stages side by side, which leave what DVC leaves, fail as they do with it, and take what is there."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from dvc import cli

from stages.settings.build import STAGES, Build, read_build
from stages.shared.errors import Terminated, UserError
from tests.conftest import ROOT
from tools import graph as graph_tool
from tools import lock
from tools.parallel import GB, Builder, Machine, Need, jobs_by_itself, need

# `member` in which `b` can only end when `c` has begun, `c` when `a` has ended: none does if one waits for another.
# Where `together` is missing they wait for nothing.
GRAPH = """
stages:
  first:
    cmd: mkdir -p met && echo 1 > first
    params: [seed]
    outs: [first]
  member:
    foreach: [a, b, c]
    do:
      cmd: sh member.sh ${item} && mkdir ${item} && echo made ${item} > ${item}/file && echo {} > ${item}.json
      deps: [first]
      params: [seed]
      outs: ['${item}']
      metrics: [{'${item}.json': {cache: false}}]
  beside:
    cmd: echo 2 > beside
    deps: [a]
    outs: [beside]
  apart:
    cmd: echo 3 > apart
    deps: [b]
    outs: [apart]
  last:
    cmd: cat a/file b/file c/file > last
    deps: [a, b, c]
    outs: [last]
"""
MEMBER = """
touch met/$1
[ -e together ] || exit 0
case $1 in b) other=c;; c) other=a;; a) other=b;; esac
for i in $(seq 3000); do [ -e met/$other ] && break; sleep 0.1; done
[ $i -lt 3000 ] || exit 1
echo told by $1
echo as $1 ends >&2
[ ! -e broken ] || [ $1 != a ] || exit 3
[ $1 = a ] || sleep 0.$(echo $1 | tr bc 63)
"""
BUILD = Build(jobs=None, threads={"train": 3}, gpus={"train": 1, "merge": 0.5, "rerank": 4}, memory={"merge": 6})


@pytest.fixture
def graph(repository, monkeypatch):
    (repository.path / "dvc.yaml").write_text(GRAPH)
    (repository.path / "member.sh").write_text(MEMBER)
    monkeypatch.setenv("SHELL", "/bin/sh")
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], check=True)
    return repository.path


def repro(*options, jobs=3, end_stages=lambda terminated: None):
    with lock.written_whole() as order:
        builder = Builder(jobs, BUILD, Machine(4, 8 * GB, []), order.begins, end_stages)
        with builder.building():
            return cli.main(["repro", *options])


def left(folder):
    """All that a build leaves, but for what DVC remembers of files' times."""
    files = [file for file in folder.rglob("*") if file.is_file() and not {"tmp", ".git"} & {*file.parts}]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


@pytest.mark.slow
def test_what_is_left_is_what_dvc_leaves(graph, monkeypatch, tmp_path, capfd, caplog):
    beside = tmp_path / "beside"
    shutil.copytree(graph, beside)
    (graph / "together").touch()
    assert repro() == 0
    told, errors = capfd.readouterr()
    # Each of the three waited for another, and their words are told apart.
    assert {f"member@{name} | told by {name}\n" in told for name in "abc"} == {True}
    assert "member@b | as b ends\n" in errors
    assert "last done after" in caplog.text and "7 of 7 stages" in caplog.text
    (graph / "together").unlink()
    monkeypatch.chdir(beside)
    assert cli.main(["repro"]) == 0
    assert left(graph) == left(beside)
    monkeypatch.chdir(graph)
    caplog.clear()
    assert repro() == 0
    assert caplog.text.count("didn't change, skipping") == 7
    # The run-cache has it all.
    for file in ("dvc.lock", "last"):
        (graph / file).unlink()
    assert repro() == 0
    assert "Running stage" not in caplog.text and left(graph) == left(beside)


@pytest.mark.slow
@pytest.mark.parametrize(("option", "goes_on"), [([], False), (["--keep-going"], True), (["--ignore-errors"], True)])
def test_what_fails_stops_what_dvc_stops(graph, caplog, option, goes_on):
    (graph / "together").touch()
    (graph / "broken").touch()
    assert (repro(*option) == 0) == (option == ["--ignore-errors"])
    # The others were running, and have ended well.
    assert {"member@b:", "member@c:"} <= {*(graph / "dvc.lock").read_text().split()}
    assert "member@a failed after" in caplog.text and "exited with 3" in caplog.text
    assert not (graph / "last").exists()
    assert ("Running stage 'apart'" in caplog.text) == goes_on
    skipped = "'beside', 'last' will be skipped due to this failure", "'last', 'beside' will be skipped"
    assert any(words in caplog.text.replace(" and ", ", ") for words in skipped) == (option == ["--keep-going"])


@pytest.mark.slow
def test_sigterm_ends_all_that_runs_and_waits_for_it(graph, caplog):
    (graph / "member.sh").write_text("echo $$ >> begun; exec sleep 600\n")

    # Other tests' own, such as what multiprocessing leaves, which heeds no SIGTERM.
    told, others = set(), set(psutil.Process().children(recursive=True))

    def end_stages(terminated):
        assert terminated
        for child in set(psutil.Process().children(recursive=True)) - others:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.terminate()
                told.add(child)

    def terminate(number, frame):
        raise Terminated

    def send():
        while not (graph / "begun").is_file() or len((graph / "begun").read_text().split()) < 3:
            threading.Event().wait(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        threading.Thread(target=send, daemon=True).start()
        assert repro(end_stages=end_stages) == 252
    finally:
        signal.signal(signal.SIGTERM, before)
    assert {int(pid) for pid in (graph / "begun").read_text().split()} <= {child.pid for child in told}
    assert psutil.wait_procs(told, timeout=60)[1] == []
    assert "first:" in (graph / "dvc.lock").read_text() and "member" not in (graph / "dvc.lock").read_text()
    (graph / "member.sh").write_text(MEMBER)
    assert repro() == 0 and "Stage 'first' didn't change" in caplog.text
    assert Path("last").read_text() == "made a\nmade b\nmade c\n"


def test_a_stage_takes_what_params_say():
    assert need(BUILD, "train@koenen") == Need(3, 1, 0)
    assert need(BUILD, "../dvc.yaml:merge@average") == Need(None, 0.5, 6 * GB)
    assert need(BUILD, "report") == Need(None, 0, 0)


def test_what_stages_take_is_of_stages_that_there_are(workspace):
    assert read_build().gpus["train"] == 1
    workspace.edit(build__memory={"trian": 2})
    with pytest.raises(UserError, match=r"build\.memory\.trian: there is no stage 'trian' \(did you mean train\?\)"):
        read_build()
    workspace.edit(build__memory={}, build__gpus={"train": 1.5})
    with pytest.raises(UserError, match=r"build\.gpus\.train: 1\.5 is neither a number of GPUs nor a share of one"):
        read_build()
    assert {*STAGES} == {*graph_tool.stages((ROOT / "dvc.yaml").read_text(encoding="utf-8"))}


def test_a_machine_holds_what_is_there():
    machine = Machine(4, 8 * GB, ["2", "5"])
    assert machine.holds([Need(3, 0, 0), Need(None, 0, 0)]) and not machine.holds([Need(3, 0, 0)] * 2)
    assert machine.holds([Need(1, 0, 8 * GB)]) and not machine.holds([Need(1, 0, 6 * GB)] * 2)
    half = machine.take(0.5)
    assert half == machine.take(0.5) == {"2": 0.5}  # so that a whole one stays
    whole = machine.take(1)
    assert whole == {"5": 1.0} and machine.take(0.25) is None
    assert machine.environment(Need(3, 1, 0), whole) == {"OMP_NUM_THREADS": "3", "CUDA_VISIBLE_DEVICES": "5"}
    assert machine.environment(Need(None, 0, 0), {}) == {"CUDA_VISIBLE_DEVICES": ""}
    machine.give_back(whole)
    assert machine.take(2) is None  # half of the other is in use
    machine.give_back(half)
    machine.give_back(half)
    assert machine.take(4) == {"2": 1.0, "5": 1.0}
    assert Machine(1, GB, []).take(1) == {}
    assert Machine(1, GB, []).environment(Need(None, 1, 0), {}) == {}


def test_what_is_built_at_once_makes_no_stage_slower(workspace):
    assert jobs_by_itself(BUILD, 8, 1, 0) == 8
    workspace.edit(base__name="package:multilingual-e5-small")
    assert [jobs_by_itself(BUILD, 8, 1, gpus) for gpus in (0, 4)] == [1, 4]
    assert jobs_by_itself(BUILD.model_copy(update={"jobs": 3}), 8, 1, 0) == 3
