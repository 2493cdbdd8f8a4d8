"""From what was written to what is kept: each text is judged, and takes what belongs to it along."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from stages.settings.synthesize import Synthesize
from stages.synthesize import filters
from stages.synthesize.known import KnownTexts, Written, frame, passages
from stages.synthesize.rejected import DROPPED

# Jobs whose texts are of use only in every language of the study.
PARALLEL = ("topics", "queries")


def keep(
    written: Written, settings: Synthesize, corpus: KnownTexts, languages: list[str]
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, dict[str, int]]]:
    """The rows to keep (WRITTEN), those left out (DROPPED), and for each job how many each filter left out."""
    rows = frame(written)
    texts = pl.concat([_judged(rows, corpus, passages(corpus, written)), _given(rows, corpus)])
    failed = filters.judge(texts, settings.filters)
    keys = ["item", "lang", "kind"]
    judged = rows.join(failed, on=keys, how="left")
    # A bundle goes as a whole, and so does one that lacks a language.
    whole = (
        judged.group_by("job", "bundle")
        .agg(pl.col("lang").n_unique().alias("langs"), pl.col("filter").is_null().all().alias("clean"))
        .filter(pl.col("clean") & (~pl.col("job").is_in(PARALLEL) | (pl.col("langs") == len(languages))))
    )
    kept = rows.join(whole, on=["job", "bundle"], how="semi")
    # A translated query goes with the query it translates.
    written_queries = rows.filter((pl.col("kind") == "query") & pl.col("job").is_in(PARALLEL)).select("item").unique()
    lost = written_queries.join(kept.filter(pl.col("job").is_in(PARALLEL)), on="item", how="anti")
    kept = kept.join(lost, on="item", how="anti")
    dropped = judged.join(kept.select("job", *keys), on=["job", *keys], how="anti").with_columns(
        pl.col("filter").fill_null("parallel"),
        pl.col("detail").fill_null("another text of it is left out or missing"),
    )
    counts = {
        job: {"texts": len(some)}
        | filters.counts(dropped.filter(job=job))
        | {"parallel": dropped.filter(job=job, filter="parallel").height, "kept": kept.filter(job=job).height}
        for job, some in written.items()
    }
    return kept, dropped.select(*DROPPED).sort("job", *keys), counts


def _judged(rows: pl.DataFrame, corpus: KnownTexts, known: pl.DataFrame) -> pl.DataFrame:
    """The rows as `filters.judge` wants them."""
    described = dict(corpus.labels.iter_rows())
    held_out = corpus.labelled.filter(pl.col("split") != "train")["id"]
    own = rows.filter(kind="passage").select(passage="item", lang="lang", context="text")
    contexts = pl.concat([known.select("passage", "lang", context="text"), own]).unique(["passage", "lang"])
    return (
        rows.join(contexts, on=["passage", "lang"], how="left")
        .with_columns(
            passage=pl.when(pl.col("kind") == "query").then(pl.col("context").fill_null("")).otherwise(pl.lit("")),
            description=pl.col("label").replace_strict(described or {"": ""}, default="", return_dtype=pl.String),
            given=pl.lit(False),
            held_out=pl.col("item").is_in(held_out.implode()),
        )
        .select(*filters.JUDGED_TEXTS)
    )


def _given(rows: pl.DataFrame, corpus: KnownTexts) -> pl.DataFrame:
    """What the corpus has already: never left out, but nothing written may repeat it, the entries of a knowledge base
    no more than its queries."""
    kinds: Iterable[tuple[str, pl.DataFrame, str]] = [("query", corpus.queries, "query")]
    if not corpus.labelled.is_empty():
        kinds = [*kinds, ("query", corpus.passages, "passage")]
    if "passage" in rows["kind"]:
        kinds = [*kinds, ("passage", corpus.passages, "passage")]
    return pl.concat(
        table.select(
            item=name,
            lang="lang",
            kind=pl.lit(kind),
            text="text",
            passage=pl.lit(""),
            label=pl.lit(""),
            description=pl.lit(""),
            given=pl.lit(True),
            held_out=pl.lit(False),
        )
        for kind, table, name in kinds
    )
