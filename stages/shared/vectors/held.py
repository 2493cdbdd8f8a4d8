"""Where the vectors of many passages are while they are searched: in memory, or in a mapped file beyond a budget.

The file has no name, so that nothing is left of it however the process ends, and lies in `.state/`. Its room is taken
before it is written: on a full disk that is an error, and no signal later.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from stages.shared.encoder import encode_distinct
from stages.shared.roles import Encoder
from stages.shared.search import PassageVectors
from stages.shared.state import STATE
from stages.shared.vectors.blocks import KeptBlocks

GIGABYTE = 2**30
# Texts encoded at once by what keeps no vectors: a multiple of usual batches.
HELD_AT_ONCE = 2**16


class Holder:
    """Holds the vectors of passages in half of `memory` gigabytes, or in a file, as float32 or `precision` float16.

    Half, since those of a language may be taken out of all, and blocks and texts need room.
    """

    def __init__(self, memory: float, precision: str = "float32") -> None:
        self.most = int(memory * GIGABYTE) // 2
        self.dtype = np.dtype(precision)

    def empty(self, shape: tuple[int, ...]) -> np.ndarray:
        """Room for vectors, whose values are any."""
        size = int(np.prod(shape)) * self.dtype.itemsize
        if size <= self.most:
            return np.empty(shape, self.dtype)
        Path(STATE).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=STATE) as file:
            os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, self.dtype, "r+", shape=shape)

    def passages(self, encoder: Encoder, texts: list[str]) -> np.ndarray:
        """The vectors of `texts`, shape [len(texts), dimension]; equal ones of a turn are encoded once."""
        if isinstance(encoder, KeptBlocks):
            return encoder.encode(texts, "passage", self.empty)
        found: np.ndarray | None = None
        for begin in range(0, len(texts), HELD_AT_ONCE):
            vectors = encode_distinct(encoder, texts[begin : begin + HELD_AT_ONCE], "passage")
            if found is None:
                found = self.empty((len(texts), vectors.shape[1]))
            found[begin : begin + HELD_AT_ONCE] = vectors
        return encoder.encode([], "passage") if found is None else found

    def taken(self, vectors: PassageVectors, rows: np.ndarray) -> PassageVectors:
        """`vectors[rows]`, in memory or a file as they are."""
        if not isinstance(vectors, np.memmap):
            return vectors[rows]
        found = self.empty((len(rows), vectors.shape[1]))
        for begin in range(0, len(rows), HELD_AT_ONCE):
            found[begin : begin + HELD_AT_ONCE] = vectors[rows[begin : begin + HELD_AT_ONCE]]
        return found
