"""Passages that repeat others: which stay, and which must not be parted by the split."""

from __future__ import annotations

from array import array
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array, csgraph
from tqdm import tqdm

from stages.corpus.near import Near


class Repeats(NamedTuple):
    """What was found among n passages.

    `twins`: for each the one that stays and that it repeats, or -1 if it stays itself: int32, [n]. `families`: for each
    the first of all that it is linked with, maybe by way of passages left out: int32, [n]. `exact` and `near`: for each
    language how many were left out because their text in it is there already, exactly or nearly.
    """

    twins: np.ndarray
    families: np.ndarray
    exact: list[int]
    near: list[int]


def none(rows: int, languages: int) -> Repeats:
    return Repeats(np.full(rows, -1, np.int32), np.arange(rows, dtype=np.int32), [0] * languages, [0] * languages)


def find(first: np.ndarray, near: Near | None) -> Repeats:
    """Walk through passages in their order: one goes if a text of it, in whatever language, equals a text of one that
    stays, in whatever language, or nearly.

    `first`, shape [passages, languages], is for each text the number (passage * languages + language) of the first that
    equals it, and `near` knows those first ones by the same numbers.
    """
    rows, languages = first.shape
    compared = first.ravel() != np.arange(first.size)
    compared[first.ravel()[compared]] = True
    if near:
        compared[near.proposed] = True
    walk = _Walk(first.size, languages, near)
    found = none(rows, languages)
    busy = np.flatnonzero(compared.reshape(rows, languages).any(axis=1))
    with tqdm(total=len(busy), desc="duplicates", unit=" passages", disable=near is None) as bar:
        for start in range(0, len(busy), 4096):
            some = busy[start : start + 4096]
            for row, texts in zip(some.tolist(), first[some].tolist(), strict=True):
                found.twins[row] = walk.pass_by(row, texts, found)
            bar.update(len(some))
    return found._replace(families=_families(rows, *walk.links))


class _Walk:
    def __init__(self, texts: int, languages: int, near: Near | None) -> None:
        self.languages, self.near = languages, near
        # Of each text the passage that stays and has it, or nearly: none that comes later can stay with it.
        self.taken = array("i", [-1]) * texts
        self.nearly = bytearray(texts)
        self.links = array("i"), array("i")

    def pass_by(self, row: int, texts: list[int], found: Repeats) -> int:
        """The passage that `row` repeats, or -1 if it stays."""
        matched = [self._matches(row, text) for text in texts]
        twins = [self.taken[text] for text in texts]
        for language, text in enumerate(texts):
            if twins[language] >= 0:
                (found.near if self.nearly[text] else found.exact)[language] += 1
        stays = max(twins) < 0
        for text, match in zip(texts, matched, strict=True):
            if stays:
                self.taken[text] = row
            if self.near:
                # Once more than a few are similar, those that repeat one of them need not be found: it is.
                self.near.insert(text, everywhere=stays or not match)
        return -1 if stays else min(twin for twin in twins if twin >= 0)

    def _matches(self, row: int, text: int) -> bool:
        """Link `row` with the passages that have `text`, or nearly; whether one that stays or is indexed has it."""
        self._link(row, text // self.languages)
        if self.taken[text] >= 0 or not self.near:
            return self.taken[text] >= 0
        others = self.near.search(text)
        for other in others:
            self._link(row, other // self.languages)
        stay = [self.taken[other] for other in others if self.taken[other] >= 0 and not self.nearly[other]]
        if stay:
            self.taken[text], self.nearly[text] = min(stay), 1
        return bool(others)

    def _link(self, row: int, other: int) -> None:
        if row != other:
            self.links[0].append(row)
            self.links[1].append(other)


def _families(rows: int, left: array, right: array) -> np.ndarray:
    graph = coo_array((np.ones(len(left), bool), (left, right)), shape=(rows, rows))
    _, labels = csgraph.connected_components(graph, directed=False)
    numbers = np.arange(rows, dtype=np.int32)
    first = np.full(rows, rows, np.int32)
    np.minimum.at(first, labels, numbers)
    return first[labels]
