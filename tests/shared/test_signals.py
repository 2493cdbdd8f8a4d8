"""Signals end a stage with one line: while it imports, which takes seconds, and at work."""

import os
import signal
import subprocess
import sys

import pytest

from stages.shared import errors
from tests.conftest import ROOT

LINES = {
    signal.SIGINT: "error: interrupted; run the same command again to go on",
    signal.SIGTERM: "error: stopped by SIGTERM; run the same command again to go on",
}


@pytest.fixture
def importing(tmp_path):
    """Run `python -m stages.collect`, which imports Polars first, with `code` in its place; its status and errors."""

    def run(code, module="stages.collect", **how):
        (tmp_path / "polars.py").write_text(f"import os, signal, sys, time\n{code}\n", encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", module],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            **how,
        )
        return done.returncode, done.stderr

    return run


@pytest.mark.parametrize("module", ["stages.collect", "tools.results"])
@pytest.mark.parametrize("number", LINES)
def test_a_signal_during_imports_ends_with_its_line(importing, number, module):
    """Also where the import would swallow what is raised."""
    code = f"try:\n    os.kill(os.getpid(), {int(number)}); time.sleep(9)\nexcept BaseException: pass"
    heeding = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    assert importing(code, module, **heeding) == (1, f"{LINES[number]}\n")


def test_what_is_ignored_stays_so(importing):
    code = f"os.kill(os.getpid(), {int(signal.SIGINT)}); sys.exit(7)"
    assert importing(code, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) == (7, "")


def test_faults_of_the_machine_have_their_sentence_during_imports(importing):
    code, said = importing("raise ImportError('libtorch_cpu.so: failed to map segment from shared object')")
    assert code == 1 and said.startswith("error: memory is used up: give it more") and said.count("\n") == 1
    code, said = importing("raise ImportError('a mistake of ours')")
    assert code == 1 and said.startswith("Traceback") and said.endswith("ImportError: a mistake of ours\n")


@pytest.mark.parametrize("number", LINES)
def test_a_signal_at_work_is_raised_so_that_all_ends_well(number):
    ended = []

    def main():
        try:
            signal.raise_signal(number)
        finally:
            ended.append(True)

    handlers = {n: signal.getsignal(n) for n in LINES}
    # Who starts the tests in the background has them ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(SystemExit) as caught:
            errors.run(main)
    finally:
        signal.signal(signal.SIGINT, handlers[signal.SIGINT])
    assert (caught.value.code, ended) == (LINES[number], [True])
    assert {n: signal.getsignal(n) for n in LINES} == handlers
