"""What no single key of `params.yaml` shows: names that nothing makes, and settings that do not go together."""

from __future__ import annotations

from collections.abc import Iterator

from stages.check import (
    codeswitch,
    collection,
    encoders,
    knowledge_base,
    lexicons,
    measuring,
    merges,
    negatives,
    recipes,
    references,
    rerankers,
)
from stages.check.groups import Params


def contradictions(params: Params) -> Iterator[str]:
    """One sentence each, with its mend."""
    parts = (
        collection,
        knowledge_base,
        encoders,
        negatives,
        lexicons,
        codeswitch,
        recipes,
        merges,
        measuring,
        references,
        rerankers,
    )
    for part in parts:
        yield from part.contradictions(params)
