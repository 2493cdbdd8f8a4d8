"""`triples`: how many of a query's passages make one."""

from __future__ import annotations

from stages.settings.reading import value
from stages.settings.types import Count, Group


class Triples(Group):
    positives: Count | None


def read_triples() -> Triples:
    return value("triples", Triples)
