"""Languages, compositions and tasks, and how each is written.

A composition says which language fills each slot of a training triple, query-positive-negative:
`koenen` is a Korean query with an English positive and English negatives, D(koenen) in arXiv 2507.08480.
A task says which language asks and which is searched, query-corpus: `ko-en`; `ko-*` searches all
languages at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any, NamedTuple

import langcodes
import regex

from stages.shared.errors import UserError

POOL = "*"
# The metric of tasks against the pool: how far apart parallel relevant passages rank (arXiv 2408.10536).
BIAS = "language_bias"


def language_name(tag: str) -> str:
    """The English name of a BCP-47 tag: `ko` -> `Korean`, `hi-Latn` -> `Hindi (Latin)`."""
    return langcodes.Language.get(tag).display_name()


def is_language(tag: str) -> bool:
    return langcodes.tag_is_valid(tag)


# ISO 15924 codes that stand for several scripts of Unicode, or for a style of one.
SCRIPTS = {
    "Kore": ("Hang", "Hani"),
    "Jpan": ("Hani", "Hira", "Kana"),
    "Hrkt": ("Hira", "Kana"),
    "Hans": ("Hani",),
    "Hant": ("Hani",),
    "Hanb": ("Hani", "Bopo"),
    "Aran": ("Arab",),
    "Latf": ("Latn",),
    "Latg": ("Latn",),
}


def scripts(tag: str) -> tuple[str, ...]:
    """Unicode's scripts in which a language is written, as ISO 15924 codes; none if Unicode lacks it."""
    script = langcodes.Language.get(tag).maximize().script or ""
    if script in SCRIPTS:
        return SCRIPTS[script]
    try:
        regex.compile(rf"\p{{Script={script}}}")
    except regex.error:
        return ()
    return (script,)


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


def measured(languages: list[str], benchmarks: Mapping[str, Any]) -> list[str]:
    """The study's languages, then those that `benchmarks` (name: params.Benchmark) have besides."""
    own = [lang for benchmark in benchmarks.values() for lang in benchmark.languages or ()]
    return list(dict.fromkeys([*languages, *own]))


def task_groups(languages: list[str]) -> dict[str, str]:
    """The group of every task that `languages` can form, by the task's name."""
    return {task.name: task.group for task in tasks(languages, languages)}
