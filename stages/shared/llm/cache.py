"""Every reply ever paid for, in one SQLite file that all experiments, worktrees and processes share.

A reply is committed before its request counts as done, so a kill loses the requests in flight and nothing else. Who
sends a request first claims it; a claim ends with the process that made it, since it holds as long as a lock file
that the operating system lets go of. Each reply has a checksum, and one that it does not fit is asked for again.
`recorded` is the same cache, read from a file and read-only.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
import threading
import time
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from stages.shared import jsonl
from stages.shared.endpoint import kept
from stages.shared.endpoint.usage import whole
from stages.shared.errors import UserError
from stages.shared.llm.request import BROKEN_OFF, Reply, Request

log = logging.getLogger(__name__)
CACHE_VERSION = 1
# Apart from the replies, so that caches without it can be read, and an earlier version of the code reads this one.
CHECKSUM_TABLE = "CREATE TABLE IF NOT EXISTS checksums (key TEXT PRIMARY KEY, checksum INTEGER NOT NULL) WITHOUT ROWID;"
CACHE_TABLES = f"""
CREATE TABLE replies (
    key TEXT PRIMARY KEY,
    model TEXT, form TEXT, size INTEGER, expected INTEGER, request TEXT,
    content TEXT, finish TEXT NOT NULL, refusal TEXT, prompt_tokens INTEGER, completion_tokens INTEGER
) WITHOUT ROWID;
CREATE TABLE claims (key TEXT PRIMARY KEY, run TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE batches (
    tag TEXT PRIMARY KEY,
    endpoint TEXT NOT NULL, run TEXT NOT NULL, batch TEXT
) WITHOUT ROWID;
CREATE TABLE batched (
    key TEXT,
    model TEXT, form TEXT, size INTEGER, expected INTEGER, request TEXT,
    tag TEXT,
    PRIMARY KEY (key, tag)
) WITHOUT ROWID;
CREATE TABLE lost (key TEXT PRIMARY KEY, attempts INTEGER NOT NULL) WITHOUT ROWID;
{CHECKSUM_TABLE}
PRAGMA user_version={CACHE_VERSION};
"""
REPLY = "content, finish, refusal, prompt_tokens, completion_tokens"
# Committed replies outlive the process at once, and a power cut after at most so many seconds.
SYNC_SECONDS = 1.0


class Cache:
    setting = "llm.cache"

    def __init__(self, path: Path) -> None:
        """Open the file, or make it. Raises `UserError` if it is no cache of this version."""
        self.path = path
        try:
            self._db = kept.connected(path, f"PRAGMA journal_mode=WAL; {CACHE_TABLES}")
            self._write_ahead()
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute("PRAGMA wal_autocheckpoint=0")  # `_sync` does it
            # What is damaged is seen by its checksum, and not by the error of a codec.
            self._db.text_factory = lambda held: held.decode("utf-8", "surrogateescape")
            found = self._db.execute("PRAGMA user_version").fetchone()[0]
            if found == CACHE_VERSION:
                self._add_checksums()
        except (sqlite3.Error, OSError) as error:
            raise UserError(f"llm.cache: {path} cannot be used ({error}): name another file or move it away") from None
        if found == 0:
            raise UserError(f"llm.cache: {path} cannot be used (it is another database): name another file")
        if found != CACHE_VERSION:
            raise UserError(f"llm.cache: {path} has version {found}, this code {CACHE_VERSION}: name another file")
        self._dropped = 0
        self.run = uuid.uuid4().hex
        self._locks = path.with_name(path.name + ".runs")
        self._locks.mkdir(exist_ok=True)
        self._lock = FileLock(self._locks / self.run)
        self._lock.acquire()
        self._syncing: threading.Thread | None = None
        self._closing = threading.Event()

    def _write_ahead(self) -> None:
        """Set the journal's mode. Processes that open a new file at once lock each other out, and for that SQLite does
        not wait by itself."""
        until = time.monotonic() + 60
        while True:
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(0.01)

    def _add_checksums(self) -> None:
        """Give the replies of a cache that was made before there were checksums theirs."""
        if self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'checksums'").fetchone():
            return
        with self._writing():
            self._db.execute(CHECKSUM_TABLE)
            rows = self._db.execute(f"SELECT key, {REPLY} FROM replies WHERE key NOT IN (SELECT key FROM checksums)")
            for key, *fields in rows:
                self._db.execute("INSERT INTO checksums VALUES (?, ?)", (key, _checksum(key, Reply(*fields))))
        if count := self._db.execute("SELECT COUNT(*) FROM checksums").fetchone()[0]:
            log.info(f"{self.path}: its {count:,} replies have checksums from now on")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """A transaction: all of the block is kept, or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # the error itself may have ended it
                self._db.execute("ROLLBACK")
            raise

    def close(self) -> None:
        if self._dropped:
            log.warning(f"{self.path}: {self._dropped:,} replies were damaged or broken off, and are asked for again")
        self._closing.set()
        if self._syncing is not None:
            self._syncing.join()
        with contextlib.suppress(sqlite3.Error):  # a full disk: the claims end with the lock
            self._db.execute("DELETE FROM claims WHERE run = ?", (self.run,))
        self._db.close()
        self._lock.release()
        (self._locks / self.run).unlink(missing_ok=True)

    # ── replies ──

    @kept.told
    def get(self, key: str) -> Reply | None:
        """The reply to a request. One that is damaged is none, and neither is one that the endpoint broke off, which
        earlier versions kept: both are dropped, and count as lost."""
        reply, whole_one = self._read(key)
        if reply is None or whole_one:
            return reply
        with self._writing():
            if not self._read(key)[1]:  # still, and no better one of another process
                for table in ("replies", "checksums"):
                    self._db.execute(f"DELETE FROM {table} WHERE key = ?", (key,))
                self._lose(key)
                self._dropped += 1
        return self._read(key)[0]

    def _read(self, key: str) -> tuple[Reply | None, bool]:
        """The reply as it is in the file, and whether it is one."""
        row = self._db.execute(
            f"SELECT checksum, {REPLY} FROM replies LEFT JOIN checksums USING (key) WHERE key = ?", (key,)
        ).fetchone()
        if row is None:
            return None, True
        checksum, reply = row[0], Reply(*row[1:])
        fits = checksum is None or checksum == _checksum(key, reply)
        return _accountable(reply), fits and reply.finish != BROKEN_OFF

    @kept.told
    def put(self, request: Request, reply: Reply) -> None:
        """Keep a reply and end its request's claim, both or neither."""
        row = (*_head(request), *reply)
        with self._writing():
            self._insert(f"VALUES ({', '.join('?' * len(row))})", row, request.key, reply)
            self._db.execute("DELETE FROM claims WHERE key = ?", (request.key,))
        if self._syncing is None:
            self._syncing = threading.Thread(target=self._sync, daemon=True)
            self._syncing.start()

    def _insert(self, values: str, row: tuple[Any, ...], key: str, reply: Reply) -> None:
        """Insert a reply, unless there is one."""
        if self._db.execute(f"INSERT OR IGNORE INTO replies {values}", row).rowcount:
            self._db.execute("INSERT OR REPLACE INTO checksums VALUES (?, ?)", (key, _checksum(key, reply)))

    def _sync(self) -> None:
        """Bring commits to the disk every so often, on a thread of its own: no reply waits for it."""
        db = sqlite3.connect(self.path, timeout=60, isolation_level=None)
        while not self._closing.wait(SYNC_SECONDS):
            with contextlib.suppress(sqlite3.Error):  # busy: next time; whatever else it is, others meet it as well
                db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        db.close()

    @kept.told
    def rates(self, model: str) -> dict[str, tuple[float, float]]:
        """By form, over the model's replies: tokens sent per byte, and tokens replied per byte expected."""
        rows = self._db.execute(
            "SELECT form, SUM(prompt_tokens) * 1.0 / SUM(size), SUM(completion_tokens) * 1.0 / SUM(expected) "
            "FROM replies WHERE model = ? AND prompt_tokens > 0 AND completion_tokens IS NOT NULL GROUP BY form",
            (model,),
        )
        return {form: (sent, replied) for form, sent, replied in rows}

    @kept.told
    def lose(self, key: str) -> None:
        """Remember an attempt whose reply was lost, and which may have been billed."""
        self._lose(key)

    def _lose(self, key: str) -> None:
        self._db.execute(
            "INSERT INTO lost VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET attempts = attempts + 1", (key,)
        )

    @kept.told
    def lost(self, key: str) -> int:
        row = self._db.execute("SELECT attempts FROM lost WHERE key = ?", (key,)).fetchone()
        return row[0] if row else 0

    # ── claims ──

    @kept.told
    def claim(self, key: str) -> bool:
        """Whether this process may send the request; if not, another that is alive is about to, or just has."""
        free = "INSERT OR IGNORE INTO claims SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM replies WHERE key = ?)"
        if self._db.execute(free, (key, self.run, key)).rowcount:
            return True
        row = self._db.execute("SELECT run FROM claims WHERE key = ?", (key,)).fetchone()
        if row is None or self._alive(row[0]):
            return False
        # Of several that find the claim orphaned, one takes it over.
        taken = "UPDATE claims SET run = ? WHERE key = ? AND run = ?"
        return self._db.execute(taken, (self.run, key, row[0])).rowcount == 1

    @kept.told
    def release(self, key: str) -> None:
        self._db.execute("DELETE FROM claims WHERE key = ? AND run = ?", (key, self.run))

    def _alive(self, run: str) -> bool:
        if run == self.run:
            return True
        file = self._locks / run
        if not file.exists():
            return False
        try:
            with FileLock(file, timeout=0):
                file.unlink(missing_ok=True)
                return False
        except Timeout:
            return True

    # ── batches ──

    @kept.told
    def open_batch(self, tag: str, endpoint: str, requests: list[Request]) -> list[Request]:
        """Remember that a batch is about to be submitted; return its requests, without those that are in another open
        batch of the endpoint, that a live process is just sending, or that have a reply by now."""
        with self._writing():
            known = self.batched(endpoint)
            claims = self._db.execute("SELECT key, run FROM claims WHERE run != ?", (self.run,)).fetchall()
            alive = {run for run in {run for _, run in claims} if self._alive(run)}
            known |= {key for key, run in claims if run in alive}
            mine = [r for r in requests if r.key not in known and self._read(r.key)[0] is None]
            self._db.execute("INSERT INTO batches (tag, endpoint, run) VALUES (?, ?, ?)", (tag, endpoint, self.run))
            self._db.executemany("INSERT INTO batched VALUES (?, ?, ?, ?, ?, ?, ?)", [(*_head(r), tag) for r in mine])
        return mine

    @kept.told
    def name_batch(self, tag: str, batch: str) -> None:
        self._db.execute("UPDATE batches SET batch = ?, run = ? WHERE tag = ?", (batch, self.run, tag))

    @kept.told
    def close_batch(self, tag: str, replies: dict[str, Reply]) -> None:
        """Keep a batch's replies and forget the batch, both or neither."""
        marks = ", ".join("?" * len(Reply._fields))
        head = f"SELECT key, model, form, size, expected, request, {marks} FROM batched WHERE key = ? AND tag = ?"
        with self._writing():
            for key, reply in replies.items():
                self._insert(head, (*reply, key, tag), key, reply)
            self._db.execute("DELETE FROM batched WHERE tag = ?", (tag,))
            self._db.execute("DELETE FROM batches WHERE tag = ?", (tag,))

    @kept.told
    def batched(self, endpoint: str) -> set[str]:
        """The keys of all requests in batches of the endpoint that are not collected."""
        here = "SELECT key FROM batched WHERE tag IN (SELECT tag FROM batches WHERE endpoint = ?)"
        return {row[0] for row in self._db.execute(here, (endpoint,))}

    @kept.told
    def forget_batches(self) -> list[str]:
        """Give up all batches that are not collected; return what is known of each."""
        found = self._db.execute("SELECT tag, batch, endpoint FROM batches ORDER BY tag").fetchall()
        for tag, _, _ in found:
            self.close_batch(tag, {})
        return [f"{batch or 'a batch without an id'} at {endpoint}" for _, batch, endpoint in found]

    @kept.told
    def open_batches(self, endpoint: str) -> list[OpenBatch]:
        rows = self._db.execute("SELECT tag, batch, run FROM batches WHERE endpoint = ? ORDER BY tag", (endpoint,))
        return [
            OpenBatch(
                tag,
                batch,
                {row[0] for row in self._db.execute("SELECT key FROM batched WHERE tag = ?", (tag,))},
                run != self.run and self._alive(run),
            )
            for tag, batch, run in rows.fetchall()
        ]


class OpenBatch(NamedTuple):
    """A batch that is not collected. `name` is None until the endpoint has named it; `taken`: by a live process."""

    tag: str
    name: str | None
    keys: set[str]
    taken: bool


def _head(request: Request) -> tuple[Any, ...]:
    """The columns that a reply shares with the request it answers."""
    asked = json.dumps(request.body("schema"), ensure_ascii=False, sort_keys=True)
    expected = len(request.stand_in.encode())
    return request.key, request.llm.model, request.form.__name__, request.size, expected, asked


def _checksum(key: str, reply: Reply) -> int:
    return zlib.crc32(json.dumps([key, *reply]).encode())


def _accountable(reply: Reply) -> Reply:
    """The reply with counts that are some: what earlier versions took from the endpoint as it was may be none."""
    return reply._replace(prompt_tokens=whole(reply.prompt_tokens), completion_tokens=whole(reply.completion_tokens))


class Recorded(Cache):
    """Replies from a file of JSON lines {key, content, ...}: the same lookups, and nothing is written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = sqlite3.connect(":memory:", isolation_level=None)
        for statement in CACHE_TABLES.split(";"):
            self._db.execute(statement)
        self._db.execute("BEGIN")
        self._db.executemany(
            f"INSERT OR IGNORE INTO replies (key, {REPLY}) VALUES (?, ?, ?, ?, ?, ?)", _recorded_rows(path)
        )
        self._db.execute("COMMIT")

    def get(self, key: str) -> Reply | None:
        return self._read(key)[0]

    def put(self, request: Request, reply: Reply) -> None:
        raise NotImplementedError("recorded replies are read-only")

    def close(self) -> None:
        self._db.close()


# What else a recorded row may hold.
OPTIONAL: dict[str, Any] = {
    "finish": str,
    "refusal": str | None,
    "prompt_tokens": int | None,
    "completion_tokens": int | None,
}


def _recorded_rows(path: Path) -> Iterator[tuple[Any, ...]]:
    for place, row in jsonl.rows(path):
        if not isinstance(row.get("key"), str) or not isinstance(row.get("content", ...), str | None):
            raise UserError(f"{place} is no recorded reply: it needs a text 'key', and 'content', a text or null")
        others = [row.get(name, Reply._field_defaults[name]) for name in OPTIONAL]
        for value, (name, kind) in zip(others, OPTIONAL.items(), strict=True):
            if not isinstance(value, kind):
                raise UserError(f"{place} is no recorded reply: its {name!r} is {value!r}")
        yield row["key"], row["content"], *others


def recorded_row(key: str, task: str, reply: Reply) -> dict[str, Any]:
    """The row that `Recorded` reads a reply from; what is as by default is left out."""
    row: dict[str, Any] = {"key": key, "task": task, "content": reply.content}
    defaults = Reply._field_defaults
    return row | {n: v for n, v in reply._asdict().items() if n != "content" and v != defaults[n]}


def path_of(cache: str | None, root: Path) -> Path:
    """`llm.cache` as a path: relative ones count from the main checkout, which all experiments share."""
    return root / ".state" / "llm.sqlite" if cache is None else root / Path(cache).expanduser()
