"""Randomness from (seed, names): the same for a name whatever its neighbours, their order and the number of workers."""

from __future__ import annotations

import hashlib

import numpy as np


def number(*names: object) -> int:
    """A 64-bit number that depends on all of `names` and nothing else."""
    text = "\x1f".join(str(name) for name in names)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def numbers(seed: object, names: list[str]) -> np.ndarray:
    """`number(seed, name)` for each name: uint64, shape [len(names)]."""
    before = f"{seed}\x1f".encode()
    digests = [hashlib.blake2b(before + name.encode(), digest_size=8).digest() for name in names]
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def uniform(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Uniform numbers in [0, 1) from pairs of 64-bit numbers, broadcast against each other (splitmix64's mixer)."""
    with np.errstate(over="ignore"):
        x = left ^ (right * np.uint64(0x9E3779B97F4A7C15))
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return (x >> np.uint64(11)).astype(np.float64) / 2.0**53
