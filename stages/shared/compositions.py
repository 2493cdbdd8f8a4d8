"""Compositions: which language fills each slot of a training triple, query-positive-negative.

`koenen` is a Korean query with an English positive and English negatives, D(koenen) in arXiv 2507.08480.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

from stages.shared.errors import UserError


class Composition(NamedTuple):
    """The languages of a triple's query, positive and negatives."""

    query: str
    positive: str
    negative: str

    @property
    def name(self) -> str:
        return "".join(self)

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
