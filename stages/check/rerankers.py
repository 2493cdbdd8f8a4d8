"""Contradictions of re-rankers and of what they re-rank: bases that they cannot have, and runs that there are not."""

from __future__ import annotations

from collections.abc import Iterator

from stages.check.groups import Params
from stages.schemas.runs import FUSED_FOLDER, RUNS_FOLDER
from stages.settings.reading import meant
from stages.shared import models
from stages.shared.errors import UserError


def contradictions(params: Params) -> Iterator[str]:
    yield from _rerankers(params)
    yield from _rows(params)


def _rerankers(params: Params) -> Iterator[str]:
    if params.rerankers and params.base.name == "static":
        name = next(iter(params.rerankers))
        yield (
            f"rerankers.{name} reads a query and a passage together, which base.name static cannot, a table of "
            "vectors: name a transformer there, or write `rerankers: {}` and `rerank: {}`"
        )
    for name, reranker in params.rerankers.items():
        if name in params.recipes:
            yield f"rerankers.{name} has the name of a recipe: rename it"
        own = reranker.train
        if own.mini_batch_tokens or (params.train.mini_batch_tokens and "mini_batch_size" not in own.written):
            yield (
                f"rerankers.{name} reads pairs, which mini_batch_tokens does not bound: write mini_batch_size under "
                f"rerankers.{name}.train, null for all pairs at once"
            )
            continue
        try:
            training = params.train.of_pairs.changed(reranker.train.written, f"rerankers.{name}.train")
        except UserError as error:
            yield str(error).removeprefix("params.yaml: ")
            continue
        if training.lora:
            yield (
                f"rerankers.{name} would be trained with train.lora, beside whose adapters its new head could not "
                f"learn: write `lora: null` under rerankers.{name}.train"
            )


def _rows(params: Params) -> Iterator[str]:
    found = models.names(params.recipes, params.merges)
    taken = {**dict.fromkeys(found, "model"), **dict.fromkeys(params.ranked_beside, "reference")}
    taken |= dict.fromkeys(params.fusions, "fusion")
    stages = [str(RUNS_FOLDER / name) for name in (*found, *params.ranked_beside)]
    stages += [str(FUSED_FOLDER / name) for name in params.fusions]
    for name, row in params.rerank.items():
        if name in taken:
            yield f"rerank.{name} has the name of a {taken[name]}: rename it"
        if row.reranker not in params.rerankers:
            known = list(params.rerankers)
            others = f" or name one of {', '.join(known)}" if known else ""
            yield (
                f"rerank.{name}.reranker is {row.reranker!r}, which there is not{meant(row.reranker, known)}: add "
                f"rerankers.{row.reranker}{others}"
            )
        if row.first_stage not in stages:
            yield (
                f"rerank.{name}.first_stage is {row.first_stage!r}, which holds no runs"
                f"{meant(row.first_stage, stages)}: name one of {', '.join(stages)}"
            )
        if row.depth > params.retrieve.depth:
            yield (
                f"rerank.{name}.depth is {row.depth}, but its first stage keeps only retrieve.depth "
                f"{params.retrieve.depth} ranks: raise that or lower depth"
            )
