"""Vectors of many texts, kept outside DVC's outputs: what was encoded once is not encoded again, nor lost in a kill.

Texts are cut into blocks by their content, as rsync cuts files, so that a text that comes or goes changes its own block
alone. A block is always encoded by itself, whatever is kept of the others: on one machine the vectors are the same
bytes with what is kept and without it. Blocks are whole or absent (written aside, then renamed), so experiments may
share them, and each is read with its checksum (CRC-32, of the zip format). The folder may be deleted at any time.

A vector takes four bytes for each dimension: a million of 1,024 are 4 GB on disk for every model, and as much in
memory while they are used, beside which there is one block. They are read at some 150,000 a second (two cores).
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from stages.shared import tables
from stages.shared.lengths import mean_tokens
from stages.shared.roles import PROMPT_NAMES, Encoder, Role
from stages.shared.vectors.keys import digest, place

log = logging.getLogger(__name__)
# Texts of a block: 2,048 on average, never more than 8,192 (32 MB of 1,024 dimensions).
MEAN, MOST = 2**11, 2**13
# Seconds before there is a progress bar.
PATIENCE = 5


def _single(shape: tuple[int, int]) -> np.ndarray:
    return np.empty(shape, np.float32)


class KeptBlocks:
    """An encoder whose vectors are kept, block by block.

    Args:
        load: gives the encoder. It is called for the first block that is not there: to read vectors takes no model.
        identity: all that shapes the vectors but the prompts below: the model (a commit, or a digest of its files) and
            how it is run.
        prompts: of each role, if what is identified does not tell them.
    """

    def __init__(
        self, load: Callable[[], Encoder], identity: list[Any], prompts: dict[Role, str] | None = None
    ) -> None:
        self._load = load
        self.folders = {role: place("blocks", [identity, role, (prompts or {}).get(role)]) for role in PROMPT_NAMES}
        # Texts so far, `encoded` and `kept`.
        self.counts: Counter[str] = Counter()
        self._writes = True

    @cached_property
    def encoder(self) -> Encoder:
        return self._load()

    @property
    def tokenizer(self) -> Any:
        """The encoder's, of tokenizers or transformers, if it has one."""
        return getattr(self.encoder, "tokenizer", None)

    def encode(
        self, texts: list[str], role: Role, empty: Callable[[tuple[int, int]], np.ndarray] = _single
    ) -> np.ndarray:
        """As `Encoder.encode`, with equal texts encoded once; beside the result, memory holds one block. `empty` gives
        an array of a shape that they fit into, which may be mapped, or of fewer bits."""
        if not texts:
            return self.encoder.encode([], role)
        firsts: dict[str, int] = {}
        for row, text in enumerate(texts):
            firsts.setdefault(text, row)
        rows = np.fromiter(firsts.values(), np.int64, len(firsts))
        found: np.ndarray | None = None
        at = new = 0
        blocks = [(block, self.folders[role] / f"{digest(json.dumps(block)).hex()}.npz") for block in cut(firsts)]
        if absent := [text for block, file in blocks if not file.is_file() for text in block]:
            model = getattr(self.encoder, "model", None)
            mean = mean_tokens(model, absent) if model is not None else None
            tokens = f", about {mean * len(absent):,.0f} tokens" if mean else ""
            log.info(f"{role}: {len(absent):,} texts to encode{tokens}")
        with tqdm(total=len(rows), desc=f"{role} vectors", unit=" texts", delay=PATIENCE) as bar:
            for block, file in blocks:
                vectors = _read(file, len(block))
                if vectors is None:
                    vectors = self.encoder.encode(block, role)
                    self._write(file, vectors)
                    new += len(block)
                if found is None:
                    found = empty((len(texts), vectors.shape[1]))
                found[rows[at : at + len(block)]] = vectors
                at += len(block)
                bar.update(len(block))
        assert found is not None
        if len(rows) < len(texts):
            for row, text in enumerate(texts):
                if (first := firsts[text]) < row:
                    found[row] = found[first]
        self.counts.update(encoded=new, kept=len(rows) - new)
        log.info(f"{role}: {new:,} of {len(rows):,} texts encoded, the others' vectors were kept")
        return found

    def _write(self, file: Path, vectors: np.ndarray) -> None:
        if not self._writes:
            return
        try:
            # NumPy adds its ending to a name that lacks it, but not to an open file.
            with tables.replacing(file) as draft, draft.open("wb") as opened:
                np.savez(opened, vectors=vectors)
        except OSError as error:
            log.warning(f"{file} cannot be written ({error}): vectors are not kept")
            self._writes = False


def cut(texts: Iterable[str]) -> Iterator[list[str]]:
    """`texts` in order, cut after each text whose digest says so."""
    block: list[str] = []
    for text in texts:
        block.append(text)
        ends = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) % MEAN == 0
        if ends or len(block) == MOST:
            yield block
            block = []
    if block:
        yield block


def _read(file: Path, rows: int) -> np.ndarray | None:
    try:
        # Read to its end, or the checksum is not compared.
        with zipfile.ZipFile(file) as held:
            vectors: np.ndarray = np.load(io.BytesIO(held.read("vectors.npy")))
    except (FileNotFoundError, NotADirectoryError):
        return None
    # Whatever a flipped bit does: the numbers of a zip file say how it is to be read (NotImplementedError and others).
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error):
        vectors = np.empty(0)
    if vectors.ndim == 2 and len(vectors) == rows and vectors.dtype == np.float32:
        return vectors
    log.warning(f"{file} is damaged: its texts are encoded again")
    return None
