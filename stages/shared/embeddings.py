"""A teacher's vectors, kept outside DVC's outputs: what was encoded once is not encoded again, nor lost in a kill.

Texts are cut into blocks by their content, as rsync cuts files, so that a text that comes or goes changes its own block
alone. A block is always encoded by itself, whatever is kept of the others: the vectors are the same bytes with the
cache and without it. Blocks are whole or absent (written aside, then renamed), so experiments may share them, and each
is read with its checksum (CRC-32, of the zip format). The folder may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from stages.shared import tables
from stages.shared.encoder import Encoder, Role
from stages.shared.state import STATE

log = logging.getLogger(__name__)
# Texts of a block: 2,048 on average, never more than 8,192 (32 MB of 1,024 dimensions).
MEAN, MOST = 2**11, 2**13


class Kept:
    """An encoder whose vectors are kept.

    Args:
        encoder: encodes what is not there yet.
        identity: all that shapes its vectors but the prompts: the model (a commit, or a digest of its files) and how
            it is run.
        prompts: of each role.
    """

    def __init__(self, encoder: Encoder, identity: list[Any], prompts: dict[Role, str]) -> None:
        self.encoder = encoder
        self.folders = {
            role: STATE / "embeddings" / _digest(json.dumps([identity, prompt], sort_keys=True))
            for role, prompt in prompts.items()
        }

    def encode(self, texts: list[str], role: Role) -> np.ndarray:
        """As `Encoder.encode`; beside the result, memory holds one block."""
        if not texts:
            return self.encoder.encode([], role)
        found: np.ndarray | None = None
        at = new = 0
        with tqdm(total=len(texts), desc=f"{role} vectors", unit=" texts", disable=len(texts) <= MOST) as bar:
            for block in blocks(texts):
                file = self.folders[role] / f"{_digest(json.dumps(block))}.npz"
                vectors = _read(file, len(block))
                if vectors is None:
                    vectors = self.encoder.encode(block, role)
                    _write(file, vectors)
                    new += len(block)
                if found is None:
                    found = np.empty((len(texts), vectors.shape[1]), np.float32)
                found[at : at + len(block)] = vectors
                at += len(block)
                bar.update(len(block))
        log.info(f"{role}: {new:,} of {len(texts):,} texts encoded, the others' vectors were kept")
        assert found is not None
        return found


def blocks(texts: list[str]) -> Iterator[list[str]]:
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
        with np.load(file) as held:
            vectors = held["vectors"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        log.warning(f"{file} is damaged: its texts are encoded again")
        return None
    return vectors if vectors.ndim == 2 and len(vectors) == rows and vectors.dtype == np.float32 else None


def _write(file: Path, vectors: np.ndarray) -> None:
    # NumPy adds its ending to a name that lacks it, but not to an open file.
    with tables.replacing(file) as draft, draft.open("wb") as opened:
        np.savez(opened, vectors=vectors)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
