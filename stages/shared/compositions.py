"""Compositions: which language fills each slot of a training triple, query-positive-negative.

`koenen` is a Korean query with an English positive and English negatives, D(koenen) in arXiv 2507.08480.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from stages.shared.errors import UserError

# What a recipe may write in place of names.
COMPOSITION_WORDS = {
    "all": lambda slots: True,
    "mono": lambda slots: slots.is_mono,
    "cross": lambda slots: slots.crosses and slots.positive == slots.negative,
}
ANY_LANGUAGE = "*"


class Composition(NamedTuple):
    """The languages of a triple's query, positive and negatives."""

    query: str
    positive: str
    negative: str

    @property
    def name(self) -> str:
        return "".join(self)

    @property
    def is_mono(self) -> bool:
        """Whether all three slots are in one language."""
        return self.query == self.positive == self.negative

    @property
    def crosses(self) -> bool:
        """Whether query and positive differ in language."""
        return self.query != self.positive

    @property
    def query_negatives_match(self) -> bool:
        """Query and negatives share a language that the positive does not have (2507.08480, "Query-Negatives
        Match"): the triple then teaches the model to tell languages apart."""
        return self.crosses and self.query == self.negative


def compositions(languages: list[str]) -> list[Composition]:
    """All n x n x n compositions of `languages`, in order."""
    return [Composition(*slots) for slots in product(languages, repeat=3)]


def composition(name: str, languages: list[str]) -> Composition:
    """The composition written `name` (`koenen`, or `ko-en-en`); raises `UserError` for any other text."""
    known = {spelling: c for c in compositions(languages) for spelling in (c.name, "-".join(c))}
    if name not in known:
        example = compositions(languages)[-1].name
        raise UserError(
            f"{name!r} is no composition of {', '.join(languages)}: "
            f"write the query's, the positive's and the negatives' language, as in {example!r}"
        )
    return known[name]


def selected(spellings: Sequence[str], languages: list[str]) -> list[Composition]:
    """The compositions that are written, each once and in order: `all`; `mono`, those of one language; `cross`, a query
    in one language and passages in another; those of a pattern (`*-*-en`: * is any language); or a single one. Raises
    `UserError` for any other text."""
    every, found = compositions(languages), []
    for spelling in spellings:
        if spelling in COMPOSITION_WORDS:
            found += [slots for slots in every if COMPOSITION_WORDS[spelling](slots)]
        elif ANY_LANGUAGE in spelling:
            own = [slots for slots in every if spelling in _patterns(slots)]
            if not own:
                raise UserError(
                    f"{spelling!r} is a pattern of no composition of {', '.join(languages)}: write a language or * for "
                    f"query, positive and negatives, as in '*-*-{languages[0]}'"
                )
            found += own
        else:
            found.append(composition(spelling, languages))
    return list(dict.fromkeys(found))


def _patterns(slots: Composition) -> set[str]:
    return {"-".join(each) for each in product(*((slot, ANY_LANGUAGE) for slot in slots))}
