"""The words of a text, where they stand.

Where a script parts words by spaces, letters, marks and digits that stand together are a word, with the apostrophes
within it (don't, l'acqua); others (Chinese, Japanese, Thai, Khmer, Lao, Burmese) are parted by ICU's dictionaries.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate, pairwise

import regex
from icu4py.breakers import WordBreaker

from stages.shared.languages import scripts

# What \w is of `regex` has the marks of Indic scripts and the joiners of Arabic, which `re` leaves out.
PARTED = regex.compile(r"(\w+(?:['’]\w+)*)")
WORDLIKE = regex.compile(r"\w")
CONTINUOUS_SCRIPTS = {"Hira", "Thai", "Khmr", "Laoo", "Mymr"}


@lru_cache
def spaced(lang: str) -> bool:
    """Whether a language puts spaces between its words."""
    written = {*scripts(lang)}
    # Korean has Chinese characters too.
    return not written & CONTINUOUS_SCRIPTS and ("Hani" not in written or "Hang" in written)


def parts(text: str, lang: str) -> list[str]:
    """What joins to `text`: its words at odd places, in order, and what is around them, be it empty, at even ones."""
    if spaced(lang):
        return PARTED.split(text)
    found = [""]
    for part in WordBreaker(text, lang):
        if WORDLIKE.search(part):
            found += [part, ""]
        else:
            found[-1] += part
    return found


def spans(text: str, lang: str) -> list[tuple[int, int]]:
    """The first character of each word and that behind it, in order."""
    ends = [0, *accumulate(map(len, parts(text, lang)))]
    return list(pairwise(ends))[1::2]
