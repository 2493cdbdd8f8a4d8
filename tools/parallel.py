"""Stages of a build side by side, each as DVC itself builds it.

DVC builds one stage after another. Here each that waits for no other goes through DVC's own `reproduce` in a thread.
DVC's objects are not made for threads: one at a time is within DVC, and lets others in only while its command runs,
when DVC lets go of its lock on the checkout, too. So one process holds the graph and writes dvc.lock, and what a stage
leaves is what DVC leaves: outputs, its lines in dvc.lock, its entry in the run-cache. To start `dvc repro
--single-item` for each would read the graph anew each time, to compose a build of DVC's parts repeat what it does.

Of the stages that could begin, the one with the longest chain of others behind it does. What each takes of the machine
is said in `build` of params.yaml.
"""

from __future__ import annotations

import importlib
import logging
import os
import queue
import selectors
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TextIO

import psutil

from stages.settings.build import Build
from stages.settings.reading import value
from stages.shared.durations import duration
from stages.shared.errors import Terminated

GB = 10**9
# Seconds for stages to end in after SIGTERM, and for the rest of its words after a stage has ended.
PATIENCE_AT_END, PATIENCE_WITH_WORDS = 60.0, 2.0
# Seconds between two states of a stage's progress bar.
BETWEEN_STATES = 10.0
# As DVC's own lines, which its options for more and fewer of them are about.
log = logging.getLogger("dvc.repo.reproduce")


class Need(NamedTuple):
    """What a stage takes: threads (None: as many as it takes by itself, told nothing), GPUs or a share of one, bytes of
    memory."""

    threads: int | None
    gpus: float
    memory: float


def need(build: Build, stage: str) -> Need:
    """What `stage` takes as params say, by DVC's name of it: `merge@average`, after `<path>:` elsewhere."""
    name = stage.rpartition(":")[2].partition("@")[0]
    return Need(build.threads.get(name), build.gpus.get(name, 0), build.memory.get(name, 0) * GB)


class Machine:
    """What stages take of one machine: its cores, its memory, and its GPUs, each whole or in shares."""

    def __init__(self, cores: int, memory: float, gpus: list[str]) -> None:
        self.cores = cores
        self._memory = memory
        self.free_gpus = dict.fromkeys(gpus, 1.0)

    def holds(self, needs: list[Need]) -> bool:
        """Whether there is as much as these take together, GPUs aside."""
        return sum(one.threads or 1 for one in needs) <= self.cores and sum(n.memory for n in needs) <= self._memory

    def take(self, gpus: float) -> dict[str, float] | None:
        """GPUs that are free, and which share of each is taken; None: there are none just now.

        More than the machine has are all that it has.
        """
        wanted = min(gpus, len(self.free_gpus))
        if wanted == 0:
            return {}
        share = min(wanted, 1.0)
        # Shares where others have theirs, so that whole ones stay.
        free = sorted((left, name) for name, left in self.free_gpus.items() if left > share - 1e-9)
        taken = [name for _, name in free[: max(1, int(wanted))]]
        if len(taken) < wanted:
            return None
        for name in taken:
            self.free_gpus[name] -= share
        return dict.fromkeys(taken, share)

    def give_back(self, gpus: dict[str, float]) -> None:
        for name, share in gpus.items():
            self.free_gpus[name] += share

    def environment(self, need: Need, gpus: dict[str, float]) -> dict[str, str]:
        """What a stage is told of what it has."""
        told = {"OMP_NUM_THREADS": str(need.threads)} if need.threads else {}
        return told | ({"CUDA_VISIBLE_DEVICES": ",".join(gpus)} if self.free_gpus else {})


def this_machine() -> Machine:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Machine(cores, psutil.virtual_memory().total, _gpus())


def _gpus() -> list[str]:
    """The names of the GPUs that stages may see; to ask torch would take seconds."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in visible.split(",") if name]
    if not (command := shutil.which("nvidia-smi")):
        return []
    asked = subprocess.run([command, "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True)
    return asked.stdout.split() if asked.returncode == 0 else []


def jobs_by_itself(build: Build, cores: int, machines: int, gpus: int) -> int:
    """How many stages are built at once where no command says so: as params say, else what makes none of them slower.

    A static base's stages take a core each, a transformer's all of a machine, or a GPU.
    """
    if build.jobs is not None:
        return build.jobs
    return cores if value("base.name", str) == "static" else max(machines, gpus)


@dataclass(eq=False)
class Turn:
    """A stage that is being built."""

    stage: Any
    need: Need
    gpus: dict[str, float]
    began: float = field(default_factory=time.monotonic)
    ran: bool = False
    result: Any = None
    error: BaseException | None = None


class Builder:
    """Builds up to `jobs` stages at once, as far as `machine` holds what they take; with one, DVC does it by itself.

    `begins` is told the names of all stages, in DVC's order, before the first is built; `end_stages` whether it is
    SIGTERM that ends the build, or Ctrl-C.
    """

    def __init__(
        self,
        jobs: int,
        build: Build,
        machine: Machine,
        begins: Callable[[list[str]], None],
        end_stages: Callable[[bool], None],
    ) -> None:
        self._jobs, self._build, self._machine = jobs, build, machine
        self._begins, self._end_stages = begins, end_stages
        self._within = threading.Lock()
        self._own = threading.local()
        self._ended: queue.SimpleQueue[Turn] = queue.SimpleQueue()
        self._running: list[Turn] = []
        self._stopped = False

    @contextmanager
    def building(self) -> Iterator[None]:
        """In the block, DVC builds so."""
        import dvc.rwlock
        import dvc.stage.run as run

        reproduce: Any = importlib.import_module("dvc.repo.reproduce")
        self._reproduce, self._run, self._rwlock = reproduce._reproduce, run._run, dvc.rwlock.rwlock
        run._run = self._command
        if self._jobs > 1:
            reproduce._reproduce, dvc.rwlock.rwlock = self._side_by_side, self._rwlock_of_stage
        try:
            yield
        finally:
            reproduce._reproduce, run._run, dvc.rwlock.rwlock = self._reproduce, self._run, self._rwlock

    def _side_by_side(self, stages: list[Any], graph: Any = None, **how: Any) -> list[Any]:
        """DVC's `_reproduce`: `stages` in an order that `graph` allows; returns those that were reproduced."""
        if graph is None or how.get("dry") or how.get("interactive"):
            return self._reproduce(stages, graph=graph, **how)
        self._begins([stage.name for stage in stages if getattr(stage, "name", None)])
        repo = stages[0].repo
        build = _Order(stages, graph, repo.index.graph, how)
        # Threads take it where they are within DVC.
        repo.lock.unlock()
        try:
            while True:
                while not build.stops and (turn := self._next(build)):
                    build.begun(turn.stage)
                    self._running.append(turn)
                    work = (turn, repo, build)
                    threading.Thread(target=self._work, args=work, name=turn.stage.addressing, daemon=True).start()
                if not self._running:
                    return build.result()
                # A signal that comes to another thread is seen after a second at most.
                with suppress(queue.Empty):
                    build.ended(turn := self._wait(1.0))
                    self._say(turn, build)
        except KeyboardInterrupt as stopped:
            self._stop(isinstance(stopped, Terminated))
            raise
        finally:
            repo.lock.lock()

    def _next(self, build: _Order) -> Turn | None:
        """The first stage that can begin, with what it takes."""
        if len(self._running) >= self._jobs:
            return None
        for stage in build.ready():
            wanted = need(self._build, stage.addressing)
            # One alone is built whatever it takes.
            if self._running and not self._machine.holds([wanted, *(turn.need for turn in self._running)]):
                continue
            if (gpus := self._machine.take(wanted.gpus)) is not None:
                return Turn(stage, wanted, gpus)
        return None

    def _wait(self, seconds: float) -> Turn:
        """The next stage that ends; raises `queue.Empty` after so many seconds."""
        turn = self._ended.get(timeout=seconds)
        self._running.remove(turn)
        self._machine.give_back(turn.gpus)
        return turn

    def _stop(self, terminated: bool) -> None:
        """Wait for what runs, which Ctrl-C has reached by itself."""
        self._stopped = True
        until = time.monotonic() + PATIENCE_AT_END if terminated else float("inf")
        while self._running and time.monotonic() < until:
            self._end_stages(terminated)  # those, too, that have begun just now
            with suppress(queue.Empty):
                self._wait(0.2)

    def _say(self, turn: Turn, build: _Order) -> None:
        """A line of a stage whose command has run, with how far the whole is."""
        if turn.ran:
            running = ", ".join(other.stage.addressing for other in self._running)
            log.info(
                "%s %s after %s: %d of %d stages%s",
                turn.stage.addressing,
                "failed" if turn.error else "done",
                duration(time.monotonic() - turn.began),
                build.count_settled(),
                len(build.stages),
                f", waiting for {running}" if build.stops and running else "",
            )

    def _work(self, turn: Turn, repo: Any, build: _Order) -> None:
        """Build one stage in a thread of its own."""
        self._own.turn = turn
        try:
            with self._within:
                repo.lock.lock()
                try:
                    turn.result = build.reproduce(turn.stage, **build.how_of(turn.stage))
                finally:
                    repo.lock.unlock()
                    # Connections of this thread.
                    repo.state.close()
        # Whatever it is, the thread that waits for it raises it or says it.
        except BaseException as error:
            turn.error = error
        self._ended.put(turn)

    def _command(self, executable: str | None, command: str, **settings: Any) -> None:
        """DVC's `_run`: a command of a stage, from start to end."""
        turn: Turn | None = getattr(self._own, "turn", None)
        if turn is None:
            wanted = need(self._build, settings["env"]["DVC_STAGE"])
            gpus = self._machine.take(wanted.gpus) or {}
            settings["env"] |= self._machine.environment(wanted, gpus)
            try:
                self._run(executable, command, **settings)
            finally:
                self._machine.give_back(gpus)
            return
        turn.ran = True
        settings["env"] |= self._machine.environment(turn.need, turn.gpus)
        # Its words come through a pipe: let them come as they are said, and bars not ten times a second.
        settings["env"] |= {"PYTHONUNBUFFERED": "1"}
        settings["env"].setdefault("TQDM_MININTERVAL", "5")
        self._within.release()
        try:
            with _labelled(turn.stage.addressing) as (out, error):
                if self._stopped:
                    raise KeyboardInterrupt
                self._run(executable, command, stdout=out, stderr=error, **settings)
        finally:
            self._within.acquire()

    @contextmanager
    def _rwlock_of_stage(self, tmp_dir: str, fs: Any, cmd: str, *paths: Any) -> Iterator[None]:
        """DVC's locks on paths, by which processes keep out of each other's way: of each stage by itself."""
        with self._rwlock(tmp_dir, fs, f"{cmd} ({threading.current_thread().name})", *paths):
            yield


class _Order:
    """Which stages of a build may begin, and what follows from how others have ended: DVC's rules."""

    def __init__(self, stages: list[Any], graph: Any, everything: Any, how: dict[str, Any]) -> None:
        self.stages = stages
        self._graph = graph
        self._how = dict(how)
        # Of an experiment DVC gives one that has Git know what comes of a stage.
        self.reproduce = self._how.pop("repro_fn", importlib.import_module("dvc.repo.reproduce")._reproduce_stage)
        self._on_error = self._how.pop("on_error", "fail")
        self._force_downstream = self._how.pop("force_downstream", False)
        self._force = dict.fromkeys(stages, self._how.pop("force", False))
        own = set(stages)
        # Of frozen stages, too, whose dependencies are looked at, though not reproduced.
        self._waits_for = {stage: own.intersection(everything.successors(stage)) for stage in stages}
        chain: dict[Any, int] = {}
        for stage in reversed(stages):
            chain[stage] = 1 + max((chain.get(other, 0) for other in everything.predecessors(stage)), default=0)
        self._left = sorted(stages, key=lambda stage: -chain[stage])
        self._settled: set[Any] = set()
        self._reproduced: list[Any] = []
        self._failed: list[Any] = []
        self._first: Exception | None = None

    @property
    def stops(self) -> bool:
        """Whether no other stage is to begin."""
        return bool(self._failed) and self._on_error == "fail"

    def ready(self) -> list[Any]:
        """The stages that wait for no other, the longest chain first."""
        return [stage for stage in self._left if self._waits_for[stage] <= self._settled]

    def begun(self, stage: Any) -> None:
        self._left.remove(stage)

    def how_of(self, stage: Any) -> dict[str, Any]:
        """What DVC's `reproduce` of a stage is called with."""
        return {"upstream": list(self._graph.successors(stage)), "force": self._force[stage], **self._how}

    def ended(self, turn: Turn) -> None:
        from dvc.repo.reproduce import handle_error

        self._settled.add(turn.stage)
        if isinstance(turn.error, Exception):
            self._failed.append(turn.stage)
            self._first = self._first or turn.error
            if self._on_error != "fail":
                skipped = handle_error(self._graph, self._on_error, turn.error, turn.stage)
                self._left = [stage for stage in self._left if stage not in skipped]
                self._settled |= skipped.intersection(self.stages)
        elif turn.error:
            raise turn.error
        else:
            if self._force_downstream and (turn.result or self._force[turn.stage]):
                self._force |= dict.fromkeys(self._graph.predecessors(turn.stage), True)
            if turn.result:
                self._reproduced.append(turn.result)

    def count_settled(self) -> int:
        return len(self._settled)

    def result(self) -> list[Any]:
        """Those that were reproduced; raises what DVC raises of those that failed."""
        from dvc.repo.reproduce import _raise_error

        if self._failed and self._on_error != "ignore":
            _raise_error(self._first if self._on_error == "fail" else None, *self._failed)
        return self._reproduced


@contextmanager
def _labelled(name: str) -> Iterator[tuple[int, int]]:
    """Where a stage may write what goes on to standard output and standard error, each line with the stage's name."""
    ends = {os.pipe(): stream for stream in (sys.stdout, sys.stderr)}
    reader = threading.Thread(
        target=_pass_on, args=(name, {read: stream for (read, _), stream in ends.items()}), daemon=True
    )
    reader.start()
    out, error = (write for _, write in ends)
    try:
        yield out, error
    finally:
        os.close(out)
        os.close(error)
        # Something that it has left running may hold the other ends.
        reader.join(PATIENCE_WITH_WORDS)


def _pass_on(name: str, streams: dict[int, TextIO]) -> None:
    """Copy each line from each of `streams`, until all end; of a bar, which returns to the start of its line, now and
    then a state, and the last one."""
    begun = dict.fromkeys(streams, b"")
    said = dict.fromkeys(streams, time.monotonic())
    with selectors.DefaultSelector() as selector:
        for end in streams:
            selector.register(end, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                end = key.fd
                part = os.read(end, 2**16)
                *lines, begun[end] = (begun[end] + part).split(b"\n")
                if not part:
                    lines = [begun[end]]
                elif b"\r" in begun[end]:
                    *states, last = begun[end].split(b"\r")
                    begun[end] = last
                    if time.monotonic() - said[end] > BETWEEN_STATES:
                        lines.append(states[-1])
                for line in lines:
                    shown = line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", "replace")
                    if shown.strip():
                        said[end] = time.monotonic()
                        with suppress(OSError, ValueError):  # nobody listens any more
                            print(f"{name} | {shown}\n", end="", file=streams[end], flush=True)
                if not part:
                    selector.unregister(end)
                    os.close(end)
