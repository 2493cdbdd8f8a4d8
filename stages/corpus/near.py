"""Which texts are nearly the same, among more than memory holds.

Locality-sensitive hashing proposes (a text's bands of MinHash values; Leskovec, Rajaraman & Ullman, Mining of Massive
Datasets, section 3.4), and what it proposes is counted on the texts. Bands lie in a file each, and one at a time is
looked through for buckets of several texts. Only texts in such buckets, most often few, are ever looked up again: their
numbers stay in memory and their characters in a file.
"""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl

from stages.shared import duplicates, sketches

# Of a bucket no larger, every text is compared with those after it; of a larger one, those that began something new.
SMALL = 16
COMPARED = 32  # texts that one is compared with, at most: those of its smallest buckets, which say most
NONE = 2**32 - 1


class Near:
    """An index of texts, numbered in the order in which they are added: `add` all, `close`, then `put` those that
    `proposed` names, then `search` and `insert` them one by one."""

    def __init__(self, folder: Path, threshold: float) -> None:
        folder.mkdir(parents=True)
        self.folder, self.threshold = folder, threshold
        self.bands, _ = duplicates.bands(threshold)

    def add(self, texts: pl.DataFrame) -> None:
        """Add `plain` texts, row by row."""
        keys = np.stack([sketches.keys(column, self.threshold) for column in texts], axis=1)
        for band, column in enumerate(keys.reshape(-1, self.bands).T):
            with self._band(band).open("ab") as file:
                column.tofile(file)

    def close(self, distinct: np.ndarray) -> None:
        """Look for buckets among the texts that `distinct` (bool, shape [texts]) is true for.

        Afterwards `proposed` (uint32, ascending) are the texts that share a bucket with others.
        """
        texts = np.flatnonzero(distinct).astype(np.uint32)
        counts = np.zeros(len(distinct), np.uint8)
        sizes: list[np.ndarray] = []
        buckets_before = 0
        for band in range(self.bands):
            keys = np.fromfile(self._band(band), np.uint64) if len(distinct) else np.zeros(0, np.uint64)
            first = sketches.firsts(keys[texts])
            size = np.bincount(first, minlength=len(texts)).astype(np.uint32)
            shared = np.flatnonzero(size[first] > 1)
            bucket = buckets_before + np.cumsum(size > 1, dtype=np.uint32)[first[shared]] - np.uint32(1)
            sizes.append(size[size > 1])
            buckets_before += len(sizes[-1])
            counts[texts[shared]] += 1
            np.save(self._members(band), np.stack([texts[shared], bucket]))
            self._band(band).unlink(missing_ok=True)
        self.proposed = np.flatnonzero(counts).astype(np.uint32)
        self._place = np.full(len(distinct), NONE, np.uint32)
        self._place[self.proposed] = np.arange(len(self.proposed))
        self._starts = np.concatenate([[0], np.cumsum(counts[self.proposed], dtype=np.int64)])
        self._buckets = np.empty(self._starts[-1], np.uint32)
        filled = self._starts[:-1].copy()
        for band in range(self.bands):
            members, buckets = np.load(self._members(band), mmap_mode="r")
            places = self._place[members]
            self._buckets[filled[places]] = buckets
            filled[places] += 1
        self._sizes = array("I", b"".join(size.tobytes() for size in sizes))
        # Of each bucket the text last inserted, as a number of `_inserted`, and there the one before it.
        self._last = array("I", [NONE]) * len(self._sizes)
        self._inserted, self._before = array("I"), array("I")
        self._depth = bytearray(len(distinct))  # 1: inserted into small buckets, 2: into all

    def put(self, texts: Iterator[pl.Series]) -> None:
        """Keep the `proposed` texts, in their order."""
        ends = [np.zeros(1, np.int64)]
        with (self.folder / "texts").open("wb") as file:
            file.write(b"\0")  # no empty file can be mapped
            for part in texts:
                ends.append(ends[-1][-1] + np.cumsum(part.str.len_bytes().to_numpy().astype(np.int64)))
                file.write("".join(part).encode())
        self._ends = np.concatenate(ends) + 1
        with (self.folder / "texts").open("rb") as file:
            self._texts = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._grams = lru_cache(maxsize=128)(self._read)

    def search(self, text: int) -> list[int]:
        """The inserted texts that `text` is nearly the same as."""
        compared = {text}
        found = []
        for bucket in sorted(self._buckets_of(text), key=self._sizes.__getitem__):
            at = self._last[bucket]
            while at != NONE and len(compared) <= COMPARED:
                other, at = self._inserted[at], self._before[at]
                if other not in compared:
                    compared.add(other)
                    if _similar(self._grams(text), self._grams(other), self.threshold):
                        found.append(other)
        return found

    def insert(self, text: int, everywhere: bool) -> None:
        """Let `text` be found by others: in all of its buckets, or in those alone that are small (once is enough)."""
        depth, self._depth[text] = self._depth[text], max(self._depth[text], 1 + everywhere)
        for bucket in self._buckets_of(text):
            if (depth < 1) if self._sizes[bucket] <= SMALL else (everywhere and depth < 2):
                self._before.append(self._last[bucket])
                self._last[bucket] = len(self._inserted)
                self._inserted.append(text)

    def _buckets_of(self, text: int) -> list[int]:
        place = int(self._place[text])
        return [] if place == NONE else self._buckets[self._starts[place] : self._starts[place + 1]].tolist()

    def _read(self, text: int) -> set[str]:
        place = int(self._place[text])
        return duplicates.grams(self._texts[self._ends[place] : self._ends[place + 1]].decode())

    def _band(self, band: int) -> Path:
        return self.folder / f"band{band}"

    def _members(self, band: int) -> Path:
        return self.folder / f"members{band}.npy"


def _similar(left: set[str], right: set[str], threshold: float) -> bool:
    if min(len(left), len(right)) / max(len(left), len(right)) < threshold:
        return False
    return duplicates.jaccard(left, right) >= threshold
