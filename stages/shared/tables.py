"""The typed tables through which stages meet: every schema, and checked reads and atomic writes.

Rows are sorted by the writer, or in the order of the source (`corpus`), so that equal content is equal bytes.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from stages.shared.errors import UserError

Schema = dict[str, Any]

# `passage` names a parallel group: its rows are the same passage in several languages.
PASSAGES: Schema = {
    "passage": pl.String,
    "lang": pl.String,
    "title": pl.String,
    "text": pl.String,
    "stratum": pl.String,
    "split": pl.String,
}
# `query` names a parallel group likewise.
QUERIES: Schema = {"query": pl.String, "lang": pl.String, "text": pl.String}
# Relevant in every language: the passage's translations are as relevant as itself. 0: judged not relevant.
JUDGEMENTS: Schema = {"query": pl.String, "passage": pl.String, "relevance": pl.Int32}
# Between the parts of a hierarchical label: category/intent.
PARTS = "/"
# What a labelled collection says of its passages and queries (`kind`): `origin` is labelled or synthetic. A query's
# label is that of the passages that answer it. Other collections have no rows.
LABELLED: Schema = {
    "kind": pl.String,
    "id": pl.String,
    "label": pl.String,
    "origin": pl.String,
    "split": pl.String,
}
LABELS: Schema = {"label": pl.String, "description": pl.String}
# How alike labels are: a row a label and measure (`kind`: descriptions, centroids or given), with its likeness to each
# label in the order of their names.
SIMILARITY: Schema = {"kind": pl.String, "label": pl.String, "values": pl.List(pl.Float32)}
# What a language model was asked for in vain, and what it wrote that a filter left out.
FAILURES: Schema = {"job": pl.String, "task": pl.String, "reason": pl.String}
DROPPED: Schema = {
    "job": pl.String,
    "item": pl.String,
    "lang": pl.String,
    "kind": pl.String,
    "filter": pl.String,
    "detail": pl.String,
    "text": pl.String,
}

# What the teacher ranked: `candidates` and `scores` are parallel lists, best first, the candidates as row
# numbers of POOL. The query's relevant passages stay in the list, so that a position is the raw rank.
POOL: Schema = {"passage": pl.String}
CANDIDATES: Schema = {
    "query": pl.String,
    "query_lang": pl.String,
    "corpus_lang": pl.String,
    "positive_score": pl.Float32,
    "candidates": pl.List(pl.UInt32),
    "scores": pl.List(pl.Float32),
}
NEGATIVES: Schema = {
    "query": pl.String,
    "query_lang": pl.String,
    "corpus_lang": pl.String,
    "negatives": pl.List(pl.String),
}
TRIPLES: Schema = {"query": pl.String, "positive": pl.String, "negatives": pl.List(pl.String)}

# A training set: rows hold row numbers of TEXTS, so that each text is stored once. `groups` are the parallel
# groups of positive and negatives, as numbers: two texts of one group are never each other's negatives.
TEXTS: Schema = {"text": pl.String}
TRAINING_ROWS: Schema = {
    "composition": pl.String,
    "query": pl.UInt32,
    "positive": pl.UInt32,
    "negatives": pl.List(pl.UInt32),
    "groups": pl.List(pl.UInt32),
}
# What a recipe's batches are drawn from: `share` of them hold rows of these compositions alone; without rows, all of
# them are of all rows at random.
BATCHES: Schema = {"share": pl.Float64, "compositions": pl.List(pl.String)}

BENCHMARK_PASSAGES: Schema = {"passage": pl.String, "lang": pl.String, "title": pl.String, "text": pl.String}
# Per language: not every benchmark judges all translations of a passage alike.
QRELS: Schema = {"query": pl.String, "passage": pl.String, "lang": pl.String, "relevance": pl.Int32}

# Of a benchmark by label: the labels of its passages and queries (`kind`); else without rows.
BENCHMARK_LABELS: Schema = {"kind": pl.String, "id": pl.String, "label": pl.String}

# The passages that a query is re-ranked over, where a benchmark gives them; without rows all are searched.
RERANK: Schema = {"query": pl.String, "passage": pl.String}

# Texts of benchmarks that a recipe trains on: `kind` query or passage, `slot` where training has it (query, positive
# or negative), `match` exact or near.
CONTAMINATION: Schema = {
    "benchmark": pl.String,
    "recipe": pl.String,
    "kind": pl.String,
    "name": pl.String,
    "lang": pl.String,
    "slot": pl.String,
    "match": pl.String,
    "likeness": pl.Float64,
    "text": pl.String,
    "trained": pl.String,
}

RUN: Schema = {
    "task": pl.String,
    "query": pl.String,
    "passage": pl.String,
    "lang": pl.String,
    "rank": pl.UInt32,
    "score": pl.Float32,
}
QUERY_SCORES: Schema = {
    "benchmark": pl.String,
    "task": pl.String,
    "query": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
}


def passage_text() -> pl.Expr:
    """What an encoder reads of a passage: its title, if it has one, then its text."""
    titled = pl.col("title") != ""
    return pl.when(titled).then(pl.col("title") + " " + pl.col("text")).otherwise(pl.col("text")).alias("text")


def read(path: str | Path, schema: Schema) -> pl.DataFrame:
    """Read a Parquet table; raises `UserError` if it is missing or its columns are not those of `schema`."""
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path} is missing: run `dvc repro`")
    table = pl.read_parquet(path, glob=False)
    return _checked(table, schema, path)


def write(table: pl.DataFrame, path: str | Path, schema: Schema) -> None:
    """Write a Parquet table whole or not at all; raises `UserError` if it does not fit `schema`."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as draft:
        _checked(table, schema, path).write_parquet(draft, compression="zstd", statistics=False)


def write_json(value: Any, path: str | Path) -> None:
    """Write JSON with its innermost mappings on a line each: short to read in a diff."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as draft:
        draft.write_text(_json(value) + "\n", encoding="utf-8")


def write_text(text: str, path: str | Path) -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a draft path beside `path`; if the block ends well the draft (file or folder) takes its place."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        yield draft
        if path.is_dir():
            shutil.rmtree(path)
        draft.replace(path)
    finally:
        if draft.is_dir():
            shutil.rmtree(draft)
        else:
            draft.unlink(missing_ok=True)


def _checked(table: pl.DataFrame, schema: Schema, path: Path) -> pl.DataFrame:
    found = dict(table.schema)
    wanted = dict(pl.Schema(schema))
    if found != wanted:
        raise UserError(f"{path} has the columns {found}, but {wanted} are wanted: rebuild it with `dvc repro`")
    holes = [column for column, count in zip(table.columns, table.null_count().row(0), strict=True) if count]
    if holes:
        raise UserError(f"{path} lacks values in the column {holes[0]!r}: rebuild it with `dvc repro`")
    return table


def _json(value: Any, indent: int = 0) -> str:
    if isinstance(value, dict) and any(isinstance(v, dict) for v in value.values()):
        pad = " " * (indent + 2)
        rows = [f"{pad}{json.dumps(k, ensure_ascii=False)}: {_json(v, indent + 2)}" for k, v in value.items()]
        return "{\n" + ",\n".join(rows) + "\n" + " " * indent + "}"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
