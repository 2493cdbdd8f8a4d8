"""Words of a text replaced by their translations (arXiv 2305.05295, section 3).

Each word draws a number and a target language; below the variant's probability it becomes its translation, if the
target's lexicon has one, in its case. With phrases, what the lexicon has of several words is one: the longest first,
and of those as long the first in the text. All else, punctuation and blanks, stays as it is; only where words of a
language with spaces come between those of one without are blanks put around them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import regex

from stages.schemas.lexicons import LEXICON
from stages.shared import seeds, tables, words
from stages.shared.stems import lookups

SENTENCE_END = regex.compile(r"[.!?:…。！？।۔؟\n]")


class Switched(NamedTuple):
    """A text, and how many words it had, how many of them became others, the lexicon lacks, and are kept as names."""

    text: str
    words: int
    switched: int
    unknown: int
    names: int


class Phrase(NamedTuple):
    """Several words that are one in a lexicon: the first one's number, how many there are, and what they become."""

    first: int
    length: int
    translation: str


class Switcher:
    """Switches texts of one language.

    Args:
        lexicons: of each target language, the translation of each word and phrase (`best`).
        probability: of each word, and each phrase.
        one_target: whether a text has one target, and not each word its own.
        phrases: whether what a lexicon has of several words is switched together.
        keep_names: whether what its form tells to be a name stays.
    """

    def __init__(
        self,
        lang: str,
        lexicons: dict[str, dict[str, str]],
        probability: float = 1.0,
        *,
        one_target: bool = False,
        phrases: bool = False,
        keep_names: bool = False,
    ) -> None:
        self.lang = lang
        self.probability = probability
        self.one_target = one_target
        self.keep_names = keep_names
        self.lexicons = list(lexicons.values())
        self.entries = _Entries(lang, self.lexicons)
        found = [word.split(" ") for lexicon in self.lexicons for word in lexicon if phrases and " " in word]
        self.longest = max(map(len, found), default=1)
        self.heads = {phrase[0] for phrase in found}
        unspaced = not words.spaced(lang)
        self.blanks = [unspaced and words.spaced(target) for target in lexicons]

    def __call__(self, texts: list[str], rows: np.ndarray) -> Iterator[Switched]:
        """The `texts` switched; `rows` are numbers of their own (uint64, shape [texts]), which alone decide."""
        parted = [words.parts(text, self.lang) for text in texts]
        counts = np.array([len(parts) // 2 for parts in parted], np.int64)
        ends = np.cumsum(counts)
        places = (np.arange(counts.sum()) - np.repeat(ends - counts, counts)).astype(np.uint64)
        own = np.repeat(rows, counts)
        chosen = seeds.uniform(own, 2 * places) < self.probability
        # One target for the whole text: as if all of it stood in one place.
        drawn = seeds.uniform(own, 2 * (places * (not self.one_target)) + 1)
        targets = (drawn * len(self.lexicons)).astype(np.int64)
        for parts, begin, end in zip(parted, ends - counts, ends, strict=True):
            yield self._switched(parts, chosen[begin:end].tolist(), targets[begin:end].tolist())

    def _switched(self, parts: list[str], chosen: list[bool], targets: list[int]) -> Switched:
        own = parts[1::2]
        names = _names(parts) if self.keep_names else set[int]()
        done = set(names)
        switched = unknown = 0
        apart = set()
        for phrase in self._phrases(own, parts, targets) if self.longest > 1 else ():
            covered = range(phrase.first, phrase.first + phrase.length)
            if not done.isdisjoint(covered):
                continue
            done.update(covered)
            if chosen[phrase.first]:
                switched += phrase.length
                at = 2 * phrase.first + 1
                parts[at : at + 2 * phrase.length - 1] = [phrase.translation, *[""] * (2 * phrase.length - 2)]
                if self.blanks[targets[phrase.first]]:
                    apart.add(at)
        for number, word in enumerate(own):
            if number in done:
                continue
            translation = self.entries[word][targets[number]]
            if translation is None:
                unknown += 1
            elif chosen[number]:
                switched += 1
                parts[2 * number + 1] = translation
                if self.blanks[targets[number]]:
                    apart.add(2 * number + 1)
        text = _with_blanks(parts, apart) if apart else "".join(parts)
        return Switched(text, len(own), switched, unknown, len(names))

    def _phrases(self, own: list[str], parts: list[str], targets: list[int]) -> list[Phrase]:
        """What the lexicons have of several words, the longest first; some may share words."""
        plain = [plainly(word) for word in own]
        found = []
        for first, word in enumerate(plain):
            if word not in self.heads:
                continue
            for length in range(2, min(self.longest, len(own) - first) + 1):
                if parts[2 * (first + length - 1)].strip():
                    break
                *others, last = plain[first : first + length]
                lexicon = self.lexicons[targets[first]]
                # Its last word may have an ending.
                forms = (" ".join([*others, form]) for form in lookups(last, self.lang))
                translation = next((lexicon[form] for form in forms if form in lexicon), None)
                if translation is not None:
                    surface = " ".join(own[first : first + length])
                    found.append(Phrase(first, length, cased(translation, surface)))
        return sorted(found, key=lambda phrase: (-phrase.length, phrase.first))


def best(lexicon: Path) -> dict[str, str]:
    """The best translation of each word of a lexicon's table; raises `UserError` if it is missing or damaged."""
    table = tables.read(lexicon, LEXICON).unique("word", keep="first", maintain_order=True)
    return dict(zip(table["word"], table["translation"], strict=True))


class _Entries(dict[str, tuple[str | None, ...]]):
    """Of each word as it stands in a text, the translation into each target in its case; looked up once."""

    def __init__(self, lang: str, lexicons: list[dict[str, str]]) -> None:
        super().__init__()
        self.lang = lang
        self.lexicons = lexicons

    def __missing__(self, word: str) -> tuple[str | None, ...]:
        forms = lookups(plainly(word), self.lang)
        found = [next((lexicon[form] for form in forms if form in lexicon), None) for lexicon in self.lexicons]
        entry = tuple(None if translation is None else cased(translation, word) for translation in found)
        self[word] = entry
        return entry


def plainly(word: str) -> str:
    """`word` as lexicons write it: in lower case and NFC."""
    return unicodedata.normalize("NFC", word.lower())


def cased(translation: str, word: str) -> str:
    """`translation` in the case of `word`: all capitals, a capital first, or as it is."""
    if len(word) > 1 and word.isupper():
        return translation.upper()
    return translation[:1].upper() + translation[1:] if word[:1].isupper() else translation


def _names(parts: list[str]) -> set[int]:
    """The numbers of the words that are names, as far as their form tells: those with a digit, with a capital after
    their first letter (NASA, iPhone), or with a capital where no sentence begins."""
    found = set()
    begins = True
    for number, (before, word) in enumerate(zip(parts[::2], parts[1::2], strict=False)):
        begins = begins or (before != " " and SENTENCE_END.search(before) is not None)
        form = _form(word)
        if form == "name" or (form == "capital" and not begins):
            found.add(number)
        begins = False
    return found


@lru_cache(maxsize=2**18)
def _form(word: str) -> str:
    if word[1:] != word[1:].lower() or any(char.isdigit() for char in word):
        return "name"
    return "capital" if word[0].isupper() else ""


def _with_blanks(parts: list[str], apart: set[int]) -> str:
    """The `parts` joined, with a blank between a word and one of those `apart` that stands right beside it."""
    text, before = "", False
    for number, part in enumerate(parts):
        if not part:
            continue
        now = number in apart
        if text and (now or before) and _of_word(text[-1]) and _of_word(part[0]):
            text += " "
        text += part
        before = now
    return text


def _of_word(char: str) -> bool:
    return words.WORDLIKE.match(char) is not None
