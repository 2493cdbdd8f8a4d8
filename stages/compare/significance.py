"""Paired tests on queries, with intervals and corrected p-values.

Means are compared by the paired t-test, which holds up best of the usual ones on retrieval's metrics (Urbano et al.
2019, doi:10.1145/3331184.3331259). Language bias is another matter: one query in twenty may give half of a mean. So
there the ranks of the differences must say the same as their mean (Wilcoxon's signed-rank test, which hardly sees how
far the farthest are): p is the greater of the two tests', which is a test that both hold (Berger 1982), and 1 where one
says more and the other less.

Beside the t-test stands one that assumes no distribution, by random signs of the differences (Smucker et al. 2007,
doi:10.1145/1321440.1321528); beside p what it does not say: how large a difference is among its queries (Cohen's d),
and how many queries would show one of a point.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy import stats

from stages.settings.compare import Inference
from stages.shared import seeds
from stages.shared.rounding import rounded
from stages.shared.tasks import BIAS, GROUPS

# Queries drawn at once: a block of resamples takes about 50 MB, however many queries there are.
DRAWS = 2**21
# The share of studies that would find a difference, if it is there (Cohen 1988).
POWER = 0.8
TESTED_GROUPS = (*GROUPS, BIAS)


def test(
    values: pl.DataFrame,
    groups: dict[str, str],
    benchmark: str,
    compared: Sequence[tuple[str, str]],
    settings: Inference,
    seed: int,
) -> pl.DataFrame:
    """Each pair that is `compared`, a model and a reference, in each task group and in language bias: mean difference,
    its bootstrap interval, and the paired tests' p, plain and corrected over all distinct pairs of the benchmark."""
    asked = by_query(values.filter(pl.col("benchmark") == benchmark), groups)
    table = pairs(asked, benchmark, compared, settings, seed)
    return family(table.select(pl.lit(benchmark).alias("benchmark"), pl.all()), settings)


def by_query(values: pl.DataFrame, groups: dict[str, str]) -> pl.DataFrame:
    """Columns group, model, query and value, the mean over the group's tasks, or of language bias; sorted."""
    biased = pl.col("metric") == BIAS
    return (
        values.with_columns(group=pl.when(biased).then(pl.lit(BIAS)).otherwise(pl.col("task").replace_strict(groups)))
        .group_by("group", "model", "query")
        .agg(pl.col("value").mean())
        .sort("group", "model", "query")
    )


def pairs(
    values: pl.DataFrame, benchmark: str, compared: Sequence[tuple[str, str]], settings: Inference, seed: int
) -> pl.DataFrame:
    """Each pair that is `compared`, a model and a reference, as far as the group has values of both.

    Columns group, model, reference, queries, difference, median, low, high, p_mean, p_random, p_ranks (of language bias
    alone), p, effect and needed (`_needed`), of the sorted values `by_query`; the median is that of the queries'
    differences, and the effect their mean by their standard deviation (Cohen's d of paired differences; null without
    one)."""
    rows = []
    for group in (g for g in TESTED_GROUPS if g in set(values["group"])):
        own = values.filter(group=group)
        # Fusions may have no language bias.
        columns = {str(name): rows["value"].to_numpy() for (name,), rows in own.group_by("model", maintain_order=True)}
        held = [(name, reference) for name, reference in compared if name in columns and reference in columns]
        if not held:
            continue
        differences = np.stack([columns[name] - columns[reference] for name, reference in held], axis=1)
        # The same resamples for every pair: their intervals then differ by the models alone.
        low, high = intervals(differences, settings, seeds.number(seed, "bootstrap", benchmark, group))
        randomised = by_signs(differences, settings.resamples, seeds.number(seed, "randomisation", benchmark, group))
        for number, (name, reference) in enumerate(held):
            gaps = differences[:, number]
            by_mean = p_mean(gaps)
            by_ranks = _p_ranks(gaps) if group == BIAS else None
            p = by_mean if by_ranks is None else max(by_mean, by_ranks) if _agree(gaps) else 1.0
            facts = (len(gaps), float(gaps.mean()), float(np.median(gaps)), low[number], high[number])
            spread = float(gaps.std(ddof=1)) if len(gaps) > 1 else 0.0
            effect = float(gaps.mean()) / spread if spread else None
            needed = _needed(spread, group, settings) if spread else None
            rows.append((group, name, reference, *facts, by_mean, randomised[number], by_ranks, p, effect, needed))
    floats = ("difference", "median", "low", "high", "p_mean", "p_random", "p_ranks", "p", "effect")
    texts = dict.fromkeys(("group", "model", "reference"), pl.String)
    schema = {**texts, "queries": pl.Int64, **dict.fromkeys(floats, pl.Float64), "needed": pl.Int64}
    return pl.DataFrame(rows, schema, orient="row")


def by_signs(columns: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """The p of each column's mean, shape [columns], by a paired randomisation test: in how many of the `draws` random
    signs of the rows it is as far from 0, or farther. What is observed counts as one of them, so that p is never 0
    (Phipson and Smyth 2010, doi:10.2202/1544-6115.1585)."""
    rng = np.random.default_rng(seed)
    size = len(columns)
    observed = np.abs(columns.sum(axis=0))
    # Sums of the same numbers in another order may differ in their last bits.
    least = observed - 1e-9 * np.abs(columns).sum(axis=0)
    farther = np.zeros(columns.shape[1], np.int64)
    for begin in range(0, draws, max(1, DRAWS // size)):
        count = min(max(1, DRAWS // size), draws - begin)
        signs = rng.integers(2, size=(count, size)) * 2.0 - 1.0
        farther += (np.abs(signs @ columns) >= least).sum(axis=0)
    return (farther + 1) / (draws + 1)


def _needed(spread: float, group: str, settings: Inference) -> int:
    """How many queries a difference of a point (x 100; of language bias a rank) would need, at the standard deviation
    `spread`, to be found at the level of one test with the probability POWER (of the normal distribution)."""
    reach = stats.norm.isf((1 - settings.confidence) / 2) + stats.norm.ppf(POWER)
    return math.ceil((reach * spread / (1.0 if group == BIAS else 0.01)) ** 2)


def intervals(columns: np.ndarray, settings: Inference, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The low and high ends of each column's mean, shape [columns], over resamples of the rows (percentile bootstrap).

    A resample is how often each row was drawn, so that all columns' means are one product of matrices, by blocks.
    """
    rng = np.random.default_rng(seed)
    size = len(columns)
    means = np.empty((settings.resamples, columns.shape[1]))
    for begin in range(0, settings.resamples, max(1, DRAWS // size)):
        count = min(max(1, DRAWS // size), settings.resamples - begin)
        drawn = rng.integers(size, size=(count, size)) + size * np.arange(count)[:, None]
        times = np.bincount(drawn.ravel(), minlength=count * size).reshape(count, size)
        means[begin : begin + count] = times @ columns / size
    tail = (1 - settings.confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    return low, high


def p_mean(gaps: np.ndarray) -> float:
    """p of the paired t-test over the differences `gaps`; 1 where it has none, as of a single query."""
    if len(gaps) < 2 or not gaps.any():
        return 1.0
    p = float(stats.ttest_1samp(gaps, 0.0).pvalue)
    return p if np.isfinite(p) else 1.0


def _p_ranks(gaps: np.ndarray) -> float:
    # Pratt's way with queries that differ in nothing: they lower the ranks that differences can have.
    return float(stats.wilcoxon(gaps, zero_method="pratt").pvalue) if gaps.any() else 1.0


def _agree(gaps: np.ndarray) -> bool:
    """Whether the mean and the signed ranks say that the same model has more."""
    ranks = np.sign(gaps) * stats.rankdata(np.abs(gaps))
    return bool(gaps.sum() * ranks.sum() > 0)


def family(table: pl.DataFrame, settings: Inference, by: Sequence[str] = ("group",)) -> pl.DataFrame:
    """The tests of `pairs`, rounded, with p_corrected for the number of distinct ones, and significant.

    Rows with the same two models and the same values in the columns `by` are one test, whichever is the reference.
    """
    columns = {**dict.fromkeys(by), "model": None, "reference": None}
    distinct: dict[tuple, int] = {}
    places = [
        distinct.setdefault((*others, *sorted((model, reference))), len(distinct))
        for *others, model, reference in table.select(*columns).iter_rows()
    ]
    # The first row of each pair: the other differs in the sign, and so at most in the last bit of p.
    first = [places.index(place) for place in range(len(distinct))]
    p = table["p"].to_numpy()
    corrected = correct(p[first], settings.correction)[places]
    rounding = {
        column: pl.Series(
            [rounded(value, group) for group, value in table.select("group", column).iter_rows()], dtype=pl.Float64
        )
        for column in ("difference", "median", "low", "high")
    }
    return table.with_columns(
        **rounding,
        **{
            column: _three_digits(table[column].to_list())
            for column in ("p_mean", "p_random", "p_ranks", "p", "effect")
        },
        p_corrected=_three_digits(corrected.tolist()),
        significant=pl.Series(corrected < 1 - settings.confidence, dtype=pl.Boolean),
    )


def _three_digits(values: list[float | None]) -> pl.Series:
    return pl.Series([None if value is None else float(f"{value:.3g}") for value in values], dtype=pl.Float64)


def correct(p: np.ndarray, method: str) -> np.ndarray:
    """p-values corrected for their number: Bonferroni's, or Holm's step-down, never above 1."""
    if method == "bonferroni":
        return np.minimum(p * len(p), 1.0)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected
