"""Stages as tasks of a Ray cluster, whose nodes see the checkout and its environment under the same path, or get what
a stage reads by a remote of DVC (tools/over_remote.py).

One machine holds the graph and does DVC's work (tools/parallel.py); a node runs the command of a stage, with the GPUs
that Ray gives it, and sends its words as they come. A stage whose node or worker is lost runs again on another; what it
had begun to write is a draft, which nothing reads. What a stage takes, `build` of params.yaml, is what Ray reserves.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from stages.settings.build import Build
from stages.shared.errors import UserError
from tools import warm
from tools.over_remote import Carrier
from tools.parallel import Need, need

# A stage that takes its node down wherever it runs is given up.
MOST_RUNS = 3
# Where what comes of a stage's command goes, beside the numbers of its standard output and error.
RESULT = 0
# Of a node, and not of the machine that the build was started on.
OF_NODE = ("PATH", "HOME", "USER", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "HF_HOME", "XDG_CACHE_HOME")
# Ends all that a command has started, the shells between included, if what has started it is killed, as when a node is
# lost: its standard input then ends without a line. Ray kills a worker's children and its session, so it is in neither.
WATCH = """
exec 3<&0
(read line <&3 || kill -KILL -$1) > /dev/null 2>&1 &
"""
log = logging.getLogger("dvc.repo.reproduce")


class Cluster:
    """A cluster that is connected to: how much of everything it has, and what runs on it; without a `carrier` its nodes
    see the checkout."""

    def __init__(self, ray: Any, build: Build, carrier: Carrier | None) -> None:
        self.ray = ray
        self.carrier = carrier
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

    def submit(self, command: list[str], settings: dict[str, Any], carried: tuple[bytes, str] | None) -> Any:
        name = settings["env"]["DVC_STAGE"]
        wanted = self._at_most(need(self._build, name))
        # Ours are other runs than Ray's, which would send the words of a lost one again.
        how = {"num_returns": "streaming", "max_retries": 0, "scheduling_strategy": "SPREAD", "name": name}
        how |= {"num_cpus": wanted.threads, "num_gpus": wanted.gpus, "memory": int(wanted.memory) or None}
        task = self._runs.options(**how).remote(command, settings["cwd"], settings["env"], carried)
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
        # Without a shell, which has nothing to do there.
        self._command = words[-1].split() if warm.STAGE.fullmatch(words[-1]) else words
        self._name: str = settings["env"]["DVC_STAGE"]
        self._places = {1: settings.get("stdout") or 1, 2: settings.get("stderr") or 2}

    def communicate(self) -> None:
        try:
            self.returncode = self._run()
        except UserError as error:
            os.write(self._places[2], f"error: {error}\n".encode())
            self.returncode = 1

    def _run(self) -> int:
        """Its status."""
        carried = None
        if carrier := self._cluster.carrier:
            carried = carrier.packed(self._name)
            if carried is None:
                log.info("%s reads what neither Git has nor a stage makes: it runs on this machine", self._name)
                return subprocess.run(self._command, check=False, **self._settings).returncode
        for run in itertools.count(1):
            try:
                return self._once(carried)
            except self._cluster.ray.exceptions.TaskCancelledError:
                return 128 + signal.SIGINT
            except self._cluster.ray.exceptions.OutOfMemoryError:
                return 128 + signal.SIGKILL
            except self._cluster.ray.exceptions.RayTaskError:
                raise  # which is a mistake of ours
            except self._cluster.ray.exceptions.RayError as error:
                lost = f"{self._name}: what ran it is lost ({type(error).__name__})"
                if run == MOST_RUNS:
                    log.warning("%s for the %dth time: given up", lost, run)
                    return 1
                log.warning("%s: it runs again", lost)
        raise AssertionError("it is given up at last")

    def _once(self, carried: tuple[bytes, str] | None) -> int:
        """Its status, when its words, and what came of it, are here."""
        task = self._cluster.submit(self._command, self._settings, carried)
        try:
            for reference in task:
                said = self._cluster.ray.get(reference)
                if isinstance(said, int):
                    return said
                place, words = said
                if place == RESULT:
                    assert self._cluster.carrier
                    self._cluster.carrier.unpack(self._name, words)
                else:
                    os.write(self._places[place], words)
        finally:
            self._cluster.ended(task)
        raise AssertionError("a task ends with its status")


class Nodes(NamedTuple):
    """The nodes of the Ray cluster at `address`, which see the checkout, or reach this `remote` of DVC."""

    address: str
    remote: str | None

    @contextmanager
    def running(self, build: Build, folder: str) -> Iterator[Cluster]:
        """In the block, they run the commands of the stages of the checkout in `folder`."""
        try:
            import ray
        except ImportError:
            raise UserError("--ray-address needs Ray: pip install '.[ray]'") from None
        import dvc.stage.run as dvc_run
        from ray import cloudpickle

        carrier = Carrier(folder, self.remote) if self.remote else None
        try:
            ray.init(address=self.address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise UserError(f"--ray-address {self.address}: {str(error).splitlines()[0]}") from None
        # Nodes import nothing of this checkout to run a command.
        cloudpickle.register_pickle_by_value(sys.modules[__name__])
        plain = dvc_run.subprocess
        try:
            cluster = Cluster(ray, build, carrier)
            dvc_run.subprocess = warm.Starts(cluster.start)
            yield cluster
        finally:
            dvc_run.subprocess = plain
            ray.shutdown()


def add_options(parser: ArgumentParser) -> None:
    """The options that `nodes_of` reads."""
    parser.add_argument("--ray-address", help="run stages on the nodes of this Ray cluster; auto: the one of here")
    parser.add_argument("--ray-remote", metavar="NAME", help="of nodes that see no checkout: a remote of DVC for data")


def nodes_of(options: Namespace) -> Nodes | None:
    """Those that are asked for."""
    if options.ray_remote and not options.ray_address:
        raise UserError("--ray-remote is of a cluster's nodes: write --ray-address, too, or leave it out")
    return Nodes(options.ray_address, options.ray_remote) if options.ray_address else None


def run(
    command: list[str], folder: str, environment: dict[str, str], carried: tuple[bytes, str] | None
) -> Iterator[tuple[int, bytes] | int]:
    """On a node: run `command` in `folder`, or in a checkout that is `carried` with the name of a remote; its words as
    they come, with where they go to, then what came of it, and at last its status, as a shell has it."""
    # Those that Ray has given to this task.
    own = {name: os.environ[name] for name in ("CUDA_VISIBLE_DEVICES",) if name in os.environ}
    if carried is None:
        if not Path(folder).is_dir():
            host = socket.gethostname()
            lacks = f"error: {host} has no {folder}: nodes must see the checkout under the same path, or reach a remote"
            yield 2, f"{lacks} of DVC (--ray-remote)\n".encode()
            yield 1
            return
        code = yield from relayed(command, folder, environment | own)
        yield code
        return
    checkout, remote = carried
    # Vectors, checkpoints and DVC's cache stay for what runs here later.
    node = Path(tempfile.gettempdir()) / f"isogloss-{os.getuid()}"
    node.mkdir(mode=0o700, exist_ok=True)
    for name in OF_NODE:
        environment.pop(name, None)
    own |= {name: os.environ[name] for name in OF_NODE if name in os.environ}
    own["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{own.get('PATH', os.defpath)}"
    own["DVC_ROOT"] = str(node)
    with tempfile.TemporaryDirectory(prefix="stage-", dir=node) as made:
        with tarfile.open(fileobj=io.BytesIO(checkout)) as archive:
            archive.extractall(made, filter="data")
        config = f'[core]\n    no_scm = true\n[cache]\n    dir = {node / "cache"}\n    type = "hardlink,copy"\n'
        (Path(made) / ".dvc" / "config.local").write_text(config)
        result = Path(made) / ".dvc" / "tmp" / "result.tar.gz"
        result.parent.mkdir(exist_ok=True)
        told = [sys.executable, "-m", "tools.over_remote", environment["DVC_STAGE"], remote, str(result)]
        code = yield from relayed([*told, *command], made, environment | own)
        if not code:
            yield RESULT, result.read_bytes()
    yield code


def relayed(command: list[str], folder: str, environment: dict[str, str]) -> Generator[tuple[int, bytes], None, int]:
    """Run `command` in `folder`; its words as they come, and its status in the end."""
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    with watched(process.pid):
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
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()
    return code if code >= 0 else 128 - code


@contextmanager
def watched(group: int) -> Iterator[None]:
    """If this process is killed in the block, so is the process group."""
    given, held = os.pipe()
    watch = ["/bin/sh", "-c", WATCH, "watch", str(group)]
    subprocess.run(watch, stdin=given, start_new_session=True, check=True)
    os.close(given)
    try:
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):  # what watches was killed
            os.write(held, b"\n")
        os.close(held)
