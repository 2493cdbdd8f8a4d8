"""What jobs build on: the corpus's texts, and what has been written so far."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from stages.schemas.texts import CORPUS_FOLDER, LABELLED, LABELS, PASSAGES, QRELS, QUERIES
from stages.shared import tables
from stages.shared.errors import UserError
from stages.synthesize import jobs
from stages.synthesize.jobs import WrittenRow

WRITTEN = {"job": pl.String} | dict.fromkeys(WrittenRow._fields, pl.String)


class KnownTexts(NamedTuple):
    """What `corpus` read."""

    passages: pl.DataFrame
    queries: pl.DataFrame
    qrels: pl.DataFrame
    labelled: pl.DataFrame
    labels: pl.DataFrame

    @staticmethod
    def read() -> KnownTexts:
        kinds = {"passages": PASSAGES, "queries": QUERIES, "qrels": QRELS, "labelled": LABELLED, "labels": LABELS}
        return KnownTexts(
            **{kind: tables.read(CORPUS_FOLDER / f"{kind}.parquet", schema) for kind, schema in kinds.items()}
        )

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


Written = dict[str, list[WrittenRow]]


def frame(written: Written) -> pl.DataFrame:
    """All rows with their job."""
    rows = [(job, *row) for job, rows in written.items() for row in rows]
    return pl.DataFrame(rows, WRITTEN, orient="row")


def passages(corpus: KnownTexts, written: Written) -> pl.DataFrame:
    """The corpus's passages and their translations so far (PASSAGES)."""
    return pl.concat([corpus.passages, translated(corpus, frame(written))]).sort("passage", "lang")


def translated(corpus: KnownTexts, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows that are translations of the corpus's passages, as PASSAGES."""
    places = corpus.passages.select("passage", "stratum", "split").unique()
    new = rows.filter(kind="passage").select("item", "lang", "title", "text")
    return new.rename({"item": "passage"}).join(places, on="passage").select(*PASSAGES)


def queries(corpus: KnownTexts, written: Written) -> pl.DataFrame:
    """The corpus's queries and those written so far, with the first passage that answers each, or the label."""
    first = corpus.qrels.filter(pl.col("relevance") > 0).group_by("query").agg(pl.col("passage").min())
    # Those of a label and split are translated together, as those of a passage are.
    trained = pl.col("split") == "train"
    group = pl.when(trained).then("label").otherwise(pl.format("{} ({})", "label", "split"))
    labels = corpus.labelled.select(group.alias("label"), query="id")
    own = corpus.queries.join(first, on="query", how="left").join(labels, on="query", how="left")
    own = own.select("query", "lang", "text", passage=pl.coalesce("passage", "label")).drop_nulls()
    new = frame(written).filter((pl.col("kind") == "query") & (pl.col("label") == ""))
    return pl.concat([own, new.select(query="item", lang="lang", text="text", passage="passage")])
