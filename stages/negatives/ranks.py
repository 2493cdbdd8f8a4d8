"""Negatives by the teacher's ranks: filters of ranks and scores, all queries at once in matrices [queries, ranks]."""

from __future__ import annotations

import numpy as np
import polars as pl

from stages.negatives import margins
from stages.negatives.answers import Answers
from stages.schemas.negatives import NEGATIVES
from stages.settings.negatives import Negatives
from stages.shared import sampling, seeds
from stages.shared.identical import QUERY_PASSAGE


def pick(
    ranked: pl.DataFrame,
    answers: Answers,
    not_relevant: pl.DataFrame,
    strategy: Negatives,
    seed: int,
    served: pl.DataFrame | None = None,
    about: pl.DataFrame | None = None,
) -> tuple[pl.DataFrame, dict[str, int | float]]:
    """The chosen negatives of one direction's queries (NEGATIVES), and counts. `not_relevant` (query, group)
    holds groups judged not to answer their query, for `strategy.written`; `served`, for margins against both positives,
    the lists of all directions in which what is mined here trains, with their limits (margins.py); `about` (passage,
    domain), for negatives within the query's domain, what passages are about.

    The counts: `queries`; `round_trip`, those of them dropped because the teacher ranks no passage that answers them
    high enough (consistency filtering, Promptagator, arXiv 2209.11755, section 3.2); `candidates` in the rank window;
    what `relevant`, `itself` (the query's own text), `other_domain`, `absolute_margin`, `relative_margin`,
    `own_positive` (beyond the margin in some composition) with `unlisted` (perhaps so, being below candidates.depth
    there), `min_score`, `max_score` and, where weighted, `zero_weight` dropped of them, each counted on what the
    filters before it left;
    `written` hard negatives taken;
    `short` queries with fewer than are wanted, which get no row; the mean score of the positives and of the mined
    negatives kept.
    """
    counts: dict[str, int | float] = {"queries": len(ranked)}
    if strategy.round_trip:
        ranked = ranked.filter(pl.Series(_found(ranked, answers, strategy.round_trip)))
        counts["round_trip"] = int(counts["queries"]) - len(ranked)
    if ranked.is_empty():
        return pl.DataFrame(schema=NEGATIVES), counts
    depth = int(ranked["candidates"].list.len().max())  # type: ignore[arg-type]
    candidates = ranked["candidates"].list.to_array(depth).to_numpy()
    scores = ranked["scores"].list.to_array(depth).to_numpy().astype(np.float64)
    positive = ranked["positive_score"].to_numpy().astype(np.float64)[:, None]
    ranks = np.arange(1, depth + 1)

    window = (ranks >= (strategy.rank_min or 1)) & (ranks <= (strategy.rank_max or depth))
    alive = np.broadcast_to(window, candidates.shape).copy()
    counts["candidates"] = int(alive.sum())

    def drop(reason: str, hit: np.ndarray) -> None:
        counts[reason] = int((alive & hit).sum())
        alive[hit] = False

    drop("relevant", answers.among(ranked["query"], candidates))
    drop("itself", answers.are_itself(ranked["query"], candidates))
    if about is not None:
        drop("other_domain", answers.elsewhere(ranked["query"], candidates, about))
    if strategy.absolute_margin is not None:
        drop("absolute_margin", scores > positive - strategy.absolute_margin)
    if strategy.relative_margin is not None:
        # |positive|, or the margin would turn round for negative scores (sentence-transformers#3819).
        drop("relative_margin", scores > positive - strategy.relative_margin * np.abs(positive))
    if served is not None:
        above, unlisted = margins.beyond(ranked["query"], candidates, served)
        drop("own_positive", above)
        drop("unlisted", unlisted)
    if strategy.min_score is not None:
        drop("min_score", scores < strategy.min_score)
    if strategy.max_score is not None:
        drop("max_score", scores > strategy.max_score)
    if strategy.pick == "weighted":
        drop("zero_weight", np.maximum(scores, strategy.floor) <= 0)

    k = strategy.chosen
    written = (
        _written(ranked["query"], answers.passages(not_relevant).join(answers.itself, on=QUERY_PASSAGE, how="anti"), k)
        if strategy.written
        else [[] for _ in range(len(ranked))]
    )
    if strategy.written:
        alive[answers.among(ranked["query"], candidates, not_relevant)] = False
        counts["written"] = sum(map(len, written))
    wanted = k - np.array([len(own) for own in written])
    enough = alive.sum(axis=1) >= wanted
    counts["short"] = int((~enough).sum())
    if strategy.pick == "top":
        order = np.broadcast_to(ranks.astype(np.float64), candidates.shape)
    else:
        # A number for each query and passage: the choice depends on no other query and no other passage.
        queries = seeds.numbers(f"{seed}/negatives", ranked["query"].to_list())
        passages = seeds.numbers(seed, answers.pool.to_list())
        order = seeds.uniform(queries[:, None], passages[candidates])
    if strategy.pick == "weighted":
        weights = np.where(alive, np.maximum(scores, strategy.floor), 1.0)
        order = -sampling.gumbel(np.log(weights) / strategy.temperature, order)
    order = np.where(alive, order, np.inf)[enough]
    most = min(k, depth)
    first = np.argpartition(order, most - 1, axis=1)[:, :most]
    first = np.take_along_axis(first, np.argsort(np.take_along_axis(order, first, 1), axis=1), 1)
    kept = np.take_along_axis(candidates[enough], first, 1)
    # Where hard negatives were written for the query, fewer are mined.
    mined = np.arange(most) < wanted[enough][:, None]
    if enough.any():
        counts["positive_score"] = round(float(positive[enough].mean()), 5)
    if mined.any():
        counts["negative_score"] = round(float(np.take_along_axis(scores[enough], first, 1)[mined].mean()), 5)
    table = ranked.filter(pl.Series(enough)).select("query", "query_lang", "corpus_lang")
    names = answers.pool.gather(pl.Series(kept.reshape(-1), dtype=pl.UInt32)).to_list()
    own = [taken for taken, keep in zip(written, enough, strict=True) if keep]
    lists = [[*taken, *names[row * most : row * most + k - len(taken)]] for row, taken in enumerate(own)]
    return table.with_columns(pl.Series("negatives", lists, pl.List(pl.String))), counts


def _found(ranked: pl.DataFrame, answers: Answers, depth: int) -> np.ndarray:
    """Whether a passage that answers a query is among the teacher's first `depth`: bool, shape [queries]."""
    first = ranked["candidates"].list.head(depth + answers.most_itself)
    width = int(first.list.len().max())  # type: ignore[arg-type]
    candidates = first.list.to_array(width).to_numpy()
    # The query's own text, which comes first, takes no rank.
    ranks = np.cumsum(~answers.are_itself(ranked["query"], candidates), axis=1)
    hit = answers.among(ranked["query"], candidates) & (ranks <= depth)
    return np.logical_or.reduce(hit, axis=1)


def _written(queries: pl.Series, judged: pl.DataFrame, k: int) -> list[list[str]]:
    """At most k passages of `judged` for each query, in order of their names."""
    own = judged.sort("query", "passage").group_by("query").agg(pl.col("passage").head(k))
    found = queries.to_frame("query").join(own, on="query", how="left", maintain_order="left")
    return [passages or [] for passages in found["passage"].to_list()]
