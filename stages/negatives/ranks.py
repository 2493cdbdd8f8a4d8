"""Negatives by the teacher's ranks: filters of ranks and scores, all queries at once in matrices [queries, ranks]."""

from __future__ import annotations

import numpy as np
import polars as pl

from stages.negatives import margins
from stages.negatives.answers import ANSWERED_AT_ONCE, Answers
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
    # Nothing outside the window is looked at: rank `begin` + 1 is the first column.
    begin, end = (strategy.rank_min or 1) - 1, min(strategy.rank_max or depth, depth)
    begin = min(begin, end)
    candidates = ranked["candidates"].list.to_array(depth).to_numpy()[:, begin:end]
    scores = ranked["scores"].list.to_array(depth).to_numpy()[:, begin:end]
    positive = ranked["positive_score"].to_numpy().astype(np.float64)[:, None]
    alive = np.ones(candidates.shape, bool)
    counts["candidates"] = alive.size

    def drop(reason: str, hit: np.ndarray) -> None:
        counts[reason] = int(np.count_nonzero(alive & hit))
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
    # A Python float would be rounded to the scores' float32 first.
    if strategy.min_score is not None:
        drop("min_score", scores < np.float64(strategy.min_score))
    if strategy.max_score is not None:
        drop("max_score", scores > np.float64(strategy.max_score))
    if strategy.pick == "weighted":
        drop("zero_weight", np.maximum(scores, np.float64(strategy.floor)) <= 0)

    k = strategy.chosen
    written = pl.Series([[]], dtype=pl.List(pl.String)).new_from_index(0, len(ranked))
    if strategy.written:
        judged = answers.passages(not_relevant).join(answers.itself, on=QUERY_PASSAGE, how="anti")
        written = _written(ranked["query"], judged, k)
        alive[answers.among(ranked["query"], candidates, not_relevant)] = False
        counts["written"] = int(written.list.len().sum())
    wanted = k - written.list.len().cast(pl.Int64).to_numpy()
    enough = np.count_nonzero(alive, axis=1) >= wanted
    counts["short"] = int((~enough).sum())
    rows = np.flatnonzero(enough)
    first = _first(ranked["query"], answers, candidates, scores, alive, rows, strategy, seed)
    # Where hard negatives were written for the query, fewer are mined.
    most = first.shape[1]
    mined = np.arange(most) < wanted[enough][:, None]
    if len(rows):
        counts["positive_score"] = round(float(positive[enough].mean()), 5)
    if mined.any():
        kept_scores = scores[rows[:, None], first].astype(np.float64)
        counts["negative_score"] = round(float(kept_scores[mined].mean()), 5)
    table = ranked.filter(pl.Series(enough)).select("query", "query_lang", "corpus_lang")
    names = answers.pool.gather(pl.Series(candidates[rows[:, None], first].reshape(-1), dtype=pl.UInt32))
    lists = names.reshape(first.shape).cast(pl.List(pl.String))
    if strategy.written:
        taken = pl.DataFrame({"taken": written.filter(pl.Series(enough)), "mined": lists})
        of_mined = pl.col("mined").list.head(k - pl.col("taken").list.len().cast(pl.Int64))
        lists = taken.select(pl.concat_list("taken", of_mined)).to_series()
    return table.with_columns(lists.alias("negatives")), counts


def _first(
    queries: pl.Series,
    answers: Answers,
    candidates: np.ndarray,
    scores: np.ndarray,
    alive: np.ndarray,
    rows: np.ndarray,
    strategy: Negatives,
    seed: int,
) -> np.ndarray:
    """The columns of the first candidates that are `alive`, in the order in which the strategy takes them, of the
    queries `rows`: int64, shape [rows, k at most]."""
    most = min(strategy.chosen, candidates.shape[1])
    found = np.empty((len(rows), most), np.int64)
    if not found.size:
        return found
    if strategy.pick != "top":
        # A number for each query and passage: the choice depends on no other query and no other passage.
        asked = seeds.numbers(f"{seed}/negatives", queries.gather(rows).to_list())
        passages = answers.numbers(seed)
    # Blocks small enough for the processor's own memory.
    for begin in range(0, len(rows), ANSWERED_AT_ONCE):
        part = rows[begin : begin + ANSWERED_AT_ONCE]
        if strategy.pick == "top":
            order = np.broadcast_to(np.arange(candidates.shape[1], dtype=np.float64), (len(part), candidates.shape[1]))
        else:
            order = seeds.uniform(asked[begin : begin + ANSWERED_AT_ONCE, None], passages[candidates[part]])
        if strategy.pick == "weighted":
            weights = np.where(alive[part], np.maximum(scores[part], np.float64(strategy.floor)), 1.0)
            order = -sampling.gumbel(np.log(weights) / strategy.temperature, order)
        order = np.where(alive[part], order, np.inf)
        own = _least(order, most)
        by_order = np.argsort(np.take_along_axis(order, own, 1), axis=1)
        found[begin : begin + ANSWERED_AT_ONCE] = np.take_along_axis(own, by_order, 1)
    return found


def _least(order: np.ndarray, count: int) -> np.ndarray:
    """The columns of each row's `count` least, in any order."""
    # Several times as fast as argpartition, and right unless there are ties.
    least = order <= np.partition(order, count - 1, axis=1)[:, count - 1 : count]
    if np.count_nonzero(least) == count * len(order):
        return np.nonzero(least)[1].reshape(-1, count)
    return np.argpartition(order, count - 1, axis=1)[:, :count]


def _found(ranked: pl.DataFrame, answers: Answers, depth: int) -> np.ndarray:
    """Whether a passage that answers a query is among the teacher's first `depth`: bool, shape [queries]."""
    first = ranked["candidates"].list.head(depth + answers.most_itself)
    width = int(first.list.len().max())  # type: ignore[arg-type]
    candidates = first.list.to_array(width).to_numpy()
    # The query's own text, which comes first, takes no rank.
    ranks = np.cumsum(~answers.are_itself(ranked["query"], candidates), axis=1)
    hit = answers.among(ranked["query"], candidates) & (ranks <= depth)
    return np.logical_or.reduce(hit, axis=1)


def _written(queries: pl.Series, judged: pl.DataFrame, k: int) -> pl.Series:
    """At most k passages of `judged` for each query, in order of their names, as lists."""
    own = judged.sort("query", "passage").group_by("query").agg(pl.col("passage").head(k))
    found = queries.to_frame("query").join(own, on="query", how="left", maintain_order="left")
    return found["passage"].fill_null([])
