"""Words that translate each other in parallel texts, by IBM's model 1 in both directions, which agree.

Model 1 (Brown et al. 1993, section 4.2) takes each word of a text for a translation of one word of the other, or of
none, wherever they stand, and learns p(target | source) by expectation-maximisation. After a few rounds each way alone
both are trained on the product of their posteriors (Liang, Taskar and Klein 2006, section 3), which is high where both
take two words for translations of each other: an intersection of the alignments, with weights.

A text counts as the set of its words. A round is some passes over arrays that have an element for each pair of words of
each text; where these would be more than MOST_PAIRS, some of the texts are read, evenly from the first to the last.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from stages.lexicons import texts
from stages.lexicons.entries import ENTRIES, LETTERED, SCORE_DIGITS, Dropped, Pairs
from stages.lexicons.vocabulary import Vocabulary
from stages.settings.lexicons import Lexicon

MOST_PAIRS = 16_000_000  # they take 1.2 GB
ROUNDS_ALONE, ROUNDS_AGREEING = 5, 5


def find(lexicon: Lexicon, source: str, target: str, dropped: Dropped) -> Pairs:
    """Both ways. The score is the share of the texts with a word, and one more, in which it is translated so: what
    occurs once or twice has a low one."""
    sides = Vocabulary(source, lexicon.stems), Vocabulary(target, lexicon.stems)
    rows = []
    for pair in texts.parallel(lexicon, source, target):
        read = [np.unique(side.read(text)) for side, text in zip(sides, pair, strict=True)]
        if len(read[0]) and len(read[1]):
            rows.append((read[0], read[1]))
        else:
            dropped["texts without words"] += 1
    if not rows:
        return {}
    step = max(1, sum(len(a) * len(b) for a, b in rows) / MOST_PAIRS)
    kept = [rows[int(place)] for place in np.arange(0, len(rows), step)]
    dropped["texts beyond what is read"] += len(rows) - len(kept)
    aligned = align(kept)
    words = [list(side.numbers) for side in sides]
    written = [side.written for side in sides]
    number, their = aligned.source, aligned.target
    return {
        (source, target): _found(words[0], written[1], number, their, aligned.together / (aligned.texts + 1)),
        (target, source): _found(words[1], written[0], their, number, aligned.together / (aligned.their_texts + 1)),
    }


def _found(
    words: list[str], written: list[str], number: np.ndarray, their: np.ndarray, score: np.ndarray
) -> pl.DataFrame:
    high = np.flatnonzero(score.round(SCORE_DIGITS))  # few of those that occur together
    named = {
        "word": pl.Series(words)[number[high]],
        "translation": pl.Series(written)[their[high]],
        "score": score[high],
    }
    return pl.DataFrame(named, schema=ENTRIES).filter(pl.col("word").str.contains(LETTERED.pattern))


class Aligned(NamedTuple):
    """Arrays of shape [pairs of words that occur together]."""

    source: np.ndarray  # words by number
    target: np.ndarray
    together: np.ndarray  # in how many texts they translate each other, float64
    texts: np.ndarray  # in how many the source occurs, and the target
    their_texts: np.ndarray


class _Way:
    """One direction of the model: which words `given` ones are translated into."""

    def __init__(self, given: np.ndarray, made: np.ndarray, slots: np.ndarray, words: np.ndarray, cells: np.ndarray):
        self.given = given  # the given word of each cell, a pair of words that occur together
        self.slots, self.cells = slots, cells  # of each pair of places: the place of the made word; its cell
        # What no word is translated into comes of none, as often as it occurs.
        self.of_none = (np.bincount(words) / len(words))[words]
        self.chances = np.full(len(given), 1 / (made.max() + 1))

    def posteriors(self) -> np.ndarray:
        chances = self.chances[self.cells]
        whole = np.bincount(self.slots, chances, len(self.of_none)) + self.of_none
        return chances / whole[self.slots]

    def learn(self, counts: np.ndarray) -> None:
        self.chances = counts / np.maximum(np.bincount(self.given, counts), np.finfo(float).tiny)[self.given]


def align(rows: list[tuple[np.ndarray, np.ndarray]]) -> Aligned:
    """Which words of `rows`, parallel texts as sets of numbers, translate each other."""
    words = [np.concatenate([row[side] for row in rows]) for side in (0, 1)]
    sizes = [np.array([len(row[side]) for row in rows]) for side in (0, 1)]
    ends = sizes[1].cumsum()
    # Of each pair of places in a text, the place of its source in `words`, and that of its target.
    repeats = np.repeat(sizes[1], sizes[0])
    left = np.repeat(np.arange(len(words[0]), dtype=np.int32), repeats)
    begins = np.repeat(ends - sizes[1], sizes[0]) - (repeats.cumsum() - repeats)
    right = np.repeat(begins.astype(np.int32), repeats) + np.arange(len(left), dtype=np.int32)
    pairs, cells = np.unique(words[0][left].astype(np.int64) << 32 | words[1][right], return_inverse=True)
    cells = cells.astype(np.int32)
    source, target = pairs >> 32, pairs & 0xFFFFFFFF
    forth = _Way(source, target, right, words[1], cells)
    back = _Way(target, source, left, words[0], cells)
    for round_ in range(ROUNDS_ALONE + ROUNDS_AGREEING):
        one, other = forth.posteriors(), back.posteriors()
        if round_ >= ROUNDS_ALONE:
            one = other = one * other
        forth.learn(np.bincount(cells, one))
        back.learn(np.bincount(cells, other))
    count = np.bincount(cells, forth.posteriors() * back.posteriors())
    return Aligned(source, target, count, np.bincount(words[0])[source], np.bincount(words[1])[target])
