"""train: fine-tune the base on one recipe's training set, with InfoNCE over in-batch and mined negatives."""

import csv
import io
import logging
import sys
from typing import TYPE_CHECKING, Any

from stages.schemas.curves import CURVE, TRAINING_CURVES
from stages.schemas.trainsets import TRAINSETS_FOLDER
from stages.settings.seed import read_seed
from stages.settings.train import Train, read_train
from stages.shared import errors, models, query_normalizer, tables
from stages.shared.errors import UserError
from stages.train import data

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


log = logging.getLogger("train")


def main() -> None:
    name = sys.argv[1]
    settings, seed, record = read_train(), read_seed(), models.base_record()
    import torch

    from stages.shared import saving, training
    from stages.train import lora

    rows = data.dataset(TRAINSETS_FOLDER / name, query_normalizer.read(models.BASE))
    drawn = data.pools(name, settings.batch_size)
    model = base(settings, record)
    length = model.max_seq_length
    if settings.max_length:
        model.max_seq_length = settings.max_length
    adapted = lora.adapt(model, settings.lora, seed) if settings.lora else None
    key = training.fingerprint("train", settings, seed, TRAINSETS_FOLDER / name, models.BASE)
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
        lora.fold(adapted)
    if settings.max_length:
        model.max_seq_length = length
    with tables.replacing(models.TRAINED / name) as draft:
        saving.save(model.to(dtype=getattr(torch, record["dtype"])), draft)
        models.copy_record(models.BASE, draft)
        models.copy_normalizer(models.BASE, draft)
    tables.write_text(curve(points), TRAINING_CURVES / f"{name}.csv")
    training.forget(key)
    log.info(
        f"{name}: {rows.num_rows:,} rows, {settings.steps:,} steps, loss {points[0][1]:.3f} to {points[-1][1]:.3f}"
    )


def base(settings: Train, record: dict[str, Any]) -> "SentenceTransformer":
    """The base, to be trained as its `record` says.

    Raises `UserError` if it is static and `settings` are a transformer's. It is in float32, whatever it is stored in,
    for small updates would be rounded away. With LoRA its weights stay as they are, and so does their type.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.losses.gradcache import has_static_embedding_input

    model = SentenceTransformer(
        str(models.BASE),
        local_files_only=True,
        trust_remote_code=record["trust_remote_code"],
        model_kwargs={
            "dtype": record["dtype"] if settings.lora else "float32",
            "attn_implementation": record["attention"],
        },
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


def curve(points: list[tuple[int, float]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(list(CURVE))
    writer.writerows((step, f"{loss:.5f}") for step, loss in points)
    return out.getvalue()


if __name__ == "__main__":
    errors.run(main)
