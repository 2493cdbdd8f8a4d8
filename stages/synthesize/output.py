"""The stage's tables."""

from __future__ import annotations

import polars as pl

from stages.schemas.texts import LABELLED, PASSAGES, QRELS, QUERIES, SYNTHETIC_FOLDER
from stages.settings.split import Split
from stages.shared import split, tables
from stages.synthesize.filtering import PARALLEL
from stages.synthesize.known import KnownTexts, translated
from stages.synthesize.rejected import DROPPED, FAILURES


def save(
    kept: pl.DataFrame, dropped: pl.DataFrame, failures: pl.DataFrame, corpus: KnownTexts, shares: Split, seed: int
) -> None:
    """Write data/synthetic."""
    asked = kept.filter(kind="query")
    queries = asked.select("lang", "text", query="item")
    labelled = asked.filter(pl.col("label") != "").select(
        id="item", label="label", kind="kind", origin=pl.lit("synthetic"), split=pl.lit("train")
    )
    # Translations of queries are judged as what they translate.
    judged = asked.filter(pl.col("job").is_in(PARALLEL)).select(
        query="item", passage="passage", relevance=pl.lit(1, pl.Int32)
    )
    written = kept.filter(job="topics", kind="passage")
    negatives = written.filter(pl.col("passage") != "").select(
        query="passage", passage="item", relevance=pl.lit(0, pl.Int32)
    )
    qrels = pl.concat([judged, negatives]).unique()
    found = pl.concat([_from_topics(written, shares, seed), translated(corpus, kept)])
    with tables.replacing(SYNTHETIC_FOLDER) as draft:
        for name, table, schema, order in (
            ("passages", found, PASSAGES, ["passage", "lang"]),
            ("queries", queries, QUERIES, ["query", "lang"]),
            ("qrels", qrels, QRELS, ["query", "passage"]),
            ("labelled", labelled, LABELLED, ["kind", "id"]),
            ("failures", failures, FAILURES, ["job", "task"]),
            ("dropped", dropped, DROPPED, ["job", "item", "lang", "kind"]),
        ):
            tables.write(table.select(*schema).sort(*order), draft / f"{name}.parquet", schema)


def _from_topics(written: pl.DataFrame, shares: Split, seed: int) -> pl.DataFrame:
    """Triples' passages (PASSAGES): the two of a triple are in one split, and topics are spread over all."""
    # A bundle is <taxonomy>-<topic>-<number>.
    triples = written.select(passage="bundle", stratum=pl.col("bundle").str.replace(r"-\d+$", "")).unique()
    places = split.assign(triples, shares, seed).rename({"passage": "bundle"})
    return written.drop("passage").join(places, on="bundle").rename({"item": "passage"}).select(*PASSAGES)
