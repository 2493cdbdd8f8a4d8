"""python -m tools.warm SOCKET MODULE ...: a process that has imported what stages import, and forks what runs them.

Importing torch and sentence-transformers takes seconds, which each stage that uses them would pay anew. `tools.repro`
starts this process once, and has it run the commands `python -m stages.X` of a build: each runs in a process of its
own, forked from this one, with the environment, folder, signals and exit status that it would have by itself. Nothing
of `stages` is imported before: a stage reads its code when it begins. Where there are cores for both, this process
begins while DVC reads the graph, and another one, which imports what takes a second, runs the stages before the base
until this one has imported the rest.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import re
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NoReturn

from stages.shared import errors

# What stages import, in the order in which the first ones of a build need it. None of it starts a thread, which a fork
# would lose, before it is used. What is light takes a second in all, the rest several.
LIGHT = ("polars", "pydantic", "yaml", "langcodes", "regex", "scipy.stats", "datasketch", "pyarrow.parquet")
IMPORTED = (
    *LIGHT,
    "torch",
    "transformers",
    "sentence_transformers",
    "transformers.trainer",
    "datasets",
    "faiss",
)
# What comes before the base and needs no torch.
LIGHT_STAGES = tuple(f"stages.{name}" for name in ("check", "fetch", "corpus", "synthesize", "collect"))
THREADS = "OMP_NUM_THREADS"
# Bytes of a request's length, and what a process says that has imported everything.
LENGTH_BYTES, READY = 8, b"!"
STAGE = re.compile(r"python -m (stages(?:\.\w+)+)((?: [\w.-]+)*)")


class Stage:
    """A stage that runs in a process of its own, as far as DVC looks at what it has started."""

    returncode: int | None = None

    def __init__(self, channel: socket.socket, request: dict[str, Any], streams: list[int]) -> None:
        self._answers, theirs = socket.socketpair()
        with theirs:
            asked = json.dumps(request).encode()
            # Another may follow at once: its own length says where each ends.
            socket.send_fds(channel, [len(asked).to_bytes(LENGTH_BYTES, "big")], [theirs.fileno(), *streams])
            channel.sendall(asked)

    def communicate(self) -> None:
        # Nothing comes of a process that the system has killed, as it kills its stages: for want of memory.
        with self._answers:
            answer = _line(self._answers)
        self.returncode = int(answer) if answer else 128 + signal.SIGKILL


@contextmanager
def stages(cores: int) -> Iterator[None]:
    """In the block, DVC's stages are forked; where that cannot be, they are started as ever."""
    import dvc.stage.run as dvc_run

    # Of two environments each has modules of its own, though their interpreters may be links to one.
    python = shutil.which("python")
    if not hasattr(os, "fork") or not python or not Path(python).parent.samefile(Path(sys.executable).parent):
        yield
        return
    plain = dvc_run.subprocess
    with ExitStack() as ending:
        # With one core DVC would wait for it, and often there is no stage to run.
        begun = [ForkServer(ending, IMPORTED)] if cores > 1 else []
        # Threads ask one after another.
        asking = threading.Lock()

        def start(command: list[str] | str, **settings: Any) -> Any:
            found = None if isinstance(command, str) else STAGE.fullmatch(command[-1])
            # How many threads libraries take they have read when they were imported: a number they can be told anew.
            threads = settings["env"].get(THREADS)
            if found and (threads == os.environ.get(THREADS) or (threads or "").isdecimal()):
                request = {"module": found[1], "arguments": found[2].split()}
                request |= {"folder": settings["cwd"], "environment": settings["env"]}
                streams = [settings.get("stdout") or 1, settings.get("stderr") or 2]
                with asking:
                    if not begun:
                        begun.append(ForkServer(ending, IMPORTED))
                    server = begun[0]
                    if cores > 1 and found[1] in LIGHT_STAGES and not server.is_ready():
                        if len(begun) == 1:
                            begun.append(ForkServer(ending, LIGHT))
                        server = begun[1]
                    if server.process.poll() is None:
                        with contextlib.suppress(OSError):  # it has ended just now
                            return Stage(server.channel, request, streams)
            return subprocess.Popen(command, **settings)

        dvc_run.subprocess = Starts(start)
        try:
            yield
        finally:
            dvc_run.subprocess = plain


class ForkServer:
    """A process that forks stages, which ends with `ending`, and how to ask it."""

    def __init__(self, ending: ExitStack, modules: tuple[str, ...]) -> None:
        self.channel, theirs = socket.socketpair()
        ending.enter_context(self.channel)
        with theirs:
            command = [sys.executable, "-m", "tools.warm", str(theirs.fileno()), *modules]
            own = Path(__file__).parents[1]  # where `tools` is found
            self.process = ending.enter_context(subprocess.Popen(command, cwd=own, pass_fds=[theirs.fileno()]))
        # Whatever it imports just then; a stage is not running any more, or has been told to end.
        ending.callback(self.process.terminate)
        self._ready = False

    def is_ready(self) -> bool:
        """Whether it has imported everything, of which it says so once."""
        if not self._ready and select.select([self.channel], [], [], 0)[0]:
            with contextlib.suppress(ConnectionError):  # it has ended just now
                self._ready = self.channel.recv(1) == READY
        return self._ready


class Starts:
    """What DVC takes for the module `subprocess` where it runs a stage's command."""

    def __init__(self, start: Callable[..., Any]) -> None:
        self.Popen = start

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)


def serve(channel: socket.socket, modules: list[str]) -> dict[str, Any] | None:
    """Import `modules` and run the stages that requests name, each of which comes with where its status and its words
    go to; None when no more come. In the process of a stage, return what was asked for."""
    left, children = deque(modules), dict[int, socket.socket]()
    # A stage that ends wakes what waits for the next one.
    woken, wakes = socket.socketpair()
    wakes.setblocking(False)
    signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready, _, _ = select.select([channel, woken], [], [], 0 if left else None)
        if woken in ready:
            woken.recv(2**16)
        for child in list(children):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                with children.pop(child) as answers, contextlib.suppress(ConnectionError):
                    answers.sendall(b"%d\n" % (code if code >= 0 else 128 - code))
        if channel in ready:
            length, passed, *_ = socket.recv_fds(channel, LENGTH_BYTES, 3)
            asked = channel.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL) if length else b""
            if not asked:
                return None
            sys.stdout.flush()
            sys.stderr.flush()
            # What is there already is never garbage: looked at, its memory would be copied.
            gc.freeze()
            child = os.fork()
            if not child:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for place, stream in enumerate(passed[1:], 1):
                    os.dup2(stream, place)
                for one in (*passed, woken.detach(), wakes.detach(), *(c.detach() for c in children.values())):
                    os.close(one)
                return json.loads(asked)
            children[child] = socket.socket(fileno=passed[0])
            for stream in passed[1:]:
                os.close(stream)
        elif left:
            # A stage that cannot do without it says so itself.
            with contextlib.suppress(Exception):
                importlib.import_module(left.popleft())
            if not left:
                with contextlib.suppress(ConnectionError):
                    channel.sendall(READY)


def _line(channel: socket.socket) -> bytes:
    """What comes until the end of a line; nothing if the other side has ended."""
    found = b""
    while not found.endswith(b"\n"):
        try:
            part = channel.recv(2**16)
        except ConnectionError:
            return b""
        if not part:
            return b""
        found += part
    return found


def begin(request: dict[str, Any]) -> None:
    """Be the process of `python -m MODULE ARGUMENT ...`."""
    # Absolute, as Python has it.
    os.chdir(request["folder"])
    imported_with = os.environ.get(THREADS)
    os.environ.clear()
    os.environ.update(request["environment"])
    for name in [name for name in sys.modules if name.partition(".")[0] in ("stages", "tools")]:
        del sys.modules[name]
    sys.path[0] = request["folder"]
    if "PYTHONUNBUFFERED" in os.environ:
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    if "torch" in sys.modules and (threads := os.environ.get(THREADS)) and threads != imported_with:
        limit_threads(int(threads))
    # As Python has it while it looks for the module.
    sys.argv = ["-m", *request["arguments"]]
    runpy.run_module(request["module"], run_name="__main__", alter_sys=True)


def limit_threads(count: int) -> None:
    """Have what is imported take `count` threads, as it would if the environment had said so before."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(count)
    # Of BLAS and OpenMP, torch's own included.
    threadpool_limits(count)


def end(work: Callable[[], None]) -> NoReturn:
    """Do `work` and end as Python does after it, but for taking thousands of modules down one by one."""
    code: Any = 0
    try:
        work()
    except SystemExit as stopped:
        code = stopped.code or 0
        if not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code & 0xFF)


def main() -> None:
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        # Ctrl-C is for the stage that runs, unless it is for none, as of jobs in the background.
        ignored = signal.signal(signal.SIGINT, signal.SIG_IGN) == signal.SIG_IGN
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        errors.set_environment()
        request = serve(channel, sys.argv[2:])
    if request:
        if not ignored:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        end(lambda: begin(request))


if __name__ == "__main__":
    main()
