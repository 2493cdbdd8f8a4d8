"""negatives: for each strategy, k of the candidates are kept as a query's hard negatives.

Filters look at raw ranks and at scores beside the positive's (NV-Retriever, arXiv 2407.15831: `relative_margin` 0.05 is
its TopK-PercPos at 95 %); a passage that answers the query, in any language, is never kept. What each filter dropped is
reported. All queries are filtered at once, in matrices of shape [queries, ranks].
"""

import logging
from pathlib import Path

import numpy as np
import polars as pl

from stages.shared import collection, errors, params, seeds, tables
from stages.shared.params import Negatives

log = logging.getLogger("negatives")
CANDIDATES = Path("data/candidates")
OUT = Path("data/negatives")
REPORT = Path("metrics/negatives.json")


def main() -> None:
    strategies, languages, seed = params.read("negatives", "languages", "seed")
    pool = tables.read(CANDIDATES / "pool.parquet", tables.POOL)["passage"]
    ranked = tables.read(CANDIDATES / "ranked.parquet", tables.CANDIDATES)
    stored = collection.read()
    directions = [(q, c) for q in languages for c in languages]
    report: dict = {}
    with tables.replacing(OUT) as draft:
        for name, strategy in strategies.items():
            mined = [pair for pair in directions if strategy.direction in ("each", "-".join(pair))]
            kept, report[name] = [], {}
            for query_lang, corpus_lang in mined:
                rows = ranked.filter(query_lang=query_lang, corpus_lang=corpus_lang)
                table, counts = pick(rows, pool, stored.judgements, stored.negatives, strategy, seed)
                kept.append(table)
                report[name][f"{query_lang}-{corpus_lang}"] = counts
            table = pl.concat(kept)
            if strategy.direction != "each":
                # The same passages in every direction: the compositions then differ in language alone.
                table = pl.concat(
                    table.with_columns(query_lang=pl.lit(q), corpus_lang=pl.lit(c)) for q, c in directions
                )
            if table.is_empty():
                raise errors.UserError(
                    f"negatives.{name} leaves no query {strategy.k} negatives: widen its ranks, margins or scores"
                )
            tables.write(table.sort("query", "query_lang", "corpus_lang"), draft / f"{name}.parquet", tables.NEGATIVES)
            for direction, counts in report[name].items():
                log.info(f"{name} {direction}: " + ", ".join(f"{k} {v:,}" for k, v in counts.items()))
    tables.write_json(report, REPORT)


def pick(
    ranked: pl.DataFrame,
    pool: pl.Series,
    relevant: pl.DataFrame,
    judged: pl.DataFrame,
    strategy: Negatives,
    seed: int,
) -> tuple[pl.DataFrame, dict[str, int | float]]:
    """The negatives of one direction's queries (tables.NEGATIVES), and counts. `judged` (query, passage) holds passages
    known not to answer their query, for `strategy.written`.

    The counts: `queries`; `round_trip`, those of them dropped because the teacher ranks no passage that answers them
    high enough (consistency filtering, Promptagator, arXiv 2209.11755, section 3.2); `candidates` in the rank window;
    what `relevant`, `absolute_margin`, `relative_margin`, `min_score` and `max_score` dropped of them, each counted on
    what the filters before it left; `written` hard negatives taken; `short` queries with fewer than k negatives, which
    get no row; the mean score of the positives and of the mined negatives kept.
    """
    if ranked.is_empty():
        return pl.DataFrame(schema=tables.NEGATIVES), {"queries": 0}
    counts: dict[str, int | float] = {"queries": len(ranked)}
    if strategy.round_trip:
        ranked = ranked.filter(pl.Series(_found(ranked, pool, relevant, strategy.round_trip)))
        counts["round_trip"] = int(counts["queries"]) - len(ranked)
        if ranked.is_empty():
            return pl.DataFrame(schema=tables.NEGATIVES), counts
    depth = int(ranked["candidates"].list.len().max())  # type: ignore[arg-type]
    candidates = ranked["candidates"].list.to_array(depth).to_numpy()
    scores = ranked["scores"].list.to_array(depth).to_numpy().astype(np.float64)
    positive = ranked["positive_score"].to_numpy().astype(np.float64)[:, None]
    ranks = np.arange(1, depth + 1)

    alive = np.broadcast_to((ranks >= strategy.rank_min) & (ranks <= strategy.rank_max), candidates.shape).copy()
    counts["candidates"] = int(alive.sum())

    def drop(reason: str, hit: np.ndarray) -> None:
        counts[reason] = int((alive & hit).sum())
        alive[hit] = False

    drop("relevant", _is_among(ranked["query"], candidates, pool, relevant))
    if strategy.absolute_margin is not None:
        drop("absolute_margin", scores > positive - strategy.absolute_margin)
    if strategy.relative_margin is not None:
        # |positive|, or the margin would turn round for negative scores (sentence-transformers#3819).
        drop("relative_margin", scores > positive - strategy.relative_margin * np.abs(positive))
    if strategy.min_score is not None:
        drop("min_score", scores < strategy.min_score)
    if strategy.max_score is not None:
        drop("max_score", scores > strategy.max_score)

    written = _written(ranked["query"], judged, strategy.k) if strategy.written else [[] for _ in range(len(ranked))]
    if strategy.written:
        alive[_is_among(ranked["query"], candidates, pool, judged)] = False
        counts["written"] = sum(map(len, written))
    wanted = strategy.k - np.array([len(own) for own in written])
    enough = alive.sum(axis=1) >= wanted
    counts["short"] = int((~enough).sum())
    if strategy.pick == "top":
        order = np.broadcast_to(ranks.astype(np.float64), candidates.shape)
    else:
        # A number for each query and passage: the choice depends on no other query and no other passage.
        queries = seeds.numbers(f"{seed}/negatives", ranked["query"].to_list())
        passages = seeds.numbers(seed, pool.to_list())
        order = seeds.uniform(queries[:, None], passages[candidates])
    order = np.where(alive, order, np.inf)[enough]
    most = min(strategy.k, depth)
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
    names = pool.gather(pl.Series(kept.reshape(-1), dtype=pl.UInt32)).to_list()
    own = [taken for taken, keep in zip(written, enough, strict=True) if keep]
    lists = [[*taken, *names[row * most : row * most + strategy.k - len(taken)]] for row, taken in enumerate(own)]
    return table.with_columns(pl.Series("negatives", lists, pl.List(pl.String))), counts


def _found(ranked: pl.DataFrame, pool: pl.Series, relevant: pl.DataFrame, depth: int) -> np.ndarray:
    """Whether one of a query's relevant passages is among the teacher's first `depth`: bool, shape [queries]."""
    first = ranked["candidates"].list.head(depth)
    width = int(first.list.len().max())  # type: ignore[arg-type]
    hit = _is_among(ranked["query"], first.list.to_array(width).to_numpy(), pool, relevant)
    return np.logical_or.reduce(hit, axis=1)


def _written(queries: pl.Series, judged: pl.DataFrame, k: int) -> list[list[str]]:
    """At most k passages of `judged` for each query, in order of their names."""
    own = judged.sort("query", "passage").group_by("query").agg(pl.col("passage").head(k))
    found = queries.to_frame("query").join(own, on="query", how="left", maintain_order="left")
    return [passages or [] for passages in found["passage"].to_list()]


def _is_among(queries: pl.Series, candidates: np.ndarray, pool: pl.Series, judged: pl.DataFrame) -> np.ndarray:
    """Where a candidate is one of its query's passages in `judged`: bool, the shape of `candidates`."""
    numbered = pl.DataFrame({"passage": pool}).with_row_index("number")
    pairs = queries.to_frame("query").with_row_index("row").join(judged, on="query").join(numbered, on="passage")
    hit = np.zeros(candidates.shape, bool)
    # One pass for the n-th such passage of every query.
    nth = pairs.with_columns(nth=pl.int_range(pl.len()).over("row"))
    for _, part in nth.group_by("nth"):
        rows = part["row"].to_numpy()
        hit[rows] |= candidates[rows] == part["number"].to_numpy()[:, None]
    return hit


if __name__ == "__main__":
    errors.run(main)
