"""collect: what was read and what was written become one collection.

Whatever makes a passage answer a query, a judgement or a shared label, is one relation here: passages belong to groups,
and a query is answered by groups. Later stages know nothing of where a text is from.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import polars as pl

from stages.schemas.collected import (
    COLLECTED_FOLDER,
    COLLECTED_PASSAGES,
    COLLECTED_QRELS,
    COLLECTED_QUERIES,
    GROUP_LABELS,
    KNOWLEDGE_ENTRIES,
)
from stages.schemas.similarity import SIMILARITY
from stages.schemas.texts import CORPUS_FOLDER, LABELLED, LABELS, PASSAGES, QRELS, QUERIES, SPLITS, SYNTHETIC_FOLDER
from stages.shared import errors, tables
from stages.shared.label_names import NO_LABEL

log = logging.getLogger("collect")
REPORT = Path("metrics/collected.json")


def main() -> None:
    labelled = both("labelled", LABELLED)
    own, written = (tables.read(folder / "queries.parquet", QUERIES) for folder in (CORPUS_FOLDER, SYNTHETIC_FOLDER))
    asked = pl.concat([own, written])
    left_out: dict[str, int] = {}
    passages = grouped(whole(both("passages", PASSAGES), left_out), labelled)
    qrels = answered(both("qrels", QRELS), labelled, passages)
    queries = with_splits(asked, qrels, labelled, passages, left_out)
    # A translation by a model is still the source's query: what is synthetic was thought of by a model.
    given = own.join(labelled.filter(origin="synthetic"), left_on="query", right_on="id", how="anti")["query"]
    thought_of = ~pl.col("query").is_in(given.unique().implode())
    queries = queries.with_columns(origin=pl.when(thought_of).then(pl.lit("synthetic")).otherwise(pl.lit("given")))
    labels = tables.read(CORPUS_FOLDER / "labels.parquet", LABELS).rename({"label": "group"})
    # What the source says of how similar labels are.
    given_similarity = tables.read(CORPUS_FOLDER / "similarity.parquet", SIMILARITY)
    with tables.replacing(COLLECTED_FOLDER) as draft:
        for name, table, schema, order in (
            ("passages", passages, COLLECTED_PASSAGES, ["passage", "lang"]),
            ("queries", queries, COLLECTED_QUERIES, ["query", "lang"]),
            ("qrels", qrels, COLLECTED_QRELS, ["query", "group"]),
            ("labels", labels, GROUP_LABELS, ["group"]),
            ("entries", entries(asked, labelled), KNOWLEDGE_ENTRIES, ["query", "lang"]),
            ("similarity", given_similarity, SIMILARITY, ["kind", "label"]),
        ):
            tables.write(table.select(*schema).sort(*order), draft / f"{name}.parquet", schema)
    report: dict[str, dict[str, Any]] = {
        "passages": counted(passages, "lang"),
        "queries": {split: counted(queries.filter(split=split), "lang") for split in SPLITS},
        "left_out": {reason: count for reason, count in left_out.items() if count},
    }
    tables.write_json(report, REPORT)
    for reason, count in report["left_out"].items():
        log.warning(f"left out: {count:,} {reason}")
    log.info(f"{passages['passage'].n_unique():,} passages, {queries['query'].n_unique():,} queries")


def both(name: str, schema: tables.Schema) -> pl.DataFrame:
    """A table that `corpus` and `synthesize` each have."""
    return pl.concat(tables.read(folder / f"{name}.parquet", schema) for folder in (CORPUS_FOLDER, SYNTHETIC_FOLDER))


def whole(passages: pl.DataFrame, left_out: dict[str, int]) -> pl.DataFrame:
    """The passages that every language has: a translation may have failed."""
    languages = passages["lang"].n_unique()
    every = passages.group_by("passage").agg(pl.col("lang").n_unique()).filter(pl.col("lang") == languages)
    left_out["passages that some language lacks"] = passages["passage"].n_unique() - every.height
    return passages.join(every, on="passage", how="semi")


def grouped(passages: pl.DataFrame, labelled: pl.DataFrame) -> pl.DataFrame:
    """`passages` with their group: the label, or the passage itself."""
    labels = labelled.filter(kind="passage").select("label", passage="id")
    found = passages.join(labels, on="passage", how="left", maintain_order="left")
    return found.with_columns(group=pl.coalesce("label", "passage"))


def answered(judged: pl.DataFrame, labelled: pl.DataFrame, passages: pl.DataFrame) -> pl.DataFrame:
    """Queries and the groups that answer them, or were judged not to (COLLECTED_QRELS)."""
    groups = passages.select("passage", "group").unique()
    by_label = labelled.filter(kind="query").select(query="id", group="label", relevance=pl.lit(1, pl.Int32))
    return (
        pl.concat(
            [
                judged.join(groups, on="passage").select(*COLLECTED_QRELS),
                by_label.join(groups, on="group", how="semi"),
            ]
        )
        .group_by("query", "group")
        .agg(pl.col("relevance").max())
    )


def with_splits(
    asked: pl.DataFrame,
    qrels: pl.DataFrame,
    labelled: pl.DataFrame,
    passages: pl.DataFrame,
    left_out: dict[str, int],
) -> pl.DataFrame:
    """The queries that something answers, or nothing by the source's own account, with their split.

    A query belongs to its passage's split, or to the most held-out one if it has several passages: no text that dev or
    test asks for is trained on. Labelled queries have a split of their own, for all of them ask for the same passages.
    """
    relevant = qrels.filter(pl.col("relevance") > 0)
    own = labelled.filter(kind="query").select("split", "label", query="id")
    beyond = own.filter(label=NO_LABEL).select("split", "query")
    own = own.select("split", "query")
    of_passages = passages.select("group", "split").unique()
    followed = relevant.join(own, on="query", how="anti").join(of_passages, on="group").select("split", "query")
    splits = (
        pl.concat([own.join(relevant, on="query", how="semi"), beyond, followed])
        .group_by("query")
        .agg(pl.col("split").cast(pl.Enum(SPLITS)).max().cast(pl.String))
    )
    found = asked.join(splits, on="query")
    left_out["queries that no passage answers"] = asked["query"].n_unique() - found["query"].n_unique()
    return found


def entries(asked: pl.DataFrame, labelled: pl.DataFrame) -> pl.DataFrame:
    """The training queries of a labelled collection: they are its documents, as its passages are."""
    trained = labelled.filter(kind="query", split="train").select(query="id")
    return asked.join(trained, on="query", how="semi")


def counted(table: pl.DataFrame, column: str) -> dict[str, int]:
    return dict(table[column].value_counts().sort(column).iter_rows())


if __name__ == "__main__":
    errors.run(main)
