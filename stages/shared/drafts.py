"""Drafts: what is written aside until it is whole, and then takes its place at once.

They lie in `.drafts` of the top folder that their target is in (`models/.drafts` for models, that of `.state` for what
is kept): on its file system, where no stage looks, and which neither DVC nor Git sees. A process holds the lock file of
each of its drafts, and the operating system lets go of it with the process: what a killed one has left goes when the
next draft is made there, or with `python -m tools.tidy`, and that of a living one never does.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from stages.shared.state import STATE

log = logging.getLogger(__name__)
DRAFTS = ".drafts"
HELD = ".lock"


@contextlib.contextmanager
def draft(path: Path) -> Iterator[Path]:
    """Yield where a draft of `path`, a file or folder, may be written; what is there when the block ends goes."""
    folder = place(path)
    clear(folder)
    lock, found = _own(folder)
    try:
        yield found
    finally:
        _remove(lock, found)


def put(draft: Path, path: Path) -> None:
    """Have `draft` take the place of `path`, of which at no moment a part is there."""
    if path.is_dir():
        path.rename(_replaced(draft))
    draft.replace(path)


def place(path: Path) -> Path:
    """Where drafts of `path` lie, whose folder must be there."""
    parent = Path.cwd() / path.parent  # as it is named: a folder that is a link to another disk has drafts of its own
    within = {STATE: 0, Path.cwd(): 1}  # of the checkout the top folder is one in it
    for root, least in within.items():
        if parent.is_relative_to(root):
            parts = parent.relative_to(root).parts
            tops = [root.joinpath(*parts[:depth]) for depth in range(min(least, len(parts)), len(parts) + 1)]
            return next(top for top in tops if top.stat().st_dev == parent.stat().st_dev) / DRAFTS
    return parent / DRAFTS


def clear(folder: Path) -> None:
    """Remove from `folder`, a `place` of drafts, those of processes that are gone."""
    for file in sorted(folder.glob(f"*{HELD}")):
        lock = FileLock(file)
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError):  # its process lives, or it cannot be told
            continue
        log.info(f"{folder}: what a process that was killed was writing is removed")
        _remove(lock, file.with_suffix(""))


def clear_all() -> None:
    """`clear` all places of drafts of this checkout, and that of the state."""
    for folder in [Path(DRAFTS), *Path().glob(f"*/{DRAFTS}"), STATE / DRAFTS]:
        clear(folder)


def _own(folder: Path) -> tuple[FileLock, Path]:
    """A draft that is this process's own, and its lock."""
    while True:
        folder.mkdir(exist_ok=True)
        found = folder / secrets.token_hex(8)
        lock = FileLock(found.with_suffix(HELD))
        # Between any two steps another process may clear the lock file, or the folder with it.
        with contextlib.suppress(Timeout, FileNotFoundError):
            lock.acquire(timeout=0)
            return lock, found


def _remove(lock: FileLock, draft: Path) -> None:
    for left in (draft, _replaced(draft)):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink(missing_ok=True)
    Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()
    with contextlib.suppress(OSError):  # others' drafts are in it
        draft.parent.rmdir()


def _replaced(draft: Path) -> Path:
    """Where lies what a draft takes the place of."""
    return draft.with_suffix(".old")
