"""Languages, compositions and tasks, and how each is written.

A composition says which language fills each slot of a training triple, query-positive-negative:
`koenen` is a Korean query with an English positive and English negatives, D(koenen) in arXiv 2507.08480.
A task says which language asks and which is searched, query-corpus: `ko-en`; `ko-*` searches all
languages at once.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import langcodes

from stages.shared.errors import UserError

POOL = "*"


def language_name(tag: str) -> str:
    """The English name of a BCP-47 tag: `ko` -> `Korean`, `hi-Latn` -> `Hindi (Latin)`."""
    return langcodes.Language.get(tag).display_name()


def is_language(tag: str) -> bool:
    return langcodes.tag_is_valid(tag)


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


class Task(NamedTuple):
    """A query language and the corpus it searches: a language, or `*` for all of them."""

    query: str
    corpus: str

    @property
    def name(self) -> str:
        return f"{self.query}-{self.corpus}"

    @property
    def group(self) -> str:
        """`mono`, `cross` or `multi`."""
        if self.corpus == POOL:
            return "multi"
        return "mono" if self.query == self.corpus else "cross"


GROUPS = ("mono", "cross", "multi")


def tasks(query_languages: list[str], corpus_languages: list[str]) -> list[Task]:
    """Every query language against every corpus language, and against the pool of all if there are several."""
    pools = [POOL] if len(corpus_languages) > 1 else []
    return [Task(q, c) for q in query_languages for c in [*corpus_languages, *pools]]


def task_groups(languages: list[str]) -> dict[str, str]:
    """The group of every task that `languages` can form, by the task's name."""
    return {task.name: task.group for task in tasks(languages, languages)}
