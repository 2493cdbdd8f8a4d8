"""Databases of what was paid for: made whole, so that an empty one is what is left of another."""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from filelock import FileLock

from stages.shared.errors import UserError


def connected(path: Path, tables: str) -> sqlite3.Connection:
    """The database `path`; where there is none, one that the statements of `tables` make.

    Raises `OSError` or `sqlite3.Error` if it cannot be used, and `OSError` too if it is empty: SQLite would take that
    for a new one, and what was paid for would be paid for again without a word.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        with FileLock(path.with_name(path.name + ".new.lock")):
            if not path.exists():
                _make(path, tables)
    if path.is_file() and path.stat().st_size == 0:
        raise OSError("it is empty, and was not when it was made: bring it back from a copy if there is one")
    return sqlite3.connect(path, timeout=60, isolation_level=None)


def _make(path: Path, tables: str) -> None:
    draft = path.with_name(path.name + ".new")
    for left in (draft, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))):
        left.unlink(missing_ok=True)  # of a kill, or of a database that is gone: SQLite would put it into the new one
    with contextlib.closing(sqlite3.connect(draft)) as db:
        db.executescript(tables)
    draft.replace(path)


class PaidFor(Protocol):
    """What has a database, at `path`. `setting`: what names it in params.yaml, "" if nothing does."""

    path: Path
    setting: str


Given = ParamSpec("Given")
Gives = TypeVar("Gives")


def told(
    method: Callable[Concatenate[Any, Given], Gives],
) -> Callable[Concatenate[Any, Given], Gives]:
    """A method of a `PaidFor`, whose database errors become a `UserError`."""

    @functools.wraps(method)
    def tells(self: PaidFor, *some: Given.args, **named: Given.kwargs) -> Gives:
        try:
            return method(self, *some, **named)
        except sqlite3.Error as error:
            raise UserError(f"{_place(self)} {_said(error)}") from None

    return tells


def _place(it: PaidFor) -> str:
    return f"{it.setting}: {it.path}" if it.setting else str(it.path)


def _said(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return (
            f"is damaged ({error}): bring it back from a copy, save what is whole with the .recover of sqlite3, or "
            "move it away and have all asked for again"
        )
    if code == sqlite3.SQLITE_BUSY:
        return f"is in use by other processes for too long ({error}): run again when they are done"
    return f"cannot be written ({error}): make room and run again"
