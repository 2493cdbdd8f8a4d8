"""A stage by itself, and forked from the process that `make repro` starts: wall and processor time of each.

python benchmarks/warm.py "COMMAND|STAGE" ... runs each stage of the built checkout twice, e.g. "python -m
stages.merge|merge@avg-four"; what it makes is what is there.
"""

import os
import shutil
import sys
import time
from pathlib import Path

import psutil
from dvc.stage import run as dvc_run

sys.path.insert(0, str(Path(__file__).parents[1]))
from tools import warm

ROOT = Path(__file__).parents[1]


def taken(command: str, stage: str) -> float:
    """Seconds of one run, as DVC starts it."""
    environment = os.environ | {"DVC_STAGE": stage, "DVC_ROOT": str(ROOT)}
    began = time.perf_counter()
    shell = [shutil.which("sh"), "-c", command]
    process = dvc_run.subprocess.Popen(shell, cwd=str(ROOT), env=environment, close_fds=True, shell=False)
    process.communicate()
    assert process.returncode == 0, command
    return time.perf_counter() - began


def spent(process: psutil.Process) -> float:
    """Seconds of processor time of the children that have ended."""
    times = process.cpu_times()
    return times.children_user + times.children_system


def main() -> None:
    wanted = [argument.split("|") for argument in sys.argv[1:]]
    for command, stage in wanted:
        before = spent(psutil.Process())
        wall = taken(command, stage)
        print(f"{stage} by itself: {wall:.1f} s, of the processor {spent(psutil.Process()) - before:.1f} s")
    with warm.stages(cores=1):
        taken("python -m stages.check", "check")
        [server] = psutil.Process().children()
        # Until all is imported.
        while (used := server.cpu_times().user) and not time.sleep(3) and server.cpu_times().user > used:
            pass
        for command, stage in wanted:
            before = spent(server)
            wall = taken(command, stage)
            print(f"{stage} forked: {wall:.1f} s, of the processor {spent(server) - before:.1f} s")


if __name__ == "__main__":
    main()
