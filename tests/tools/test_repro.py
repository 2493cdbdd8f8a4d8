"""repro: `dvc repro`, which a cut lock does not stop, and which SIGTERM ends with its stage."""

import logging
import os
import signal
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tools.repro import ENDINGS, StageStatus

pytestmark = pytest.mark.slow
GRAPH = """
stages:
  quick:
    cmd: echo made > quick
    outs: [quick]
  killed:
    cmd: kill -9 $$
    outs: [killed]
  long:
    cmd: python stage.py
    deps: [quick]
    outs: [long]
"""
STAGE = """
import os, time
from stages.shared import errors

def main():
    print("begun", flush=True)
    time.sleep(60)

errors.run(main)
"""


@pytest.fixture
def repro(repository):
    """Start the tool in a small graph."""
    (repository.path / "dvc.yaml").write_text(GRAPH)
    (repository.path / "stage.py").write_text(STAGE)
    environment = os.environ | {
        "PATH": f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}",  # noqa: PTH120
        "PYTHONPATH": str(ROOT),
    }
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], check=True)

    def start(*options):
        command = [sys.executable, "-m", "tools.repro", *options]
        return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    return start


def test_sigterm_ends_the_stage_and_a_cut_lock_is_mended(repro, repository):
    with repro("--keep-going") as process:
        for line in process.stdout:
            if line == "long | begun\n":
                process.send_signal(signal.SIGTERM)
                break
        rest = process.stdout.read().splitlines()
    line = "error: stopped by SIGTERM; run the same command again to go on"
    assert process.returncode == 1
    assert f"long | {line}" in rest and rest[-1] == line  # the stage's, and then the tool's
    assert not any("Traceback" in line for line in rest)
    lock = repository.path / "dvc.lock"
    made = lock.read_bytes()
    lock.write_bytes(made[:30])
    with repro("quick") as process:
        said = process.communicate()[0]
    assert process.returncode == 0 and lock.read_bytes() == made
    assert said.startswith("dvc.lock was cut")
    assert said.count("Stage 'quick' didn't change, skipping") == 1


def test_what_the_system_ends_is_explained(repro):
    with repro("killed") as process:
        said = process.communicate()[0].splitlines()
    assert process.returncode == 1
    assert said[-1].startswith("error: the stage was killed, as systems do when memory is used up: give it more")


@pytest.mark.parametrize(
    ("said", "ending"),
    [("-6", signal.SIGABRT), ("134", signal.SIGABRT), ("137", signal.SIGKILL), ("1", None)],
)
def test_statuses_of_shells_and_processes_are_one(said, ending):
    status = StageStatus()
    try:
        raise ValueError("failed to reproduce 'x'") from OSError(f"failed to run: python -m x, exited with {said}")
    except ValueError:
        record = logging.LogRecord("dvc", logging.ERROR, "", 0, "", (), sys.exc_info())
    status.emit(record)
    assert status.ending == ENDINGS.get(ending)
