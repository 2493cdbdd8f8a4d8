"""train: fine-tune the base on one recipe's training set, with InfoNCE over in-batch and mined negatives."""

import csv
import io
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from stages.shared import errors, models, params, tables
from stages.shared.errors import UserError

if TYPE_CHECKING:
    from datasets import Dataset

log = logging.getLogger("train")
TRAINSETS = Path("data/trainsets")
CURVES = Path("metrics/training")


def main() -> None:
    name = sys.argv[1]
    settings, seed, dtype, trusted = params.read("train", "seed", "base.dtype", "base.trust_remote_code")
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.losses.gradcache import has_static_embedding_input

    from stages.shared import training

    rows = dataset(TRAINSETS / name)
    # Updates happen in float32, whatever the base is stored in (a static base heeds no torch_dtype).
    model = SentenceTransformer(
        str(models.BASE),
        local_files_only=True,
        trust_remote_code=trusted,
        model_kwargs={"torch_dtype": "float32"},
    ).float()
    if settings.mini_batch_size and has_static_embedding_input(model):
        raise UserError("train.mini_batch_size cannot split a static base's batches: write null")
    if settings.max_length and has_static_embedding_input(model):
        raise UserError("train.max_length does not apply to a static base, which reads texts of any length: write null")
    if settings.max_length:
        own_length, model.max_seq_length = model.max_seq_length, settings.max_length
    key = training.fingerprint("train", settings, seed, TRAINSETS / name, models.BASE)
    points = training.fit(
        model,
        rows,
        training.InfoNCE(model, settings.temperature, mini_batch_size=settings.mini_batch_size),
        key,
        seed=seed,
        **settings.model_dump(exclude={"temperature", "mini_batch_size", "max_length"}),
    )
    if settings.max_length:
        model.max_seq_length = own_length
    with tables.replacing(models.TRAINED / name) as draft:
        training.save(model.to(dtype=getattr(torch, dtype)), draft)
    tables.write_text(curve(points), CURVES / f"{name}.csv")
    training.forget(key)
    log.info(
        f"{name}: {rows.num_rows:,} rows, {settings.steps:,} steps, loss {points[0][1]:.3f} to {points[-1][1]:.3f}"
    )


def dataset(folder: Path) -> "Dataset":
    """The training set as the trainer reads it: query, positive, negative_1..k (texts) and label (groups)."""
    import pyarrow
    from datasets import Dataset

    texts = tables.read(folder / "texts.parquet", tables.TEXTS)["text"]
    rows = tables.read(folder / "rows.parquet", tables.TRAINING_ROWS)
    k = int(rows["negatives"].list.len().max())  # type: ignore[arg-type]
    columns = {"query": rows["query"], "positive": rows["positive"]}
    columns |= {f"negative_{i + 1}": rows["negatives"].list.get(i) for i in range(k)}
    looked_up = {name: texts.gather(numbers).to_arrow() for name, numbers in columns.items()}
    return Dataset(pyarrow.table({**looked_up, "label": rows["groups"].cast(pl.List(pl.Int64)).to_arrow()}))


def curve(points: list[tuple[int, float]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["step", "loss"])
    writer.writerows((step, f"{loss:.5f}") for step, loss in points)
    return out.getvalue()


if __name__ == "__main__":
    errors.run(main)
