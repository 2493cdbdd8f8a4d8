"""Bad input, what machines do, and signals: one clear sentence, exit code 1, no traceback."""

from __future__ import annotations

import errno
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

from stages.shared import signals, terminal

MORE_MEMORY = "give it more (`ulimit -v`, the limit of the container or job), or lower the batch sizes of params.yaml"
NOT_PERMITTED = "its permissions do not allow it: change them, or work as a user who may"
# What machines do, and the mend.
FAULTS = {
    errno.ENOSPC: "the disk is full: free some space (`python -m tools.disk` says what a study takes)",
    errno.EDQUOT: "the quota of this disk is used up: free some space, or have it raised",
    errno.EFBIG: "the file would be larger than files may be here: raise `ulimit -f`, or use another file system",
    errno.EROFS: "the file system is read-only: work where you may write, or mount it for writing",
    errno.EACCES: NOT_PERMITTED,
    errno.EPERM: NOT_PERMITTED,
    errno.EIO: "the disk fails: look at the log of the system, and copy what is on it",
    errno.EMFILE: "too many files are open: raise `ulimit -n`",
    errno.ENFILE: "too many files are open on this machine: close some",
    errno.ENAMETOOLONG: "the name is too long for this file system: choose a shorter one",
    errno.ENOMEM: f"memory is used up: {MORE_MEMORY}",
    errno.EAGAIN: "no process or thread may be started: raise `ulimit -u`, or lower OMP_NUM_THREADS",
}
# How libraries tell of them, which raise errors of their own (as tried: Polars, PyArrow, SQLite, safetensors, faiss,
# NumPy and torch).
FAULT_WORDS = (
    (r"No space left on device|database or disk is full|\d requested and \d+ written|unexpected pos \d", errno.ENOSPC),
    (r"Disk quota exceeded", errno.EDQUOT),
    (r"File too large", errno.EFBIG),
    (r"Read-only file system|readonly database", errno.EROFS),
    (r"Permission denied|unable to open database file", errno.EACCES),
    (r"Input/output error|disk I/O error", errno.EIO),
    (r"Too many open files", errno.EMFILE),
    (r"(?i)(can't|cannot|unable to) allocate|out of memory|bad_alloc|failed to map segment", errno.ENOMEM),
    (r"can't start new thread|pthread_create failed", errno.EAGAIN),
)
# Of a file's name, letters that a sentence takes.
LONGEST_SAID = 200


class UserError(Exception):
    """Something the user can mend; the message is one sentence that names the place and the mend."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, by which schedulers and containers end what they run: it is handled like Ctrl-C."""


def run(main: Callable[[], None]) -> None:
    """Run a stage's `main`, turning a `UserError`, a fault of the machine or a signal into its sentence and exit
    code 1."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for chatty in ("transformers", "sentence_transformers", "openai", "httpx2", "httpcore2"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    set_environment()
    try:
        with terminal.escaped(), _signals_raised():
            main()
    except UserError as error:
        sys.exit(f"error: {terminal.printable(str(error))}")
    except KeyboardInterrupt as error:
        sys.exit(signals.stopped(isinstance(error, Terminated)))
    except Exception as error:
        if (told := fault(error)) is None:
            raise
        sys.exit(f"error: {terminal.printable(told)}")


def first_line(error: BaseException) -> str:
    """What an error of others says, as a part of a sentence."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")


def fault(error: BaseException | None) -> str | None:
    """The sentence for a full disk, used up memory and the like, if `error` tells of one or comes of one."""
    while error is not None:
        if (number := _number(error)) in FAULTS:
            file = _file(error)
            return f"{file}{': ' if file else ''}{FAULTS[number]}; {signals.AGAIN}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None


def _file(error: BaseException) -> str:
    """The file that an error is about: it says so itself, or `tables.replacing` has noted what was being written."""
    named = str(getattr(error, "filename", None) or "")
    noted = getattr(error, "__notes__", [])
    said = noted[0] if noted and (not named or ".draft" in named) else named
    return said if len(said) <= LONGEST_SAID else f"{said[:LONGEST_SAID]}..."


def _number(error: BaseException) -> int | None:
    if isinstance(error, MemoryError):
        return errno.ENOMEM
    if isinstance(error, OSError) and error.errno:
        return error.errno
    # Others that are built in tell of mistakes of ours.
    if type(error).__module__ != "builtins" or isinstance(error, OSError | RuntimeError | ImportError):
        return next((number for words, number in FAULT_WORDS if re.search(words, str(error))), None)
    return None


def set_environment() -> None:
    """What libraries read when they are imported."""
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_MININTERVAL", "5")  # a log file needs no bar a tenth of a second
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")


def say_faults() -> None:
    """Have faults of the machine told with their sentence also before `run` begins: what is imported needs memory."""
    sys.excepthook = _say


def _say(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if (told := fault(error)) is None:
        sys.__excepthook__(kind, error, trace)
    else:
        print(f"error: {told}", file=sys.stderr)


@contextmanager
def _signals_raised() -> Iterator[None]:
    """In the block, SIGINT and SIGTERM are raised where the process is, so that what it has begun ends well."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if before[signal.SIGINT] is signals.end:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if before[signal.SIGTERM] in (signals.end, signal.SIG_DFL):
        signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _terminate(number: int, _: FrameType | None) -> None:
    raise Terminated
