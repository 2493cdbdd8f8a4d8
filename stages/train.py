"""train: fine-tune the base on one recipe's training set, with InfoNCE over in-batch and mined negatives."""

import csv
import io
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from stages.shared import errors, models, params, romanised, tables
from stages.shared.errors import UserError
from stages.shared.params import Train

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

    from stages.shared.training import Pool

log = logging.getLogger("train")
TRAINSETS = Path("data/trainsets")
CURVES = Path("metrics/training")


def main() -> None:
    name = sys.argv[1]
    settings, seed, dtype, attention, trusted = params.read(
        "train", "seed", "base.dtype", "base.attention", "base.trust_remote_code"
    )
    import torch

    from stages.shared import training

    rows, drawn = dataset(TRAINSETS / name, romanised.read(models.BASE)), pools(name, settings.batch_size)
    model = base(settings, dtype, attention, trusted)
    length = model.max_seq_length
    if settings.max_length:
        model.max_seq_length = settings.max_length
    adapted = training.adapt(model, settings.lora, seed) if settings.lora else None
    key = training.fingerprint("train", settings, seed, dtype, attention, TRAINSETS / name, models.BASE)
    points = training.fit(
        model,
        rows,
        training.InfoNCE(
            model, settings.temperature, in_batch=settings.in_batch, mini_batch_size=settings.mini_batch_size
        ),
        key,
        seed=seed,
        pools=drawn,
        **settings.model_dump(exclude={"temperature", "in_batch", "mini_batch_size", "max_length", "lora"}),
    )
    if adapted:
        training.fold(adapted)
    if settings.max_length:
        model.max_seq_length = length
    with tables.replacing(models.TRAINED / name) as draft:
        training.save(model.to(dtype=getattr(torch, dtype)), draft)
        romanised.copy(models.BASE, draft)
    tables.write_text(curve(points), CURVES / f"{name}.csv")
    training.forget(key)
    log.info(
        f"{name}: {rows.num_rows:,} rows, {settings.steps:,} steps, loss {points[0][1]:.3f} to {points[-1][1]:.3f}"
    )


def base(settings: Train, dtype: str, attention: str | None, trusted: bool) -> "SentenceTransformer":
    """The base, to be trained; raises `UserError` if it is static and `settings` are a transformer's.

    In float32, whatever it is stored in, for small updates would be rounded away. With LoRA its weights stay as they
    are, and so does their type.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.losses.gradcache import has_static_embedding_input

    model = SentenceTransformer(
        str(models.BASE),
        local_files_only=True,
        trust_remote_code=trusted,
        model_kwargs={"dtype": dtype if settings.lora else "float32", "attn_implementation": attention},
    )
    if has_static_embedding_input(model):
        if settings.mini_batch_size:
            raise UserError("train.mini_batch_size cannot split a static base's batches: write null")
        if settings.max_length:
            raise UserError(
                "train.max_length does not apply to a static base, which reads texts of any length: write null"
            )
    # A static base heeds no dtype.
    return model if settings.lora else model.float()


def pools(name: str, batch_size: int) -> "list[Pool] | None":
    """The rows that hybrid batches are drawn from, with the share of each pool; None: all rows alike."""
    rows = tables.read(TRAINSETS / name / "rows.parquet", tables.TRAINING_ROWS)["composition"]
    found = []
    for share, compositions in tables.read(TRAINSETS / name / "batches.parquet", tables.BATCHES).iter_rows():
        held = rows.is_in(compositions).arg_true().to_numpy()
        if len(held) < batch_size:
            raise UserError(
                f"recipes.{name}.hybrid draws batches of {', '.join(compositions)} alone, but there are {len(held):,} "
                f"such rows, fewer than train.batch_size ({batch_size:,}): lower it, or change the recipe"
            )
        found.append((share, held))
    return found or None


def dataset(folder: Path, normalizer: romanised.Normalizer | None = None) -> "Dataset":
    """The training set as the trainer reads it: query, positive, negative_1..k (texts) and label (groups).

    Queries are as `normalizer` makes them: as the trained model's encoder will.
    """
    import pyarrow
    from datasets import Dataset

    texts = tables.read(folder / "texts.parquet", tables.TEXTS)["text"]
    rows = tables.read(folder / "rows.parquet", tables.TRAINING_ROWS)
    k = int(rows["negatives"].list.len().max())  # type: ignore[arg-type]
    columns = {"query": rows["query"], "positive": rows["positive"]}
    columns |= {f"negative_{i + 1}": rows["negatives"].list.get(i) for i in range(k)}
    looked_up = {name: texts.gather(numbers).to_arrow() for name, numbers in columns.items()}
    if normalizer:
        asked = texts.gather(rows["query"])
        looked_up["query"] = pl.Series(normalizer(asked.to_list()), dtype=pl.String).to_arrow()
    return Dataset(pyarrow.table({**looked_up, "label": rows["groups"].cast(pl.List(pl.Int64)).to_arrow()}))


def curve(points: list[tuple[int, float]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["step", "loss"])
    writer.writerows((step, f"{loss:.5f}") for step, loss in points)
    return out.getvalue()


if __name__ == "__main__":
    errors.run(main)
