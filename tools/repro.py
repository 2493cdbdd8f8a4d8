"""python -m tools.repro [-j JOBS] [OPTION ...]: `dvc repro`, with its options, which builds stages side by side, and
whose dvc.lock no kill cuts.

Up to JOBS stages are built at once (tools/parallel.py), forked from a process that has imported what they need
(tools/warm.py), or run by the nodes of a Ray cluster (--ray-address ADDRESS, tools/cluster.py), which see this checkout
or a remote of DVC (--ray-remote NAME, tools/over_remote.py). A lock that is cut already is restored first. SIGTERM, by
which schedulers end a job, goes on to the running stages, which end with their line as on Ctrl-C; plain `dvc repro`
leaves its one running. Of a stage that could say nothing itself, since the system or a library ended it, what that
means is said.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import re
import signal
import sys
from contextlib import ExitStack
from types import FrameType
from typing import NoReturn

import psutil

from stages.settings.build import read_build
from stages.shared import errors, signals
from stages.shared.errors import Terminated, UserError
from tools import lock, once, parallel, warm
from tools.cluster import Cluster, Nodes, add_options, nodes_of

# What ends a process without its own word: the system, or a library.
ENDINGS: dict[int, str] = {
    signal.SIGKILL: f"was killed, as systems do when memory is used up: {errors.MORE_MEMORY}",
    signal.SIGABRT: f"was aborted by a library, as when memory is used up: {errors.MORE_MEMORY}",
}


def main() -> None:
    options, dvc_options = _options(sys.argv[1:])
    build(["repro", *dvc_options], options.jobs, nodes_of(options))


def build(command: list[str], jobs: int | None, nodes: Nodes | None, folder: str = ".", builds: int = 1) -> NoReturn:
    """Run DVC's `command` so, which builds the checkout in `folder`, with `jobs` stages at once, or as many as its
    params say, on this machine or a cluster's `nodes`; of several `builds` side by side each has its share."""
    with contextlib.chdir(folder):
        lock.mend()
        settings = read_build()
    # DVC has handlers of its own, and its log would be there twice.
    logging.root.handlers.clear()
    from dvc import cli

    status = StageStatus()
    logging.getLogger("dvc").addHandler(status)
    cluster: Cluster | None = None
    came: list[int] = []
    ended: set[psutil.Process] = set()

    def end_stages(terminated: bool) -> None:
        if cluster:
            cluster.end_all()
        # Ctrl-C reaches them by itself, and a second signal would disturb how they end.
        for process in psutil.Process().children(recursive=True) if terminated else []:
            with contextlib.suppress(psutil.NoSuchProcess):
                if process not in ended:
                    process.terminate()
                    ended.add(process)

    def terminate(number: int, _: FrameType | None) -> None:
        came.append(number)
        end_stages(True)
        raise Terminated

    before = signal.getsignal(signal.SIGTERM)
    try:
        with ExitStack() as stack:
            order = stack.enter_context(lock.written_whole())
            stack.enter_context(once.done())
            if nodes:
                cluster = stack.enter_context(nodes.running(settings, folder))
                # Ray holds what is free of each node.
                machine = parallel.Machine(sys.maxsize, float("inf"), [])
                resources = (cluster.cores, cluster.workers, cluster.gpus)
            else:
                machine = parallel.this_machine()
                stack.enter_context(warm.stages(machine.cores))
                resources = (machine.cores, 1, len(machine.free_gpus))
            with contextlib.chdir(folder):
                jobs = jobs or max(1, parallel.jobs_by_itself(settings, *resources) // builds)
            builder = parallel.Builder(jobs, settings, machine, order.begins, end_stages)
            stack.enter_context(builder.building())
            # Ray has one of its own.
            signal.signal(signal.SIGTERM, terminate)
            code = cli.main(command)
    finally:
        signal.signal(signal.SIGTERM, before)
        # DVC does not wait for what it has started.
        psutil.wait_procs(ended, timeout=parallel.PATIENCE_AT_END)
    # DVC takes what is raised for Ctrl-C.
    if came:
        sys.exit(signals.stopped(terminated=True))
    if status.ending:
        sys.exit(f"error: the stage {status.ending}; {signals.AGAIN}")
    sys.exit(code)


def _options(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Ours, and those that are DVC's."""
    parser = argparse.ArgumentParser(prog="python -m tools.repro", add_help=False, allow_abbrev=False)
    parser.add_argument("-j", "--jobs", type=int, help="stages at once; else as build.jobs of params.yaml says")
    add_options(parser)
    options, others = parser.parse_known_args(words)
    if options.jobs is not None and options.jobs < 1:
        raise UserError(f"--jobs {options.jobs}: write how many stages are to be built at once, 1 or more")
    return options, others


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
