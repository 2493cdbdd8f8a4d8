"""From what was written to what is kept: the filters, and the tables that later stages read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import polars as pl

from stages.shared import split, tables
from stages.shared.collection import SYNTHETIC
from stages.shared.errors import UserError
from stages.shared.params import Split, Synthesize
from stages.synthesize import filters, jobs
from stages.synthesize.jobs import Row

# Jobs whose texts are of use only in every language of the study.
PARALLEL = ("topics", "queries")
WRITTEN = {"job": pl.String} | dict.fromkeys(Row._fields, pl.String)


class Corpus(NamedTuple):
    passages: pl.DataFrame
    queries: pl.DataFrame
    judgements: pl.DataFrame
    labelled: pl.DataFrame
    labels: pl.DataFrame

    @staticmethod
    def schemas() -> dict[str, tables.Schema]:
        return {
            "passages": tables.PASSAGES,
            "queries": tables.QUERIES,
            "judgements": tables.JUDGEMENTS,
            "labelled": tables.LABELLED,
            "labels": tables.LABELS,
        }

    def examples(self, language: str) -> list[jobs.Label]:
        """The labels, with those of their texts in a language that are searched or trained on; raises `UserError` if
        one lacks a description."""
        texts = pl.concat(
            table.filter(lang=language).select(name, "text").rename({name: "id"})
            for table, name in ((self.passages, "passage"), (self.queries, "query"))
        )
        known = self.labelled.filter(split="train", origin="labelled").join(texts, on="id").sort("id")
        own = dict(known.group_by("label").agg("text").iter_rows())
        for name, description in self.labels.iter_rows():
            if not description:
                raise UserError(
                    f"the label {name!r} has no description, which synthesize.labelled tells the model: add a table of "
                    "the role labels to corpus.labelled.tables"
                )
        return [jobs.Label(name, description, own.get(name, [])) for name, description in self.labels.iter_rows()]


Written = dict[str, list[Row]]


def frame(written: Written) -> pl.DataFrame:
    """All rows with their job."""
    rows = [(job, *row) for job, rows in written.items() for row in rows]
    return pl.DataFrame(rows, WRITTEN, orient="row")


def passages(corpus: Corpus, written: Written) -> pl.DataFrame:
    """The corpus's passages and their translations so far (tables.PASSAGES)."""
    return pl.concat([corpus.passages, _translated(corpus, frame(written))]).sort("passage", "lang")


def _translated(corpus: Corpus, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows that are translations of the corpus's passages, as tables.PASSAGES."""
    places = corpus.passages.select("passage", "stratum", "split").unique()
    new = rows.filter(kind="passage").select("item", "lang", "title", "text")
    return new.rename({"item": "passage"}).join(places, on="passage").select(*tables.PASSAGES)


def queries(corpus: Corpus, written: Written) -> pl.DataFrame:
    """The corpus's queries and those written so far, with the first passage that answers each, or the label."""
    first = corpus.judgements.filter(pl.col("relevance") > 0).group_by("query").agg(pl.col("passage").min())
    # Those of a label and split are translated together, as those of a passage are.
    trained = pl.col("split") == "train"
    group = pl.when(trained).then("label").otherwise(pl.format("{} ({})", "label", "split"))
    labels = corpus.labelled.select(group.alias("label"), query="id")
    own = corpus.queries.join(first, on="query", how="left").join(labels, on="query", how="left")
    own = own.select("query", "lang", "text", passage=pl.coalesce("passage", "label")).drop_nulls()
    new = frame(written).filter((pl.col("kind") == "query") & (pl.col("label") == ""))
    return pl.concat([own, new.select(query="item", lang="lang", text="text", passage="passage")])


def sift(
    written: Written, settings: Synthesize, corpus: Corpus, languages: list[str]
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, dict[str, int]]]:
    """The rows to keep (WRITTEN), those left out (tables.DROPPED), and for each job how many each filter left out."""
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
    return kept, dropped.select(*tables.DROPPED).sort("job", *keys), counts


def _judged(rows: pl.DataFrame, corpus: Corpus, known: pl.DataFrame) -> pl.DataFrame:
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
        .select(*filters.TEXTS)
    )


def _given(rows: pl.DataFrame, corpus: Corpus) -> pl.DataFrame:
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


def save(
    kept: pl.DataFrame, dropped: pl.DataFrame, failures: pl.DataFrame, corpus: Corpus, shares: Split, seed: int
) -> None:
    """Write data/synthetic."""
    asked = kept.filter(kind="query")
    queries = asked.select("lang", "text", query="item")
    labelled = asked.filter(pl.col("label") != "").select(
        id="item", label="label", kind="kind", origin=pl.lit("synthetic"), split=pl.lit("train")
    )
    trained = pl.concat([corpus.labelled.filter(kind="query", split="train")["id"], labelled["id"]])
    # Translations of queries are judged as what they translate.
    judged = asked.filter(pl.col("job").is_in(PARALLEL)).select(
        query="item", passage="passage", relevance=pl.lit(1, pl.Int32)
    )
    written = kept.filter(job="topics", kind="passage")
    negatives = written.filter(pl.col("passage") != "").select(
        query="passage", passage="item", relevance=pl.lit(0, pl.Int32)
    )
    judgements = pl.concat([judged, negatives]).unique()
    found = pl.concat([_from_topics(written, shares, seed), _translated(corpus, kept)])
    with tables.replacing(SYNTHETIC) as draft:
        for name, table, schema, order in (
            ("passages", found, tables.PASSAGES, ["passage", "lang"]),
            ("queries", queries, tables.QUERIES, ["query", "lang"]),
            ("judgements", judgements, tables.JUDGEMENTS, ["query", "passage"]),
            ("labelled", labelled, tables.LABELLED, ["kind", "id"]),
            # So that `base`, which reads them, does not depend on what is written for other collections.
            ("entries", queries.filter(pl.col("query").is_in(trained.implode())), tables.QUERIES, ["query", "lang"]),
            ("failures", failures, tables.FAILURES, ["job", "task"]),
            ("dropped", dropped, tables.DROPPED, ["job", "item", "lang", "kind"]),
        ):
            tables.write(table.select(*schema).sort(*order), draft / f"{name}.parquet", schema)


def _from_topics(written: pl.DataFrame, shares: Split, seed: int) -> pl.DataFrame:
    """Triples' passages (tables.PASSAGES): the two of a triple are in one split, and topics are spread over all."""
    # A bundle is <taxonomy>-<topic>-<number>.
    triples = written.select(passage="bundle", stratum=pl.col("bundle").str.replace(r"-\d+$", "")).unique()
    places = split.assign(triples, shares, seed).rename({"passage": "bundle"})
    return written.drop("passage").join(places, on="bundle").rename({"item": "passage"}).select(*tables.PASSAGES)
