"""rerankers: the base fine-tuned as a cross-encoder, which reads a query and a passage together and gives one number.

The training set is a recipe's: a step has the queries that a bi-encoder's step has, each with its positive and its
negatives, and every pair is judged by itself (binary cross-entropy; arXiv 2305.05295 has four negatives). All layers
read both texts at once: what frozen layers make of a text cannot be kept, and freezing saves gradients alone. Texts are
read without prompts, which tell a bi-encoder's two sides apart. The base's pooling is left behind, and the new head
begins at random, drawn by seed.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from stages.schemas.curves import TRAINING_CURVES
from stages.schemas.trainsets import TRAINSETS_FOLDER
from stages.settings.rerankers import read_reranker
from stages.settings.seed import read_seed
from stages.settings.train import Train, read_train
from stages.shared import encoder, errors, lengths, member, models, query_normalizer, seeds, tables, training_rows
from stages.shared.errors import UserError

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import CrossEncoder

log = logging.getLogger("rerankers")
# Of the base's record, what holds for a cross-encoder made of it.
KEPT_TRAITS = ("name", "revision", "dtype", "attention", "padding", "trust_remote_code")


def main() -> None:
    name = member.name("rerankers")
    differing, seed, record = read_reranker(name).train.written, read_seed(), models.base_record()
    settings = read_train().of_pairs.changed(differing, f"rerankers.{name}.train")
    if encoder.is_static(models.BASE):
        raise UserError(
            f"rerankers.{name} reads a query and a passage together, which a static base, a table of vectors, cannot: "
            "name a transformer as base.name"
        )
    if settings.lora:
        raise UserError(
            f"rerankers.{name} cannot be trained with train.lora: write `lora: null` under rerankers.{name}.train"
        )
    rate = settings.transformer_rate(
        record["name"], f"rerankers.{name}.train" if "learning_rate" in differing else "train"
    )
    import torch

    from stages.rerankers.loss import PairwiseEntropy
    from stages.shared import saving, training, trunk

    rows = training_rows.dataset(TRAINSETS_FOLDER / name, query_normalizer.read(models.BASE)).remove_columns("label")
    drawn = training_rows.pools(name, settings.batch_size, "rerankers")
    model = cross_encoder(name, record, seed)
    length = model.max_seq_length
    if settings.max_length:
        model.max_seq_length = settings.max_length
    announce(name, settings, rows, model, rate)
    if settings.dropout is not None:
        trunk.set_dropout(model, settings.dropout)
    if settings.freeze:
        trunk.freeze(model, settings.freeze)
    key = training.fingerprint("reranker", settings, seed, TRAINSETS_FOLDER / name, models.BASE)
    points = training.fit(
        model,
        rows,
        PairwiseEntropy(model, settings.mini_batch_size),
        key,
        seed=seed,
        pools=drawn,
        learning_rate=rate,
        **settings.fitted,
    )
    model.max_seq_length = length
    with tables.replacing(models.RERANKERS / name) as draft:
        saving.save(model.to(dtype=getattr(torch, record["dtype"])), draft)
        kept = {trait: record.get(trait) for trait in KEPT_TRAITS} | {"kind": "cross-encoder", "max_length": length}
        if settings.freeze:
            kept["frozen"] = settings.freeze.record
        tables.write_json(kept, draft / models.RECORD)
        models.copy_normalizer(models.BASE, draft)
    tables.write_text(training.curve(points), TRAINING_CURVES / f"{name}.csv")
    training.forget(key)
    log.info(
        f"{name}: {rows.num_rows:,} rows, {settings.steps:,} steps, loss {points[0][1]:.3f} to {points[-1][1]:.3f}"
    )


def cross_encoder(name: str, record: dict[str, Any], seed: int) -> CrossEncoder:
    """The base as a cross-encoder, in float32, to be trained; raises `UserError` if its architecture has no such form,
    or it cannot be loaded.

    `record`: how the base is run.
    """
    import torch
    from sentence_transformers import CrossEncoder

    torch.manual_seed(seeds.number(seed, "head") % 2**31)
    try:
        model = CrossEncoder(
            str(models.BASE),
            num_labels=1,
            local_files_only=True,
            trust_remote_code=record["trust_remote_code"],
            model_kwargs={"dtype": "float32", "attn_implementation": record["attention"]},
        )
    except MemoryError:
        raise
    # Code of a model's authors, and a file that is cut off, may raise anything.
    except Exception as error:
        if models.damaged(models.BASE):
            raise models.unloadable(models.BASE, error) from None
        reason = errors.first_line(error)
        raise UserError(f"rerankers.{name}: {record['name']} cannot be made a cross-encoder ({reason})") from None
    inner: Any = model.model
    if inner.config.pad_token_id is None:
        # Or a decoder cannot tell where a text ends.
        inner.config.pad_token_id = model.tokenizer.pad_token_id
    return model


def announce(name: str, settings: Train, rows: Dataset, model: CrossEncoder, rate: float) -> None:
    """Say how much there is to do."""
    passages = [column for column in rows.column_names if column != "query"]
    pairs = settings.steps * min(settings.batch_size, rows.num_rows) * len(passages)
    said = f"{name}: {rows.num_rows:,} rows, {settings.steps:,} steps of {settings.batch_size:,}: {pairs:,} pairs"
    few = training_rows.few(rows)
    sides = [list(few["query"]), [text for column in passages for text in few[column]]]
    means = [lengths.mean_tokens(model, texts) for texts in sides]
    if means[0] and means[1]:
        said += f", about {pairs * min(means[0] + means[1], model.max_seq_length or float('inf')):,.0f} tokens"
    log.info(f"{said}, 1 positive to {len(passages) - 1} negatives, learning rate {rate:g}")


if __name__ == "__main__":
    errors.run(main)
