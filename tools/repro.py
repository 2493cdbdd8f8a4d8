"""python -m tools.repro [OPTION ...]: `dvc repro`, with its options, whose dvc.lock no kill cuts.

A lock that is cut already is restored first. SIGTERM, by which schedulers end a job, goes on to the running stage,
which ends with its line as on Ctrl-C; plain `dvc repro` leaves it running.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
from types import FrameType

import psutil

from stages.shared import errors, signals
from stages.shared.errors import Terminated
from tools import lock

# Seconds for a stage to end in.
PATIENCE_AT_END = 60.0


def main() -> None:
    lock.mend()
    # DVC has handlers of its own, and its log would be there twice.
    logging.root.handlers.clear()
    from dvc import cli

    came: list[int] = []
    ended: list[psutil.Process] = []

    def terminate(number: int, _: FrameType | None) -> None:
        came.append(number)
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
                ended.append(process)
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        with lock.written_whole():
            code = cli.main(["repro", *sys.argv[1:]])
    finally:
        signal.signal(signal.SIGTERM, before)
        # DVC does not wait for what it has started.
        psutil.wait_procs(ended, timeout=PATIENCE_AT_END)
    # DVC takes what is raised for Ctrl-C.
    sys.exit(signals.stopped(terminated=True) if came else code)


if __name__ == "__main__":
    errors.run(main)
