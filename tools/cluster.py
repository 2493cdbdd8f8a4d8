"""Stages as tasks of a Ray cluster, whose nodes see the checkout and its environment under the same path.

One machine holds the graph and does DVC's work (tools/parallel.py); a node runs the command of a stage, with the GPUs
that Ray gives it, and sends its words as they come. A stage whose node or worker is lost runs again on another; what it
had begun to write is a draft, which nothing reads. What a stage takes, `build` of params.yaml, is what Ray reserves.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.settings.build import Build
from stages.shared.errors import UserError
from tools import warm
from tools.parallel import Need, need

# A stage that takes its node down wherever it runs is given up.
MOST_RUNS = 3
log = logging.getLogger("dvc.repo.reproduce")


class Cluster:
    """A cluster that is connected to: how much of everything it has, and what runs on it."""

    def __init__(self, ray: Any, build: Build) -> None:
        self.ray = ray
        self._build = build
        self._tasks: set[Any] = set()
        self._runs = ray.remote(run)
        self._nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        self.cores = int(sum(node.get("CPU", 0) for node in self._nodes))
        self.gpus = int(sum(node.get("GPU", 0) for node in self._nodes))
        self.workers = sum(node.get("CPU", 0) > 0 for node in self._nodes)
        if not self.cores:
            raise UserError("--ray-address: the cluster has no processors: start nodes, `ray start --address=...`")

    def start(self, command: list[str] | str, **settings: Any) -> ClusterStage:
        return ClusterStage(self, command, settings)

    def submit(self, command: list[str], settings: dict[str, Any]) -> Any:
        name = settings["env"]["DVC_STAGE"]
        wanted = self._at_most(need(self._build, name))
        # Ours are other runs than Ray's, which would send the words of a lost one again.
        how = {"num_returns": "streaming", "max_retries": 0, "scheduling_strategy": "SPREAD", "name": name}
        how |= {"num_cpus": wanted.threads, "num_gpus": wanted.gpus, "memory": int(wanted.memory) or None}
        task = self._runs.options(**how).remote(command, settings["cwd"], settings["env"])
        self._tasks.add(task)
        return task

    def _at_most(self, wanted: Need) -> Need:
        """What a node has at all: Ray would wait for more for ever."""
        most = {kind: max(node.get(kind, 0) for node in self._nodes) for kind in ("CPU", "GPU", "memory")}
        threads = min(wanted.threads or 1, int(most["CPU"]))
        return Need(threads, min(wanted.gpus, most["GPU"]), min(wanted.memory, most["memory"]))

    def ended(self, task: Any) -> None:
        self._tasks.discard(task)

    def end_all(self) -> None:
        """End what runs, as Ctrl-C does on one machine."""
        for task in list(self._tasks):
            self.ray.cancel(task)
            self._tasks.discard(task)


class ClusterStage:
    """A stage that a node runs, as far as DVC looks at what it has started."""

    returncode: int | None = None

    def __init__(self, cluster: Cluster, command: list[str] | str, settings: dict[str, Any]) -> None:
        self._cluster, self._settings = cluster, settings
        words = command if isinstance(command, list) else ["/bin/sh", "-c", command]
        # Without a shell between them a stage ends with what has started it.
        self._command = words[-1].split() if warm.STAGE.fullmatch(words[-1]) else words

    def communicate(self) -> None:
        for run in itertools.count(1):
            try:
                self.returncode = self._once()
            except self._cluster.ray.exceptions.TaskCancelledError:
                self.returncode = 128 + signal.SIGINT
            except self._cluster.ray.exceptions.OutOfMemoryError:
                self.returncode = 128 + signal.SIGKILL
            except self._cluster.ray.exceptions.RayTaskError:
                raise  # which is a mistake of ours
            except self._cluster.ray.exceptions.RayError as error:
                lost = f"{self._settings['env']['DVC_STAGE']}: what ran it is lost ({type(error).__name__})"
                if run == MOST_RUNS:
                    log.warning("%s for the %dth time: given up", lost, run)
                    self.returncode = 1
                else:
                    log.warning("%s: it runs again", lost)
                    continue
            return

    def _once(self) -> int:
        """Its status, when its words have come."""
        places = {1: self._settings.get("stdout") or 1, 2: self._settings.get("stderr") or 2}
        task = self._cluster.submit(self._command, self._settings)
        try:
            for reference in task:
                said = self._cluster.ray.get(reference)
                if isinstance(said, int):
                    return said
                place, words = said
                os.write(places[place], words)
        finally:
            self._cluster.ended(task)
        raise AssertionError("a task ends with its status")


@contextmanager
def stages(address: str, build: Build) -> Iterator[Cluster]:
    """In the block, the commands of DVC's stages are run by nodes of the cluster at `address`."""
    try:
        import ray
    except ImportError:
        raise UserError("--ray-address needs Ray: pip install '.[ray]'") from None
    import dvc.stage.run as dvc_run
    from ray import cloudpickle

    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(f"--ray-address {address}: {str(error).splitlines()[0]}") from None
    # Nodes import nothing of this checkout to run a command.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    plain = dvc_run.subprocess
    try:
        cluster = Cluster(ray, build)
        dvc_run.subprocess = warm.Starts(cluster.start)
        yield cluster
    finally:
        dvc_run.subprocess = plain
        ray.shutdown()


def run(command: list[str], folder: str, environment: dict[str, str]) -> Iterator[tuple[int, bytes] | int]:
    """On a node: run `command`; its words as they come, with where they go to, and at last its status, as a shell has
    it."""
    if not Path(folder).is_dir():
        host = socket.gethostname()
        yield 2, f"error: {host} has no {folder}: nodes must see the checkout under the same path\n".encode()
        yield 1
        return
    # Those that Ray has given to this task.
    own = {name: os.environ[name] for name in ("CUDA_VISIBLE_DEVICES",) if name in os.environ}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment | own,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=end_with_parent,
    )
    try:
        with selectors.DefaultSelector() as selector:
            for place, pipe in enumerate((process.stdout, process.stderr), 1):
                selector.register(pipe, selectors.EVENT_READ, place)  # type: ignore[arg-type]
            while selector.get_map():
                for key, _ in selector.select():
                    if words := os.read(key.fd, 2**16):
                        yield key.data, words
                    else:
                        selector.unregister(key.fileobj)
        code = process.wait()
    finally:
        if process.poll() is None:  # cancelled
            process.terminate()
            process.wait()
    yield code if code >= 0 else 128 - code


def end_with_parent() -> None:
    """Have the system kill this process when the one that started it is killed, as when a node is lost."""
    with contextlib.suppress(AttributeError):  # Linux alone has it
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
