"""Hidden states of texts, kept outside DVC's outputs: what frozen layers make of a text, for all that train above them.

A store is a folder of files that are whole or absent and never change. Each holds the states of some texts one after
another, read through memory mapping, in half precision (bfloat16 for models that are in it). A text's key is a digest
of its token ids: of the text, its prompt, its tokenizer and where it was cut. Its checksum is compared at every read.
Processes may share a store: at worst a text is there twice. The folder may be deleted at any time.

A token takes two bytes for each dimension: a passage of 128 tokens and 384 dimensions 98 kB, 10,000 of them 1 GB.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from stages.shared import tables
from stages.shared.vectors.keys import place

log = logging.getLogger(__name__)
# Bytes of states that are written at once: what a kill may lose.
FLUSHED = 64 * 2**20
# Bytes of the disk that are left free: beyond, states are not kept.
SPARE = 5 * 2**30


def key(ids: np.ndarray) -> bytes:
    """What the states of the text with these token `ids` are found by."""
    return hashlib.blake2b(ids.astype(np.int32).tobytes(), digest_size=16).digest()


class KeptStates:
    """States by text, on disk and, until there are enough of them to be written, in memory.

    Args:
        identity: a digest of all that shapes the states but the text's tokens.
        dtype: of the states as they are kept.
    """

    def __init__(self, identity: str, dtype: torch.dtype) -> None:
        self.folder = place("states", [identity])
        self.dtype = dtype
        self._files: list[Any] = []
        # Of each text its file, its first token there, the number of its tokens and its checksum.
        self._places: dict[bytes, tuple[int, int, int, int]] = {}
        self._new: dict[bytes, Tensor] = {}
        self._bytes = 0
        self._writes = True
        for file in sorted(self.folder.glob("*.safetensors")):
            self._open(file)

    def __contains__(self, key: bytes) -> bool:
        return key in self._new or key in self._places

    def get(self, key: bytes) -> Tensor | None:
        """The states of a text, shape [tokens, dimension]; None if they are not there, or damaged."""
        if key in self._new:
            return self._new[key]
        if key not in self._places:
            return None
        file, begin, length, check = self._places[key]
        found = self._files[file][begin : begin + length]
        if _checksum(found) != check:
            log.warning(f"{self.folder} is damaged: a text's states are computed again")
            del self._places[key]
            return None
        return found

    def add(self, key: bytes, states: Tensor) -> None:
        """Keep a text's `states`, of `dtype` and shape [tokens, dimension]."""
        self._new[key] = states
        self._bytes += states.nbytes
        if self._bytes >= FLUSHED:
            self.flush()

    def release(self) -> None:
        """Forget what could not be written, or memory would grow with the texts."""
        if not self._writes:
            self._new, self._bytes = {}, 0

    def flush(self) -> None:
        """Write what is in memory alone."""
        if not self._new or not self._writes:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(self.folder).free < SPARE + self._bytes:
                raise OSError(f"less than {SPARE / 2**30:.0f} GB would be left free")
            file = self.folder / f"{hashlib.blake2b(b''.join(self._new), digest_size=16).hexdigest()}.safetensors"
            with tables.replacing(file) as draft:
                save_file(
                    {
                        "keys": torch.frombuffer(bytearray(b"".join(self._new)), dtype=torch.uint8).reshape(-1, 16),
                        "lengths": torch.tensor([len(states) for states in self._new.values()]),
                        "checks": torch.tensor([_checksum(states) for states in self._new.values()]),
                        "states": torch.cat(list(self._new.values())),
                    },
                    draft,
                )
        except OSError as error:
            log.warning(f"{self.folder} takes no more ({error}): hidden states are not kept")
            self._writes = False
            return
        self._new, self._bytes = {}, 0
        self._open(file)

    def _open(self, file: Path) -> None:
        try:
            opened = safe_open(file, framework="pt")
            states = opened.get_slice("states")
            keys, lengths, checks = (opened.get_tensor(name) for name in ("keys", "lengths", "checks"))
        except (SafetensorError, OSError):
            log.warning(f"{file} is damaged: its texts' states are computed again")
            file.unlink(missing_ok=True)
            return
        begins = torch.cumsum(lengths, 0) - lengths
        number = len(self._files)
        self._files.append(states)
        for row, told in enumerate(zip(begins.tolist(), lengths.tolist(), checks.tolist(), strict=True)):
            self._places[keys[row].numpy().tobytes()] = (number, *told)


def _checksum(states: Tensor) -> int:
    return zlib.crc32(states.contiguous().view(torch.int16).numpy().data)
