"""A file of vectors by key, outside DVC's outputs: of single texts (`texts`), and of pairs, which have one number each.

SQLite, with a checksum for each vector (SQLite has none). Several processes may share a file. Whatever is wrong with it
is a warning, and what it held is computed again; it may be deleted at any time.
"""

from __future__ import annotations

import logging
import sqlite3
import zlib
from pathlib import Path
from typing import Any

import numpy as np

log = logging.getLogger(__name__)
# Keys of a query; SQLite takes 999 at least.
KEYS_AT_ONCE = 500
# What SQLite says of damage may quote it, and be no text itself.
TROUBLE = (sqlite3.Error, OSError, UnicodeError)
DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class VectorStore:
    """A file of vectors; while it cannot be used, `db` is None and nothing is found or kept.

    `lost`: what messages say of what is not there any more.
    """

    def __init__(self, file: Path, lost: str = "texts are encoded again") -> None:
        self.file = file
        self.lost = lost
        self.db: sqlite3.Connection | None = None

    def __enter__(self) -> VectorStore:
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def read(self, keys: list[bytes], vectors: np.ndarray) -> list[int]:
        """Fill in the `vectors` that are there, and return the rows of the others."""
        rows = {key: row for row, key in enumerate(keys)}
        missing, bad = set(range(len(keys))), 0
        for at in range(0, len(keys), KEYS_AT_ONCE):
            part = keys[at : at + KEYS_AT_ONCE]
            marks = ", ".join("?" * len(part))
            try:
                for key, vector, check in self._execute(f"SELECT * FROM vectors WHERE text IN ({marks})", part):
                    # A flipped bit may make a value one of another kind, or the index find another row.
                    whole = isinstance(vector, bytes) and key in rows and len(vector) == vectors[0].nbytes
                    if not whole or zlib.crc32(key + vector) != check:
                        bad += 1
                        continue
                    vectors[rows[key]] = np.frombuffer(vector, np.float32)
                    missing.discard(rows[key])
            except TROUBLE as error:
                self._fail(error)
        if bad:
            log.warning(f"{self.file} is damaged: {bad:,} {self.lost}")
        return sorted(missing)

    def write(self, keys: list[bytes], vectors: np.ndarray, rows: list[int]) -> None:
        """Keep the vectors of `rows`, all or none."""
        held = [(keys[row], vectors[row].tobytes()) for row in rows]
        try:
            self._execute("BEGIN IMMEDIATE")
            if self.db is not None:
                self.db.executemany(
                    "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)",
                    [(key, vector, zlib.crc32(key + vector)) for key, vector in held],
                )
            self._execute("COMMIT")
        except TROUBLE as error:
            self._fail(error)

    def _open(self) -> None:
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.db = sqlite3.connect(self.file, timeout=60, isolation_level=None)
            self.db.execute("CREATE TABLE IF NOT EXISTS vectors (text BLOB PRIMARY KEY, vector BLOB, checksum INTEGER)")
        except TROUBLE as error:
            self._fail(error)

    def _close(self) -> None:
        if self.db is not None:
            self.db.close()
        self.db = None

    def _execute(self, statement: str, values: list[bytes] | tuple[()] = ()) -> Any:
        return self.db.execute(statement, values) if self.db is not None else ()

    def _fail(self, error: Exception) -> None:
        self._close()
        if isinstance(error, UnicodeError) or getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGE:
            log.warning(f"{self.file} is damaged ({error}): its {self.lost}")
            for file in (self.file, self.file.with_name(self.file.name + "-journal")):
                file.unlink(missing_ok=True)
            self._open()
        else:
            log.warning(f"{self.file} cannot be used ({error}): nothing is kept in it")
