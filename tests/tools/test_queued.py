"""queued: experiments of DVC's queue, built side by side as a study is."""

import os
import subprocess
import sys
import time

import pytest
import yaml

from stages.shared.errors import UserError
from tests.conftest import ROOT
from tests.tools.test_parallel import GRAPH, MEMBER
from tools import queued

DVC = [sys.executable, "-m", "dvc"]


def said(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.slow
def test_dvcs_workers_build_an_experiments_stages_side_by_side(repository, monkeypatch):
    (repository.path / "dvc.yaml").write_text(GRAPH)
    (repository.path / "member.sh").write_text(MEMBER)
    (repository.path / "together").touch()  # so that three stages wait for each other
    monkeypatch.setenv("SHELL", "/bin/sh")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}")  # noqa: PTH120
    said(*DVC, "init", "-q")
    said("git", "add", "-A")
    said("git", "commit", "-m", "y")
    said(*DVC, "exp", "run", "--queue", "--name", "side", "-S", "seed=4")
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


def test_numbers_that_are_none_are_refused(monkeypatch):
    for option in ("--jobs", "--stages"):
        monkeypatch.setattr(sys, "argv", ["queued", option, "0"])
        with pytest.raises(UserError, match=f"^{option} 0: write a number from 1 on$"):
            queued.main()
