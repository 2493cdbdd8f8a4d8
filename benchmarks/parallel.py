"""The study of params.yaml built one stage after another, and side by side: seconds, their ratio, and whether the same
is left.

python benchmarks/parallel.py [JOBS ...] builds the committed study with each number of jobs, 1 and 2 if none is named,
in a clone of its own with an empty cache, and prints how long each took and how many seconds of the processor.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def built(folder: Path, jobs: str) -> tuple[float, float]:
    """Build a clone in `folder`; seconds, and seconds of the processor."""
    subprocess.run(["git", "clone", "-q", ROOT, folder], check=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with (folder.parent / f"{folder.name}.log").open("w") as log:
        command = [sys.executable, "-m", "tools.repro", "-j", jobs]
        subprocess.run(command, cwd=folder, env=os.environ | {"PATH": path}, check=True, stdout=log, stderr=log)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    taken, locks = {}, set()
    with tempfile.TemporaryDirectory() as parent:
        for jobs in sys.argv[1:] or ["1", "2"]:
            folder = Path(parent) / f"jobs-{jobs}"
            taken[jobs], processor = built(folder, jobs)
            locks.add((folder / "dvc.lock").read_bytes())
            ratio = taken[jobs] / next(iter(taken.values()))
            print(f"-j {jobs}: {taken[jobs]:.1f} s ({ratio:.2f} x), {processor:.1f} s of the processor", flush=True)
    print("dvc.lock is the same" if len(locks) == 1 else "dvc.lock DIFFERS")


if __name__ == "__main__":
    main()
