"""The words of a text, where they stand.

Where a script parts words by spaces, letters, marks and digits that stand together are a word, with the apostrophes
within it (don't, l'acqua); others (Chinese, Japanese, Thai, Khmer, Lao, Burmese) are parted by ICU's dictionaries.
"""

from __future__ import annotations

import regex
from icu4py.breakers import WordBreaker

from stages.shared.languages import scripts

PARTED = regex.compile(r"[\p{L}\p{M}\p{N}]+(?:['’][\p{L}\p{M}\p{N}]+)*")
HELD = regex.compile(r"[\p{L}\p{N}]")
UNSPACED = {"Hira", "Thai", "Khmr", "Laoo", "Mymr"}


def spaced(lang: str) -> bool:
    """Whether a language puts spaces between its words."""
    written = {*scripts(lang)}
    # Korean has Chinese characters too.
    return not written & UNSPACED and ("Hani" not in written or "Hang" in written)


def spans(text: str, lang: str) -> list[tuple[int, int]]:
    """The first and the last character + 1 of each word, in order; what is between them is punctuation and blanks."""
    if spaced(lang):
        return [found.span() for found in PARTED.finditer(text)]
    found, end = [], 0
    # Its own positions count UTF-16.
    for part in WordBreaker(text, lang):
        start, end = end, end + len(part)
        if HELD.search(part):
            found.append((start, end))
    return found
