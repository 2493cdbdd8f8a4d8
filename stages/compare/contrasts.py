"""Contrasts that are planned beforehand: some models against some others, over all queries and by domain.

Each contrast is a family of its own (Ludbrook 1998): its p-values are corrected for its own comparisons on a benchmark,
and not for those that the study prints beside it. A query's domain is that of the passages that answer it, as the
collection has them; queries of other benchmarks have none.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from stages.compare import significance
from stages.schemas.comparison import ALL_DOMAINS, CONTRASTS_TABLE, DOMAINS_TABLE
from stages.settings.compare import Contrast, Inference
from stages.shared.rounding import rounded
from stages.shared.tasks import BIAS, GROUPS


def by_domain(asked: pl.DataFrame, about: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The values `asked` (`significance.by_query`) of all queries, and of each domain's as far as there are any;
    `about` has query and domain."""
    domains = about["domain"].unique(maintain_order=True).to_list()
    parts = {name: asked.join(about.filter(domain=name), on="query", how="semi") for name in domains}
    return {ALL_DOMAINS: asked, **{name: rows.sort("group", "model", "query") for name, rows in parts.items()}}


def means(parts: Mapping[str, pl.DataFrame], names: list[str]) -> pl.DataFrame:
    """DOMAINS_TABLE: what each of the models `names` is worth in each of the `parts` of a benchmark."""
    rows = []
    for domain, own in parts.items():
        found = own.group_by("model", "group").agg(pl.col("value").mean())
        values = {(model, group): rounded(value, group) for model, group, value in found.iter_rows()}
        queries = own["query"].n_unique()
        rows += [(domain, name, queries, *(values.get((name, g)) for g in (*GROUPS, BIAS))) for name in names]
    return pl.DataFrame(rows, DOMAINS_TABLE, orient="row")


def tests(
    parts: Mapping[str, pl.DataFrame],
    benchmark: str,
    contrasts: Mapping[str, Contrast],
    settings: Inference,
    seed: int,
) -> pl.DataFrame:
    """CONTRASTS_TABLE: every pair of each contrast in each of the `parts` of a benchmark, p corrected within it."""
    families = [pl.DataFrame(schema=CONTRASTS_TABLE)]
    for name, contrast in contrasts.items():
        tested = []
        for domain, own in parts.items():
            drawn_for = benchmark if domain == ALL_DOMAINS else f"{benchmark}/{domain}"
            found = significance.pairs(own, drawn_for, contrast.pairs, settings, seed)
            tested.append(found.select(pl.lit(domain).alias("domain"), pl.all()))
        family = significance.family(pl.concat(tested), settings, by=("domain", "group"))
        families.append(family.select(pl.lit(name).alias("contrast"), pl.all()).select(*CONTRASTS_TABLE))
    return pl.concat(families)
