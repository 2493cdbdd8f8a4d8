"""Tasks: which language asks and which is searched, query-corpus.

`ko-en` asks in Korean and searches English; `ko-*` searches all languages at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

POOL = "*"
# The metric of tasks against the pool: how far apart parallel relevant passages rank (arXiv 2408.10536).
BIAS = "language_bias"


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
# Three languages have 12 tasks, four 20.
MOST_IN_COLUMNS = 3


def tasks(query_languages: list[str], corpus_languages: list[str]) -> list[Task]:
    """Every query language against every corpus language, and against the pool of all if there are several."""
    pools = [POOL] if len(corpus_languages) > 1 else []
    return [Task(q, c) for q in query_languages for c in [*corpus_languages, *pools]]


def too_many(shown: Iterable[Task]) -> bool:
    """Whether `shown` tasks are of too many languages for a column each: a matrix of query and corpus then has them."""
    return len({task.query for task in shown}) > MOST_IN_COLUMNS


def measured(languages: list[str], benchmarks: Mapping[str, Any]) -> list[str]:
    """The study's languages, then those that `benchmarks` (name: Benchmark) have besides."""
    own = [lang for benchmark in benchmarks.values() for lang in benchmark.languages or ()]
    return list(dict.fromkeys([*languages, *own]))


def task_groups(languages: list[str]) -> dict[str, str]:
    """The group of every task that `languages` can form, by the task's name."""
    return {task.name: task.group for task in tasks(languages, languages)}
