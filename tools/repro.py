"""python -m tools.repro [OPTION ...]: `dvc repro`, with its options, whose dvc.lock no kill cuts.

Stages are forked from one process that has imported what they need (tools/warm.py). A lock that is cut already is
restored first. SIGTERM, by which schedulers end a job, goes on to the running stage, which ends with its line as on
Ctrl-C; plain `dvc repro` leaves it running. Of a stage that could say nothing itself, since the system or a library
ended it, what that means is said.
"""

from __future__ import annotations

import contextlib
import logging
import re
import signal
import sys
from types import FrameType

import psutil

from stages.shared import errors, signals
from stages.shared.errors import Terminated
from tools import lock, warm

# Seconds for a stage to end in.
PATIENCE_AT_END = 60.0
# What ends a process without its own word: the system, or a library.
ENDINGS: dict[int, str] = {
    signal.SIGKILL: f"was killed, as systems do when memory is used up: {errors.MORE_MEMORY}",
    signal.SIGABRT: f"was aborted by a library, as when memory is used up: {errors.MORE_MEMORY}",
}


def main() -> None:
    lock.mend()
    # DVC has handlers of its own, and its log would be there twice.
    logging.root.handlers.clear()
    from dvc import cli

    status = StageStatus()
    logging.getLogger("dvc").addHandler(status)
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
        with lock.written_whole(), warm.stages():
            code = cli.main(["repro", *sys.argv[1:]])
    finally:
        signal.signal(signal.SIGTERM, before)
        # DVC does not wait for what it has started.
        psutil.wait_procs(ended, timeout=PATIENCE_AT_END)
    # DVC takes what is raised for Ctrl-C.
    if came:
        sys.exit(signals.stopped(terminated=True))
    if status.ending:
        sys.exit(f"error: the stage {status.ending}; {signals.AGAIN}")
    sys.exit(code)


class StageStatus(logging.Handler):
    """Reads in DVC's log how a stage has ended, which it says to nobody else."""

    ending: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        while error is not None:
            if found := re.search(r"exited with (-?\d+)$", str(error)):
                # A shell adds 128 to the number of a signal.
                status = int(found[1])
                self.ending = ENDINGS.get(-status if status < 0 else status - 128)
            error = error.__cause__


if __name__ == "__main__":
    errors.run(main)
