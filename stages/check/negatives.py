"""Contradictions of the teacher's search and of strategies of negatives."""

from __future__ import annotations

from collections.abc import Iterator

from stages.check.groups import Params


def contradictions(params: Params) -> Iterator[str]:
    languages = params.languages
    if params.windows and params.candidates.index:
        yield "candidates.index searches no passages in windows: write index: null, or windows: null"
    if params.windows and params.candidates.precision != "float32":
        yield "candidates.precision float16 holds no windows: write float32, or windows: null"
    for name, strategy in params.negatives.items():
        pairs = [f"{q}-{c}" for q in languages for c in languages]
        if strategy.direction not in ("each", *pairs):
            yield (
                f"negatives.{name}.direction is {strategy.direction!r}: "
                f"write each, or a query and a corpus language ({', '.join(pairs)})"
            )
        if strategy.labels and not params.corpus.labelled:
            yield f"negatives.{name}.labels needs labels, which only corpus.source labelled has: write null"
        if strategy.within and not params.domains:
            yield f"negatives.{name}.within is domain, but there are no domains: add some, or write null"
        for trait, rank in (("rank_max", strategy.rank_max), ("round_trip", strategy.round_trip)):
            if (rank or 0) > params.candidates.depth:
                yield (
                    f"negatives.{name}.{trait} is {rank}, but candidates.depth ranks only "
                    f"{params.candidates.depth}: raise candidates.depth or lower {trait}"
                )
