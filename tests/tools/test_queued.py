"""queued: experiments of DVC's queue, built side by side as a study is."""

import json
import os
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml
from dvc import cli
from dvc.repo.experiments.queue.celery import LocalCeleryQueue

from stages.shared.errors import UserError
from tests.conftest import ROOT
from tests.tools.test_parallel import GRAPH, MEMBER
from tools import parallel, queued, repro, warm
from tools.cluster import Nodes

DVC = [sys.executable, "-m", "dvc"]


def said(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.slow
def test_dvcs_workers_build_an_experiments_stages_side_by_side(repository, monkeypatch):
    (repository.path / "dvc.yaml").write_text(GRAPH)
    (repository.path / "member.sh").write_text(MEMBER)
    (repository.path / ".gitignore").write_text("/own\n")
    (repository.path / "together").touch()  # so that three stages wait for each other
    monkeypatch.setenv("SHELL", "/bin/sh")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}")  # noqa: PTH120
    said(*DVC, "init", "-q")
    said("git", "add", "-A")
    said("git", "commit", "-m", "y")
    (repository.path / "own").write_text("not Git's\n")
    said(*DVC, "exp", "run", "--queue", "--name", "side", "--copy-paths", "own", "-S", "seed=4")
    said(sys.executable, "-m", "tools.queued", "--stages", "3")
    deadline = time.monotonic() + 120
    while (
        not any(word in said(*DVC, "queue", "status") for word in ("Success", "Failed")) and time.monotonic() < deadline
    ):
        time.sleep(1)
    log = said(*DVC, "queue", "logs", "side")
    assert "Success" in said(*DVC, "queue", "status"), log
    assert "member@a | told by a" in log and "last done after" in log and "7 of 7 stages" in log
    [made] = [
        line for line in said("git", "for-each-ref", "--format=%(refname)", "refs/exps/").split() if "/side" in line
    ]
    lock = yaml.safe_load(said("git", "show", f"{made}:dvc.lock"))
    assert len(lock["stages"]) == 7 and lock["stages"]["first"]["params"]["params.yaml"]["seed"] == 4
    # What Git is to know of a stage it knows.
    assert said("git", "show", f"{made}:a.json") == "{}\n"
    assert not (repository.path / "dvc.lock").exists()


@pytest.fixture
def given(monkeypatch):
    """Call it with words for the tool."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["queued", *words])
        queued.main()

    monkeypatch.setattr(parallel, "_gpus", list)
    return call


def test_what_cannot_be_is_refused(given, repository, monkeypatch):
    for option in ("--jobs", "--stages"):
        with pytest.raises(UserError, match=f"^{option} 0: write a number from 1 on$"):
            given(option, "0")
    said(*DVC, "init", "-q")
    monkeypatch.setattr(LocalCeleryQueue, "worker_status", lambda queue: {"dvc-exp-1": []})
    with pytest.raises(UserError, match=r"^workers are running already"):
        given("-j", "2")
    monkeypatch.setattr(parallel, "_gpus", lambda: ["0"])
    with pytest.raises(UserError, match=r"^--jobs 2: experiments would take each other's GPUs"):
        given("-j", "2")


def test_an_experiment_is_built_as_its_worker_was_told(given, repository, monkeypatch):
    said(*DVC, "init", "-q")
    started, built = [], []
    monkeypatch.setattr(LocalCeleryQueue, "worker_status", lambda queue: {})
    monkeypatch.setattr(
        LocalCeleryQueue, "start_workers", lambda queue, count: started.append(dict(os.environ)) or count
    )
    monkeypatch.setenv("PATH", os.environ["PATH"])
    monkeypatch.setenv(queued.WORKERS_OPTIONS, "")
    given("-j", "4", "--stages", "2", "--ray-address", "auto", "--ray-remote", "shared")
    assert Path(started[0]["PATH"].split(os.pathsep)[0], "dvc").samefile(queued.COMMAND)
    assert os.access(queued.COMMAND, os.X_OK)
    monkeypatch.setattr(repro, "build", lambda *given: built.append(given) or sys.exit(0))
    monkeypatch.setenv(queued.WORKERS_OPTIONS, started[0][queued.WORKERS_OPTIONS])
    with pytest.raises(SystemExit):
        queued.as_dvc(["exp", "exec-run"], "elsewhere")
    older = {"stages": None, "ray_address": None, "jobs": 1}
    monkeypatch.setenv(queued.WORKERS_OPTIONS, json.dumps(older))
    with pytest.raises(SystemExit):
        queued.as_dvc(["exp", "exec-run"], "elsewhere")
    words, nodes = ["exp", "exec-run"], Nodes("auto", "shared")
    assert built == [(words, 2, nodes, "elsewhere", 4), (words, None, None, "elsewhere", 1)]
    with pytest.raises(UserError, match=r"^--ray-remote is of a cluster's nodes"):
        given("--ray-remote", "shared")


def test_builds_side_by_side_have_their_shares(repository, monkeypatch):
    """Of what the experiment's own params say, and DVC begins where it was started."""
    other = repository.path.parent / "other"
    other.mkdir()
    (other / "params.yaml").write_text("base: {name: static}\nbuild: {jobs: 9, threads: {}, gpus: {}, memory: {}}\n")
    seen = []

    class Watched(parallel.Builder):
        def __init__(self, jobs, *others):
            seen.append(jobs)
            super().__init__(jobs, *others)

    monkeypatch.setattr(parallel, "Builder", Watched)
    monkeypatch.setattr(warm, "stages", lambda cores: nullcontext())
    monkeypatch.setattr(cli, "main", lambda words: seen.append((words, Path.cwd())) or 3)
    for builds, jobs in ((1, 9), (4, 2), (20, 1)):
        with pytest.raises(SystemExit) as ended:
            repro.build(["words"], None, None, str(other), builds)
        assert ended.value.code == 3 and seen == [jobs, (["words"], repository.path)]
        seen.clear()
