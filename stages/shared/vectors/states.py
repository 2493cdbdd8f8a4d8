"""Hidden states of texts, kept outside DVC's outputs: what frozen layers make of a text, for all that train above them.

A store is a folder of files that are whole or absent and never change. Each holds the states of some texts one after
another, read through memory mapping, in half precision (bfloat16 for models that are in it), or in 8 bits: each token's
numbers as shares of its greatest, in steps of 1/127. A text's key is a digest of its token ids: of the text, its
prompt, its tokenizer and where it was cut. Its checksum is compared at every read. Processes may share a store: at
worst a text is there twice. The folder may be deleted at any time.

A token takes two bytes for each dimension, or one: a passage of 128 tokens and 384 dimensions 98 or 50 kB, 10,000 of
them 1 or 0.5 GB.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from stages.settings.freeze import Precision
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


class Rounded(NamedTuple):
    """A text's states as they are kept: in 8 bits, int8 [tokens, dimension] with `scales`, float32 [tokens, 1]."""

    states: Tensor
    scales: Tensor | None

    @property
    def bytes(self) -> int:
        return sum(part.nbytes for part in self if part is not None)

    def checksum(self) -> int:
        check = 0
        for part in self:
            if part is not None:
                check = zlib.crc32(part.contiguous().view(torch.uint8).numpy().data, check)
        return check

    def whole(self) -> Tensor:
        return self.states if self.scales is None else self.states * self.scales


class KeptStates:
    """States by text, on disk and, until there are enough of them to be written, in memory.

    Args:
        identity: a digest of all that shapes the states but the text's tokens.
        dtype: of the states in half precision.
        precision: in which they are kept.
        disk: gigabytes that the store may take; None: what is free.
    """

    def __init__(
        self, identity: str, dtype: torch.dtype, precision: Precision = "half", disk: float | None = None
    ) -> None:
        self.folder = place("states", [identity])
        self.dtype, self.precision = dtype, precision
        self._disk = disk
        self._files: list[dict[str, Any]] = []
        # Of each text its file, its first token there, the number of its tokens and its checksum.
        self._places: dict[bytes, tuple[int, int, int, int]] = {}
        self._new: dict[bytes, Rounded] = {}
        self._bytes = 0
        self._writes = True
        for file in sorted(self.folder.glob("*.safetensors")):
            self._open(file)

    def __contains__(self, key: bytes) -> bool:
        return key in self._new or key in self._places

    def get(self, key: bytes) -> Tensor | None:
        """The states of a text, shape [tokens, dimension]; None if they are not there, or damaged."""
        if key in self._new:
            return self._new[key].whole()
        if key not in self._places:
            return None
        file, begin, length, check = self._places[key]
        own = {name: part[begin : begin + length] for name, part in self._files[file].items()}
        found = Rounded(own["states"], own.get("scales"))
        if found.checksum() != check:
            log.warning(f"{self.folder} is damaged: a text's states are computed again")
            del self._places[key]
            return None
        return found.whole()

    def add(self, key: bytes, states: Tensor) -> bool:
        """Keep a text's `states`, of shape [tokens, dimension]; whether they are numbers once they are rounded."""
        scales = None
        if self.precision == "int8":
            scales = states.float().abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny) / 127
        rounded = states.to(self.dtype) if scales is None else (states / scales).round().to(torch.int8)
        if not torch.isfinite(rounded if scales is None else scales).all():
            return False
        self._new[key] = Rounded(rounded.clone(), scales)
        self._bytes += self._new[key].bytes
        if self._bytes >= FLUSHED:
            self.flush()
        return True

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
            if self._disk is not None and self._taken() + self._bytes > self._disk * 2**30:
                raise OSError(f"it would take more than train.freeze.disk, {self._disk:g} GB")
            file = self.folder / f"{hashlib.blake2b(b''.join(self._new), digest_size=16).hexdigest()}.safetensors"
            kept = list(self._new.values())
            scales = [own.scales for own in kept if own.scales is not None]
            with tables.replacing(file) as draft:
                save_file(
                    {
                        "keys": torch.frombuffer(bytearray(b"".join(self._new)), dtype=torch.uint8).reshape(-1, 16),
                        "lengths": torch.tensor([len(own.states) for own in kept]),
                        "checks": torch.tensor([own.checksum() for own in kept]),
                        "states": torch.cat([own.states for own in kept]),
                        **({"scales": torch.cat(scales)} if scales else {}),
                    },
                    draft,
                )
        except OSError as error:
            log.warning(f"{self.folder} takes no more ({error}): hidden states are not kept")
            self._writes = False
            return
        self._new, self._bytes = {}, 0
        self._open(file)

    def _taken(self) -> int:
        return sum(file.stat().st_size for file in self.folder.glob("*.safetensors"))

    def _open(self, file: Path) -> None:
        try:
            opened = safe_open(file, framework="pt")
            parts = {name: opened.get_slice(name) for name in ("states", "scales") if name in opened.keys()}  # noqa: SIM118
            keys, lengths, checks = (opened.get_tensor(name) for name in ("keys", "lengths", "checks"))
            parts["states"].get_shape()
        except (SafetensorError, OSError, KeyError):
            log.warning(f"{file} is damaged: its texts' states are computed again")
            file.unlink(missing_ok=True)
            return
        begins = torch.cumsum(lengths, 0) - lengths
        number = len(self._files)
        self._files.append(parts)
        for row, told in enumerate(zip(begins.tolist(), lengths.tolist(), checks.tolist(), strict=True)):
            self._places[keys[row].numpy().tobytes()] = (number, *told)
