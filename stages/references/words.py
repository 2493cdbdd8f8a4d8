"""A text's words, for BM25 in any language, with nothing tuned to one.

Unicode's compatibility forms are one (NFKC), and so are cases. Letters, marks and digits that stand together are a
word; in scripts that do not part words by spaces, and in Hangul, whose words carry their particles, each two neighbours
of a run are one, as Lucene's CJKAnalyzer has it. No stemming, no stop words: both are lists for one language.
"""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import regex

# Marks belong to words, or Devanagari and Thai would fall apart at each vowel sign.
STANDING_TOGETHER = regex.compile(r"[\p{L}\p{M}\p{N}]+")
PAIRED_SCRIPTS = ("Han", "Hiragana", "Katakana", "Bopomofo", "Hangul", "Thai", "Lao", "Khmer", "Myanmar")
# The length mark of Kana, which Unicode counts to no script.
IN_PAIRS = "".join(rf"\p{{Script={script}}}" for script in PAIRED_SCRIPTS) + "ー"
PART = regex.compile(rf"(?P<pairs>[{IN_PAIRS}]+)|[^{IN_PAIRS}]+")
# What a reader takes for one character, with its marks.
CHARACTER = regex.compile(r"\X")


def words(text: str) -> list[str]:
    """The words of `text` in their order, each as often as it occurs."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return [word for run in STANDING_TOGETHER.findall(plain) for part in PART.finditer(run) for word in _of_part(part)]


def _of_part(part: regex.Match[str]) -> list[str]:
    if part["pairs"] is None:
        return [part[0]]
    characters = CHARACTER.findall(part[0])
    if len(characters) == 1:
        return characters
    return [first + second for first, second in pairwise(characters)]
