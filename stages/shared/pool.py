"""How a ranking of the pool treats its languages, beside the distance of parallel passages (`score.bias`): which it
prefers, whether they rank alike, and whether the language of the question matters.

All hold where the pool has each document in all its languages, so that no language has more that is relevant.
"""

from __future__ import annotations

from itertools import combinations

import polars as pl

from stages.shared.tasks import POOL

PEER = "peer"
RANK_CORRELATION = "rank_correlation"
# Followed by a point and the language that is searched.
PREFERENCE = "preference"
LANGUAGE_MEASURES = (PEER, RANK_CORRELATION, PREFERENCE)
# Of preferences the mean of those for the query's own language.
OWN_LANGUAGE = "own_language"
# The ranks that are looked at: the field's PEER@100, and the first ten that people read.
PEER_DEPTH = 100
READ_DEPTH = 10
OF_QUERY = ["task", "query"]
# Of a sum whose parts come in any order the last digits are not the same.
SUM_PLACES = 9


def measured(run: pl.DataFrame, qrels: pl.DataFrame) -> pl.DataFrame:
    """Columns task, query, metric, value of the pooled tasks of `run` (RUN), for queries with relevant passages in
    several languages (`qrels`, BENCHMARK_QRELS)."""
    parallel = qrels.group_by("query").agg(pl.col("lang").n_unique()).filter(pl.col("lang") > 1)
    pooled = run.filter(pl.col("task").str.ends_with(f"-{POOL}")).join(parallel, on="query", how="semi")
    languages = qrels["lang"].unique().sort().to_list()
    parts = [peer(pooled, languages), preference(pooled, qrels, languages), rank_correlation(pooled)]
    return pl.concat(part.select(*OF_QUERY, "metric", pl.col("value").round(SUM_PLACES)) for part in parts)


def peer(run: pl.DataFrame, languages: list[str]) -> pl.DataFrame:
    """Probability of equal expected rank (arXiv 2405.00978, section 3): the p of the Kruskal-Wallis test that passages
    of all `languages` rank alike, 1 at best, of each query's first PEER_DEPTH.

    As there, what is not found ties behind what is. There the test is of the passages of one relevance; with one
    relevant passage for each language, as parallel pools have, it would say the same of any ranking. So it is of all
    passages, and of a language that has fewer among the first, so many as it lacks are behind them, where they must be.
    """
    first = run.filter(pl.col("rank") <= PEER_DEPTH).select(*OF_QUERY, "lang", pl.col("rank").cast(pl.Float64))
    counted = first.group_by(*OF_QUERY, "lang").agg(pl.len().cast(pl.Float64).alias("count"), pl.col("rank").sum())
    asked = first.select(OF_QUERY).unique().join(pl.DataFrame({"lang": languages}), how="cross")
    samples = asked.join(counted, on=[*OF_QUERY, "lang"], how="left").fill_null(0.0)
    # Samples of the size of the commonest language's; `behind` of all passages are not among the first.
    count = pl.col("count")
    samples = samples.with_columns(size=count.max().over(OF_QUERY), found=count.sum().over(OF_QUERY))
    size, number = pl.col("size"), len(languages) * pl.col("size")
    behind = number - pl.col("found")
    mean = (pl.col("rank") + (size - count) * (pl.col("found") + (behind + 1) / 2)) / size
    statistic = 12 / (number * (number + 1)) * size * (mean - (number + 1) / 2) ** 2
    corrected = statistic / (1 - (behind**3 - behind) / (number**3 - number))
    tested = samples.group_by(OF_QUERY).agg(corrected.sum().alias("statistic")).sort(OF_QUERY)
    # chi2.sf of scipy.stats, which takes much longer to import, as this does longer than to score.
    from scipy.special import chdtrc

    p = chdtrc(len(languages) - 1, tested["statistic"].to_numpy())
    return tested.select(OF_QUERY).with_columns(metric=pl.lit(PEER), value=pl.Series(p, dtype=pl.Float64))


def preference(run: pl.DataFrame, qrels: pl.DataFrame, languages: list[str]) -> pl.DataFrame:
    """For each of `languages` its share of a query's first READ_DEPTH, less its share of the relevant passages: 0 at
    best, between -1 and 1. (Of the query's own language arXiv 2605.07249 measures such a preference.)"""
    shares = [pl.col("lang").eq(lang).mean().alias(lang) for lang in languages]
    due = qrels.group_by("query").agg(shares)
    found = run.filter(pl.col("rank") <= READ_DEPTH).group_by(OF_QUERY).agg(shares)
    gaps = [(pl.col(lang) - pl.col(f"{lang}_right")).alias(f"{PREFERENCE}.{lang}") for lang in languages]
    return (
        found.join(due, on="query")
        .select(*OF_QUERY, *gaps)
        .unpivot(index=OF_QUERY, variable_name="metric", value_name="value")
        .sort(*OF_QUERY, "metric")
    )


def rank_correlation(run: pl.DataFrame) -> pl.DataFrame:
    """Mean rank correlation (arXiv 2509.06195): Spearman's, between what a query finds in its own language and in each
    of the others that it is asked in; 1 at best. Of passages among the first READ_DEPTH of either; those that one lacks
    tie behind its others."""
    keys = ["query", "passage", "lang"]
    first = run.filter(pl.col("rank") <= READ_DEPTH)
    lists = {task: first.filter(task=task).select(*keys, "rank") for task in sorted(set(first["task"]))}
    parts = []
    for (one, left), (other, right) in combinations(lists.items(), 2):
        asked = left.join(right, on="query", how="semi")["query"].unique()
        both = left.rename({"rank": "a"}).join(right.rename({"rank": "b"}), on=keys, how="full", coalesce=True)
        tied = [rank.fill_null(rank.count() + (rank.null_count() + 1) / 2).over("query") for rank in map(pl.col, "ab")]
        shared = both.filter(pl.col("query").is_in(asked.implode())).with_columns(tied)
        # Of one passage alone, which both find, nothing correlates.
        found = shared.group_by("query").agg(value=pl.corr("a", "b").fill_nan(1.0))
        parts += [found.with_columns(task=pl.lit(task)) for task in (one, other)]
    schema = {"query": pl.String, "value": pl.Float64, "task": pl.String}
    correlated = pl.concat([pl.DataFrame(schema=schema), *parts]).group_by(OF_QUERY).agg(pl.col("value").mean())
    return correlated.sort(OF_QUERY).with_columns(metric=pl.lit(RANK_CORRELATION))
