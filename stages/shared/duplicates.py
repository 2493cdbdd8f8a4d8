"""Texts that are the same, nearly the same, or copied from another: what counts as that, and which of them stays."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import regex
from datasketch import MinHash, MinHashLSH
from rapidfuzz.distance import LCSseq

PERMUTATIONS = 128
SEED = 1
MISSED = 0.001  # how probable it may be, at most, that a pair just as similar as the threshold goes unseen
# Between digits punctuation tells texts apart (1.5 is not 15); so do the marks of names and amounts (C# is not C).
MARK = r"[\p{P}--[#%&@]]"
_SPELLING = regex.compile(rf"[\s\p{{Cf}}]|(?<!\d){MARK}|{MARK}(?!\d)", regex.V1)
# Scripts without spaces between words: a character counts as a word.
UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
WORD = regex.compile(rf"[{UNSPACED}]\p{{M}}*|[\w--[{UNSPACED}]]+", regex.V1)
FEWEST_WORDS = 4  # of a text that is called copied; three words are a term
WIDE = r"[\p{Hangul}\p{Han}\p{Hiragana}\p{Katakana}]"
_WIDE = regex.compile(WIDE)


def plain(text: str) -> str:
    """`text` without what tells no texts apart: case, width, punctuation and white space."""
    return _SPELLING.sub("", unicodedata.normalize("NFKC", text).casefold())


def grams(text: str) -> set[str]:
    """The 4-grams of a `plain` text, in which a Hangul syllable, a kana and a Han character fill two places: two of
    them say about as much as four letters."""
    places = _WIDE.sub("\\g<0>\0", text)
    return {places[i : i + 4] for i in range(max(1, len(places) - 3))}


def near(texts: Sequence[str], threshold: float, fixed: int = 0) -> list[tuple[int, float] | None]:
    """For each `plain` text that goes, the earlier text that stays and is most like it, and how like; None: it stays.

    A text goes if its similarity to one that stays is at least `threshold` (above 0); the first `fixed` stay anyway.
    Similarity is the Jaccard similarity of the sets of `grams`. MinHash only proposes the pairs: their similarity is
    counted.
    """
    index = MinHashLSH(num_perm=PERMUTATIONS, params=bands(threshold))
    sketches = MinHash.generator(
        ([gram.encode() for gram in grams(text)] for text in texts), num_perm=PERMUTATIONS, seed=SEED
    )
    found: list[tuple[int, float] | None] = []
    for number, sketch in enumerate(sketches):
        own = grams(texts[number])
        proposed = ((jaccard(own, grams(texts[other])), -other) for other in index.query(sketch))
        similarity, other = max(proposed, default=(-1.0, 0))
        goes = similarity >= threshold and number >= fixed
        found.append((-other, similarity) if goes else None)
        if not goes:
            index.insert(number, sketch)
    return found


def jaccard(left: set[str], right: set[str]) -> float:
    """The Jaccard similarity of two sets, not both of them empty."""
    shared = len(left & right)
    return shared / (len(left) + len(right) - shared)


def bands(threshold: float) -> tuple[int, int]:
    """How many bands of how many hashes: the longest bands, that is the fewest proposals, that miss hardly a pair."""
    sizes = range(1, PERMUTATIONS // 2 + 1)
    kept = [size for size in sizes if (1 - threshold**size) ** (PERMUTATIONS // size) <= MISSED]
    size = max(kept, default=1)
    return PERMUTATIONS // size, size


def copied(text: str, source: str, most: float) -> tuple[int, int] | None:
    """How many of how many words of `text` stand together in `source`, if that is more than `most` of them, else None.

    Together: in the same order, within a stretch of twice as many words. Words picked from all over a passage are what
    honest queries are made of.
    """
    words, others = _words(text), _words(source)
    # A word in a script without spaces has about two characters.
    if not others or (len(text.split()) < FEWEST_WORDS and len(words) < 2 * FEWEST_WORDS):
        return None
    least, stretch = most * len(words), 2 * len(words)
    shared = LCSseq.similarity(words, others)
    if shared > least:
        starts = range(max(1, len(others) - stretch + 1))
        shared = max(LCSseq.similarity(words, others[start : start + stretch]) for start in starts)
    return (shared, len(words)) if shared > least else None


@lru_cache(maxsize=4096)
def _words(text: str) -> tuple[str, ...]:
    return tuple(WORD.findall(unicodedata.normalize("NFKC", text).casefold()))
