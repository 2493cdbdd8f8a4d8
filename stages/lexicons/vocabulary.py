"""The words of one language in the texts: each word's forms as one, and how it is written."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cached_property

import numpy as np

from stages.shared.stems import lookups
from stages.shared.words import spans


class Vocabulary:
    """Words by number, in the order of their first occurrence. With `stems` the forms of a word that share a stem
    (`stages.shared.stems`) are one, else all that is the same but for case."""

    def __init__(self, lang: str, stems: bool) -> None:
        self.lang = lang
        self.stems = stems
        self.numbers: dict[str, int] = {}
        self._occurrences: Counter[str] = Counter()

    def read(self, text: str) -> np.ndarray:
        """The numbers of the words of `text`, in its order: int32, shape [words]."""
        written = [text[begin:end] for begin, end in spans(text, self.lang)]
        self._occurrences.update(written)
        return np.array([self.numbers.setdefault(self.key(w), len(self.numbers)) for w in written], np.int32)

    def key(self, word: str) -> str:
        """What the forms of a word share: its stem, or itself in lower case."""
        return lookups(word, self.lang)[-1 if self.stems else 0]

    @cached_property
    def forms(self) -> Counter[str]:
        """How often each word as it stands in the texts occurs, in lower case."""
        found: Counter[str] = Counter()
        for word, count in self._occurrences.items():
            found[lookups(word, self.lang)[0]] += count
        return found

    @cached_property
    def written(self) -> list[str]:
        """How each word is written where it stands alone, by number.

        The form that most of its occurrences are made of: `프로젝트` is in `프로젝트를`, `프로젝트에서` and itself. It
        must occur as a word, which many stems never do (`studi`); with the case that it mostly has.
        """
        weights: dict[int, Counter[str]] = defaultdict(Counter)
        for form, count in self.forms.items():
            for part in lookups(form, self.lang) if self.stems else (form,):
                if part in self.forms:
                    weights[self.numbers[self.key(form)]][part] += count
        cases: dict[str, Counter[str]] = defaultdict(Counter)
        for word, count in self._occurrences.items():
            cases[lookups(word, self.lang)[0]][word] += count
        best = (_most(weights[number]) for number in range(len(self.numbers)))
        return [_most(cases[form]) for form in best]


def _most(counts: Counter[str]) -> str:
    """The most frequent; of equals the shortest, and then the last in Unicode's order, which is lower case."""
    return max(counts, key=lambda word: (counts[word], -len(word), word))
