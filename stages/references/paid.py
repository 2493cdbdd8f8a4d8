"""Every vector ever paid for, in one SQLite file that all experiments and worktrees share.

A vector is found again by all that shapes it: the model, the dimension that was asked for, what was sent beside the
text, the text and its role. Nothing that this project or a library computes is part of it, so that no upgrade pays
twice. It is committed before its request counts as done. Who asks holds a lock file, which the operating system lets go
of with the process: others wait, and then find what came.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock, Timeout

from stages.shared.endpoint import kept
from stages.shared.errors import UserError

log = logging.getLogger(__name__)
PAID_TABLES = """
CREATE TABLE IF NOT EXISTS vectors (
    key BLOB PRIMARY KEY, source BLOB NOT NULL, vector BLOB NOT NULL, tokens REAL, checksum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sources ON vectors (source);
CREATE TABLE IF NOT EXISTS lost (key BLOB PRIMARY KEY, attempts INTEGER NOT NULL) WITHOUT ROWID;
"""


class PaidVector(NamedTuple):
    vector: np.ndarray  # float32, as the endpoint gave it
    tokens: float | None  # its share of those that the endpoint counted; None: it did not say


class Paid:
    """The vectors of one source: a model, and how it is asked. A context manager that closes the file."""

    setting = ""

    def __init__(self, path: Path, source: list[Any]) -> None:
        """Open the file, or make it; raises `UserError` if it cannot be used."""
        self.path = path
        self.source = _digest(source)
        try:
            self._db = kept.connected(path, PAID_TABLES)
            for statement in PAID_TABLES.split(";"):
                self._db.execute(statement)
        except (sqlite3.Error, OSError) as error:
            raise UserError(f"{path} cannot be used ({error}): mend it or move it away") from None

    def __enter__(self) -> Paid:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def key(self, shaping: list[Any]) -> bytes:
        """The key of a vector of this source that `shaping` (JSON) tells from its others."""
        return hashlib.sha256(self.source + _digest(shaping)).digest()

    @kept.told
    def get(self, key: bytes) -> PaidVector | None:
        found = self._db.execute("SELECT vector, tokens, checksum FROM vectors WHERE key = ?", (key,)).fetchone()
        if found is None:
            return None
        vector, tokens, checksum = found
        if not isinstance(vector, bytes) or zlib.crc32(key + vector) != checksum:
            log.warning(f"{self.path} is damaged: a text is asked for again")
            return None
        return PaidVector(np.frombuffer(vector, np.float32), tokens)

    @kept.told
    def put(self, vectors: dict[bytes, PaidVector]) -> None:
        """Keep the vectors, all or none."""
        rows = [
            (key, self.source, held := paid.vector.tobytes(), paid.tokens, zlib.crc32(key + held))
            for key, paid in vectors.items()
        ]
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?, ?)", rows)
        self._db.execute("COMMIT")

    @kept.told
    def dimension(self) -> int | None:
        """That of the vectors that are kept, if any are."""
        found = self._db.execute("SELECT length(vector) FROM vectors WHERE source = ? LIMIT 1", (self.source,))
        row = found.fetchone()
        return row[0] // 4 if row else None

    @kept.told
    def lose(self, keys: list[bytes]) -> None:
        """Remember an attempt whose reply was lost, and which may have been billed."""
        self._db.executemany(
            "INSERT INTO lost VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET attempts = attempts + 1",
            [(key,) for key in keys],
        )

    @kept.told
    def lost(self, key: bytes) -> int:
        row = self._db.execute("SELECT attempts FROM lost WHERE key = ?", (key,)).fetchone()
        return row[0] if row else 0

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """In the block, no other process asks."""
        lock = FileLock(self.path.with_name(self.path.name + ".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.info("another process asks an endpoint for vectors: waiting for it")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()


def _digest(value: list[Any]) -> bytes:
    return hashlib.sha256(json.dumps(value, ensure_ascii=False, sort_keys=True).encode()).digest()
