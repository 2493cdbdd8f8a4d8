"""warm: stages that are forked from one process end, and fail, as those that DVC starts itself."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from dvc.stage import run as dvc_run

from tests.conftest import ROOT
from tools import warm

pytestmark = pytest.mark.slow


@pytest.fixture
def start(workspace, monkeypatch):
    """Start a command as DVC does."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(warm, "IMPORTED", ("pydantic", "no_such_module"))

    def started(command, **environment):
        settings = {"cwd": str(workspace.path), "env": os.environ | environment, "close_fds": True, "shell": False}
        return dvc_run.subprocess.Popen(["/bin/sh", "-c", command], **settings)

    return started


def ended(process):
    process.communicate()
    return process.returncode


def test_a_stage_is_forked_and_is_as_it_would_be_by_itself(workspace, start, capfd):
    plain = dvc_run.subprocess
    with warm.stages(cores=1):
        assert isinstance(process := start("python -m stages.check"), warm.Stage)
        assert ended(process) == 0 and Path("data/checked").is_file()
        capfd.readouterr()
        # Its environment, the sentence of bad input and its status are its own, and the next one has nothing of it.
        assert ended(start("python -m stages.train", DVC_STAGE="train@nobody")) == 1
        told = capfd.readouterr().err
        assert "params.yaml has no recipes.nobody" in told and told.count("error: ") == 1 and "Traceback" not in told
        workspace.edit(train__steps=-1)
        assert ended(start("python -m stages.check")) == 1
        assert "train.steps" in capfd.readouterr().err
        assert ended(start("python -m stages.nowhere")) == 1
        # What is no stage is started as ever.
        assert not isinstance(process := start("exit 3"), warm.Stage) and ended(process) == 3
    assert dvc_run.subprocess is plain


def test_several_stages_run_at_once(workspace, start):
    (workspace.path / "params.yaml").unlink()
    os.mkfifo(workspace.path / "params.yaml")  # which the first waits to read
    with warm.stages(cores=1):
        first, second = start("python -m stages.check"), start("python -m stages.nowhere")
        assert isinstance(first, warm.Stage) and isinstance(second, warm.Stage) and ended(second) == 1
        # What is no number libraries must read when they are imported.
        assert isinstance(process := start("python -m stages.nowhere", OMP_NUM_THREADS="7"), warm.Stage)
        assert ended(process) == 1
        assert not isinstance(process := start("python -m stages.nowhere", OMP_NUM_THREADS="4,2"), warm.Stage)
        assert ended(process) == 1
        Path("params.yaml").write_text("")
        assert ended(first) == 1


def test_libraries_that_are_imported_take_as_many_threads_as_the_environment_says():
    code = """if True:
        import json, sys, numpy, torch, faiss
        from threadpoolctl import threadpool_info
        from tools import warm
        if len(sys.argv) > 1:
            warm.limit_threads(int(sys.argv[1]))
        print(json.dumps([torch.get_num_threads(), *(library["num_threads"] for library in threadpool_info())]))
    """
    command, how = [sys.executable, "-c", code], {"cwd": ROOT, "capture_output": True, "text": True, "check": True}
    told = subprocess.run([*command, "1"], **how, env=os.environ | {"OMP_NUM_THREADS": "2"}).stdout
    meant = subprocess.run(command, **how, env=os.environ | {"OMP_NUM_THREADS": "1"}).stdout
    assert told == meant and set(json.loads(told)) == {1}


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 1), (signal.SIGKILL, 137)])
def test_signals_end_the_stage_alone(workspace, start, capfd, number, status):
    (workspace.path / "params.yaml").unlink()
    os.mkfifo(workspace.path / "params.yaml")  # which a stage waits to read

    def send():
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = psutil.Process().children(recursive=True)
            forked = [child for child in found if child.parent() != psutil.Process()]
            if forked and [f for f in forked[0].open_files() or [1] if f] and forked[0].status() == "sleeping":
                with contextlib.suppress(psutil.NoSuchProcess):
                    forked[0].send_signal(number)
                return
            time.sleep(0.05)

    with warm.stages(cores=1):
        process = start("python -m stages.check")
        sender = threading.Thread(target=send)
        sender.start()
        assert ended(process) == status
        sender.join()
        assert ("stopped by SIGTERM" in capfd.readouterr().err) == (number == signal.SIGTERM)
        Path("params.yaml").unlink()
        assert ended(start("python -m stages.check")) == 1


def test_the_first_stages_do_not_wait_for_what_takes_long_to_import(workspace, start, monkeypatch):
    imported = workspace.path / "imported"
    (workspace.path / "takes_long.py").write_text(
        f"import pathlib, time\nwhile not pathlib.Path({str(imported)!r}).exists(): time.sleep(0.02)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{workspace.path}")
    monkeypatch.setattr(warm, "IMPORTED", ("pydantic", "takes_long"))
    monkeypatch.setattr(warm, "LIGHT", ("pydantic",))
    with warm.stages(cores=2):
        assert isinstance(process := start("python -m stages.check"), warm.Stage) and ended(process) == 0
        servers = [child for child in psutil.Process().children() if "tools.warm" in child.cmdline()]
        [light] = [server for server in servers if "takes_long" not in server.cmdline()]
        light.kill()
        while light.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        # Without it a stage is started as ever, until the other one is done, for which those wait that may need torch.
        assert not isinstance(process := start("python -m stages.check"), warm.Stage) and ended(process) == 0
        assert isinstance(waits := start("python -m stages.nowhere"), warm.Stage)
        imported.touch()
        assert ended(waits) == 1
        deadline = time.monotonic() + 60
        while not isinstance(process := start("python -m stages.check"), warm.Stage) and time.monotonic() < deadline:
            assert ended(process) == 0
        assert isinstance(process, warm.Stage) and ended(process) == 0
