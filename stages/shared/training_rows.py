"""A recipe's or re-ranker's training set as the trainer reads it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from stages.schemas.trainsets import BATCHES, TEACHER_SCORES, TRAINING_ROWS, TRAINING_TEXTS, TRAINSETS_FOLDER
from stages.shared import query_normalizer, tables
from stages.shared.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset

    from stages.shared.training import Pool

ROWS_SAMPLED = 100


def pools(name: str, batch_size: int, group: str = "recipes") -> list[Pool] | None:
    """The rows that batches are drawn from, with the share of each pool; None: all rows alike.

    Raises `UserError`, which names `group`, if a pool has no batch.
    """
    rows = tables.read(TRAINSETS_FOLDER / name / "rows.parquet", TRAINING_ROWS)["composition"]
    found = []
    for share, compositions in tables.read(TRAINSETS_FOLDER / name / "batches.parquet", BATCHES).iter_rows():
        held = rows.is_in(compositions).arg_true().to_numpy()
        if len(held) < batch_size:
            raise UserError(
                f"{group}.{name}.batches draws some of {', '.join(compositions)} alone, but there are {len(held):,} "
                f"such rows, fewer than train.batch_size ({batch_size:,}): lower it, or change the recipe"
            )
        found.append((share, held))
    return found or None


def few(rows: Dataset) -> Dataset:
    """Rows by which the tokens of all are told."""
    return rows.select(range(min(ROWS_SAMPLED, rows.num_rows)))


def teacher_scores(folder: Path) -> np.ndarray:
    """The teacher's scores of each row's positive and negatives: float32, [rows, 1 + negatives]."""
    scores = tables.read(folder / "scores.parquet", TEACHER_SCORES)["scores"]
    return scores.list.to_array(int(scores.list.len().max() or 0)).to_numpy()  # type: ignore[arg-type]


def dataset(folder: Path, normalizer: query_normalizer.Normalizer | None = None, numbered: bool = False) -> Dataset:
    """The training set as the trainer reads it: query, positive, negative_1..k (texts) and label (groups, of every row
    as many: those that a row lacks are its positive's again; then, if `numbered`, the row's number).

    Queries are as `normalizer` makes them: as the trained model's encoder will.
    """
    import pyarrow
    from datasets import Dataset

    texts = tables.read(folder / "texts.parquet", TRAINING_TEXTS)["text"]
    rows = tables.read(folder / "rows.parquet", TRAINING_ROWS)
    k = int(rows["negatives"].list.len().max())  # type: ignore[arg-type]
    columns = {"query": rows["query"], "positive": rows["positive"]}
    columns |= {f"negative_{i + 1}": rows["negatives"].list.get(i) for i in range(k)}
    looked_up = {name: texts.gather(numbers).to_arrow() for name, numbers in columns.items()}
    if normalizer:
        asked = texts.gather(rows["query"])
        looked_up["query"] = pl.Series(normalizer(asked.to_list()), dtype=pl.String).to_arrow()
    width = int(rows["groups"].list.len().max())  # type: ignore[arg-type]
    own = pl.col("groups").list.first().repeat_by(width - pl.col("groups").list.len())
    lists = pl.concat_list("groups", own, *(["number"] if numbered else []))
    groups = rows.with_row_index("number").select(groups=lists.cast(pl.List(pl.Int64)))["groups"]
    return Dataset(pyarrow.table({**looked_up, "label": groups.to_arrow()}))
