"""Duplicates among more texts than memory holds: `stages.shared.duplicates` on columns, and MinHash keys for files.

MinHash is rensa's R-MinHash (Fast Similarity Sketching, arXiv 1704.04370): with the n-grams' numbers made here 0.07 ms
a text of 450 n-grams, where datasketch took 0.40 ms.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from rensa import RMinHash

from stages.shared import duplicates
from stages.shared.duplicates import MARK, WIDE

_KEPT_MARK = rf"(\d)({MARK})(\d)"  # `plain` looks around, which polars' regex cannot: such marks get \x01 before them
_FOLDED = {"ß": "ss", "ς": "σ"}
_MIXERS = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93], np.uint64)


def plain(text: pl.Expr) -> pl.Expr:
    """`duplicates.plain` of a column without control characters, but that letters are lower-cased, not folded (of
    those that differ, only ß and ς are), and that a text of punctuation alone stays as it is: `?` is not `...`."""
    folded = text.str.normalize("NFKC").str.to_lowercase().str.replace_many(_FOLDED)
    for _ in range(2):  # matches share their digits: 1.2.3
        folded = folded.str.replace_all(_KEPT_MARK, "${1}\x01${2}${3}")
    bare = folded.str.replace_all(rf"\x01({MARK})|{MARK}|[\s\p{{Cf}}]", "${1}")
    return pl.when(bare != "").then(bare).otherwise(text)


def grams(texts: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """`duplicates.grams` of `plain` texts as numbers, text after text and repeated ones too: uint64, [n-grams]; and
    where each text's begin, and the last's end: uint64, [texts + 1]."""
    places = texts.str.replace_all(f"({WIDE})", "${1}\0")
    lengths = places.str.len_chars().to_numpy().astype(np.int64)
    counts = np.maximum(1, lengths - 3)
    ends = np.cumsum(counts)
    # Four nulls after each text, so that one of less than four places is an n-gram, too.
    codes = np.frombuffer("\0\0\0\0".join([*places, ""]).encode("utf-32-le"), "<u4").astype(np.uint64)
    begins = np.cumsum(lengths + 4) - (lengths + 4)
    first = np.arange(counts.sum()) + np.repeat(begins - (ends - counts), counts)
    numbers = np.zeros(len(first), np.uint64)
    for place, mixer in enumerate(_MIXERS):
        numbers += codes[first + place] * mixer
    return numbers ^ (numbers >> np.uint64(32)), np.concatenate([[0], ends]).astype(np.uint64)


def keys(texts: pl.Series, threshold: float) -> np.ndarray:
    """What `plain` texts as similar as `threshold` have one of in common, save a share `duplicates.MISSED`: uint64,
    shape [texts, bands]."""
    bands, size = duplicates.bands(threshold)
    numbers, starts = grams(texts)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(numbers, starts, duplicates.PERMUTATIONS, duplicates.SEED)
    sketches = np.array(matrix.to_rows(), np.uint64).reshape(len(texts), duplicates.PERMUTATIONS)
    found = np.zeros((len(texts), bands), np.uint64)
    for place in range(size):
        found = (found ^ sketches[:, place : bands * size : size]) * _MIXERS[0]
        found ^= found >> np.uint64(29)
    return found


def firsts(numbers: np.ndarray) -> np.ndarray:
    """For each of `numbers` (uint64, shape [n]) where the first that equals it is: uint32, shape [n].

    A sixteenth of the range of numbers at a time, so that little more memory is needed than for the result.
    """
    found = np.arange(len(numbers), dtype=np.uint32)
    part = (numbers >> np.uint64(60)).astype(np.uint8)
    for number in range(16):
        places = np.flatnonzero(part == number).astype(np.uint32)
        order = places[np.argsort(numbers[places], kind="stable")]
        new = np.ones(len(order), bool)
        new[1:] = numbers[order[1:]] != numbers[order[:-1]]
        found[order] = order[new][np.cumsum(new) - 1] if len(order) else order
    return found
