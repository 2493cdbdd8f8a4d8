"""Models compared over several seeds, paired on queries."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy import stats

from stages.compare import significance
from stages.settings.compare import Inference
from stages.shared.tasks import BIAS


def over_seeds(
    values: pl.DataFrame, groups: dict[str, str], reference: str, settings: Inference, seed: int
) -> pl.DataFrame:
    """`significance.pairs` of one benchmark's values by one metric, with a column `seed`: of each query's mean over the
    seeds in which it was asked. Also their number, `seeds`, and in how many the difference has the same sign,
    `same_sign`."""
    names = values["model"].unique(maintain_order=True)
    compared = [(name, reference) for name in names if name != reference]
    by_seed = _by_seed(values, groups)
    asked = by_seed.group_by("group", "model", "query", maintain_order=True).agg(pl.col("value").mean())
    table = significance.pairs(asked.sort("group", "model", "query"), values["benchmark"][0], compared, settings, seed)
    means = by_seed.group_by("group", "seed", "model").agg(pl.col("value").mean())
    apart = means.join(means.filter(model=reference), on=["group", "seed"], suffix="_reference")
    signs = apart.select("group", "model", sign=(pl.col("value") - pl.col("value_reference")).sign())
    agreeing = (
        table.join(signs, on=["group", "model"])
        .group_by("group", "model")
        .agg(seeds=pl.len(), same_sign=(pl.col("sign") == pl.col("difference").sign()).sum())
    )
    return table.join(agreeing, on=["group", "model"], how="left", maintain_order="left")


def claims(values: pl.DataFrame, groups: dict[str, str], pairs: list[tuple[str, str]], alpha: float) -> pl.DataFrame:
    """How each pair of models differs over seeds and queries, in each group and in language bias; of one benchmark's
    values by one metric, with a column `seed`.

    Columns group, model, reference, difference and deviation (mean and sample standard deviation of the seeds'
    differences), same_sign and alone (in how many seeds the difference has the sign of the mean, and in how many also
    p < alpha by a paired t-test over that seed's queries), seeds, queries, low, high, p_seeds, p_queries, p.

    Seeds and queries are both drawn, so a difference must stand against both: its variance is the sum of those of its
    mean over seeds and of its mean over queries, with Satterthwaite's degrees of freedom. That is the test min F' of
    Clark 1973 (The language-as-fixed-effect fallacy, doi:10.1016/S0022-5371(73)80014-3). It errs on the side of
    caution: what comes of neither seeds nor queries alone is in both parts, and so are queries that each seed draws
    anew. p_seeds and p_queries are the paired t-tests over either alone, which find too much where the other varies.
    """
    rows = []
    by_seed = _by_seed(values, groups)
    for group in dict.fromkeys([*groups.values(), BIAS]):
        for model, reference in pairs:
            own = by_seed.filter(group=group, model=model).join(
                by_seed.filter(group=group, model=reference),
                on=["seed", "query"],
                suffix="_reference",
                maintain_order="left",
            )
            if own.is_empty():
                continue
            gaps = own.select("seed", "query", gap=pl.col("value") - pl.col("value_reference"))
            seeds = gaps.group_by("seed", maintain_order=True).agg("gap")["gap"].to_list()
            queries = gaps.group_by("query", maintain_order=True).agg(pl.col("gap").mean())["gap"].to_numpy()
            means = np.array([np.mean(own) for own in seeds])
            sign = np.sign(means.mean())
            alone = sum(np.sign(np.mean(own)) == sign and _p(np.array(own)) < alpha for own in seeds)
            p, low, high = _crossed(means, queries, alpha)
            facts = (float(means.mean()), float(means.std(ddof=1)), int((np.sign(means) == sign).sum()), int(alone))
            ps = (_p(means), _p(queries), p)
            rows.append((group, model, reference, *facts, len(means), len(queries), low, high, *ps))
    counts, texts = ("same_sign", "alone", "seeds", "queries"), ("group", "model", "reference")
    floats = ("low", "high", "p_seeds", "p_queries", "p")
    return pl.DataFrame(
        rows,
        dict.fromkeys(texts, pl.String)
        | dict.fromkeys(("difference", "deviation"), pl.Float64)
        | dict.fromkeys(counts, pl.Int64)
        | dict.fromkeys(floats, pl.Float64),
        orient="row",
    )


def _by_seed(values: pl.DataFrame, groups: dict[str, str]) -> pl.DataFrame:
    """`significance.by_query` of each seed, with a column `seed`."""
    return pl.concat(
        significance.by_query(own, groups).with_columns(seed=pl.lit(number))
        for (number,), own in values.group_by("seed", maintain_order=True)
    )


def _p(gaps: np.ndarray) -> float:
    """The paired t-test's p; 1 where it has none, as of a single difference."""
    if len(gaps) < 2 or not gaps.any():
        return 1.0
    return float(stats.ttest_1samp(gaps, 0.0).pvalue)


def _crossed(seeds: np.ndarray, queries: np.ndarray, alpha: float) -> tuple[float, float, float]:
    """p and the interval of the mean of `seeds`, whose variance is that over seeds and that over queries."""
    parts = [(float(np.var(own, ddof=1)) / len(own), len(own) - 1) for own in (seeds, queries) if len(own) > 1]
    mean, variance = float(seeds.mean()), sum(part for part, _ in parts)
    if not variance:
        return (1.0 if mean == 0 else 0.0), mean, mean
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts)
    error = float(np.sqrt(variance))
    reach = float(stats.t.isf(alpha / 2, freedom)) * error
    return 2 * float(stats.t.sf(abs(mean) / error, freedom)), mean - reach, mean + reach
