"""train: fine-tune the base on one recipe's training set, with InfoNCE over in-batch and mined negatives."""

import logging
from itertools import chain
from typing import TYPE_CHECKING, Any

from stages.schemas.curves import TRAINING_CURVES
from stages.schemas.trainsets import TRAINSETS_FOLDER
from stages.schemas.validation import VALIDATION_FOLDER
from stages.settings.recipes import read_recipe
from stages.settings.seed import read_seed
from stages.settings.train import Train, read_train
from stages.shared import encoder, errors, lengths, member, models, query_normalizer, tables, training_rows
from stages.shared.errors import UserError

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

    from stages.shared.trunk import Trunk


log = logging.getLogger("train")


def main() -> None:
    name = member.name("train")
    differing, seed, record = read_recipe(name).train.written, read_seed(), models.base_record()
    settings = read_train().changed(differing, f"recipes.{name}.train") if differing else read_train()
    import torch

    from stages.shared import contrastive, saving, training, trunk
    from stages.shared.stopping import Stopping
    from stages.train import lora
    from stages.train.validation import Validation

    folder, distillation = TRAINSETS_FOLDER / name, settings.distillation
    rows = training_rows.dataset(folder, query_normalizer.read(models.BASE), numbered=distillation is not None)
    drawn = training_rows.pools(name, settings.batch_size)
    model = base(settings, record)
    length = model.max_seq_length
    if settings.max_length:
        model.max_seq_length = settings.max_length
    rate = learning_rate(settings, record, model)
    traits = told(settings, model)
    announce(name, settings, rows, model, rate)
    if settings.dropout is not None:
        trunk.set_dropout(model, settings.dropout)
    cut = freeze(model, settings)
    if cut:
        cut.prepare(rows["query"], "query")
        cut.prepare(chain.from_iterable(rows[c] for c in rows.column_names if c not in ("query", "label")), "passage")
    adapted = lora.adapt(model, settings.lora, seed) if settings.lora else None
    watched = settings.early_stopping
    validated = [VALIDATION_FOLDER] if watched else []
    key = training.fingerprint("train", settings, seed, folder, models.BASE, *validated)
    stopping = None
    if watched:
        normalizer = query_normalizer.read(models.BASE)
        measure = Validation(model, watched.metric, normalizer, length if settings.max_length else None)
        stopping = Stopping(model, measure, watched.every, watched.patience)
    points = training.fit(
        model,
        rows,
        contrastive.InfoNCE(
            model,
            settings.temperature,
            settings.symmetric,
            settings.in_batch,
            settings.mini_batch_size,
            settings.mini_batch_tokens,
            None if settings.guided is None else base(settings, record),
            settings.guided or 0.0,
            settings.matryoshka or (),
            settings.hardness.mode if settings.hardness else None,
            settings.hardness.strength if settings.hardness else 0.0,
            contrastive.Distilled(
                **distillation.model_dump(), scores=torch.tensor(training_rows.teacher_scores(folder))
            )
            if distillation
            else None,
        ),
        key,
        seed=seed,
        pools=drawn,
        learning_rate=rate,
        stopping=stopping,
        **settings.fitted,
    )
    if adapted:
        lora.fold(adapted)
    if cut:
        model = cut.whole()
    if settings.max_length:
        model.max_seq_length = length
    with tables.replacing(models.TRAINED / name) as draft:
        saving.save(model.to(dtype=getattr(torch, record["dtype"])), draft)
        models.copy_record(models.BASE, draft, traits)
        models.copy_normalizer(models.BASE, draft)
    tables.write_text(training.curve(points, stopping), TRAINING_CURVES / f"{name}.csv")
    training.forget(key)
    done = f"{settings.steps:,} steps"
    if stopping:
        done = f"{max(stopping.values):,} of {done}, of which the best, {stopping.kept:,}, is kept"
    log.info(f"{name}: {rows.num_rows:,} rows, {done}, loss {points[0][1]:.3f} to {points[-1][1]:.3f}")


def base(settings: Train, record: dict[str, Any]) -> "SentenceTransformer":
    """The base, to be trained as its `record` says.

    Raises `UserError` if it is static and `settings` are a transformer's. It is in float32, whatever it is stored in,
    for small updates would be rounded away. With LoRA its weights stay as they are, and so does their type.
    """
    from sentence_transformers.base.losses.gradcache import has_static_embedding_input

    model = encoder.opened(
        models.BASE,
        trust_remote_code=record["trust_remote_code"],
        dtype=record["dtype"] if settings.lora else "float32",
        attn_implementation=record["attention"],
    )
    if has_static_embedding_input(model):
        for key in ("mini_batch_size", "mini_batch_tokens"):
            if getattr(settings, key):
                raise UserError(f"train.{key} cannot split a static base's batches: write null")
        if settings.max_length:
            raise UserError(
                "train.max_length does not apply to a static base, which reads texts of any length: write null"
            )
    # A static base heeds no dtype.
    return model if settings.lora else model.float()


def learning_rate(settings: Train, record: dict[str, Any], model: "SentenceTransformer") -> float:
    """That of the params, or what suits the kind of base; raises `UserError` if a transformer has a static base's."""
    from sentence_transformers.base.losses.gradcache import has_static_embedding_input

    if has_static_embedding_input(model):
        return settings.rate(static=True)
    return settings.transformer_rate(record["name"])


def told(settings: Train, model: "SentenceTransformer") -> dict[str, Any]:
    """What the record of the trained model says beside its base's; raises `UserError` if `settings` name a size that
    is no part of the model's vectors."""
    found: dict[str, Any] = {"frozen": settings.freeze.record} if settings.freeze else {}
    if settings.matryoshka:
        whole = int(model.get_embedding_dimension() or 0)
        if max(settings.matryoshka) >= whole:
            raise UserError(
                f"train.matryoshka names {max(settings.matryoshka)}, but the base's vectors have {whole} dimensions, "
                "which are trained in any case: name fewer"
            )
        found["matryoshka"] = [whole, *sorted(settings.matryoshka, reverse=True)]
    return found


def freeze(model: "SentenceTransformer", settings: Train) -> "Trunk | None":
    """Freeze what params say, and cut it off where models share it; raises `UserError` if the base cannot."""
    from stages.shared import trunk

    if not settings.freeze:
        return None
    trunk.freeze(model, settings.freeze)
    cut = trunk.share(model, settings.freeze) if settings.freeze.is_trunk else None
    if settings.lora and not cut:
        raise UserError(
            "train.lora trains adapters in all layers: with it, train.freeze needs layers and embeddings, of a base "
            "whose layers can be run apart"
        )
    return cut


def announce(name: str, settings: Train, rows: "Dataset", model: "SentenceTransformer", rate: float) -> None:
    """Say how much there is to do."""
    columns = [column for column in rows.column_names if column != "label"]
    texts = settings.steps * min(settings.batch_size, rows.num_rows) * len(columns)
    said = f"{name}: {rows.num_rows:,} rows, {settings.steps:,} steps of {settings.batch_size:,}: {texts:,} texts"
    few = training_rows.few(rows)
    if mean := lengths.mean_tokens(model, [text for column in columns for text in few[column]]):
        said += f", about {texts * mean:,.0f} tokens"
    log.info(f"{said}, learning rate {rate:g}")


if __name__ == "__main__":
    errors.run(main)
