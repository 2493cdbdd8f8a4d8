"""What a merge learns from the rows that its parts were trained on: how important each weight is to a model (fisher),
or what the inputs of its linear layers are like (regmean).

The Fisher information's diagonal is the mean square of the gradient of log p (Matena and Raffel 2022, section 3.2).
Here log p is the contrastive loss of a batch, as in training but without dropout: in-batch negatives give no row a loss
of its own. Batches are drawn by (seed, recipe), as the trainer draws them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.schemas.plans import MEAN_IMPORTANCE, Plan
from stages.schemas.trainsets import TRAINSETS_FOLDER
from stages.settings.train import Train
from stages.shared import encoder, files, models, query_normalizer, tables, training_rows
from stages.shared.roles import PROMPT_NAMES
from stages.shared.vectors.keys import place

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

log = logging.getLogger(__name__)
# Features of each column (query, positive, negatives) and the groups of positive and negatives.
TrainingBatch = tuple[list[dict[str, Any]], "Tensor"]


def learnt(plan: Plan, part: str, settings: Train, seed: int) -> Path:
    """The file of what `plan` needs of `part`, by the name of each weight: of fisher the mean squared gradient, in its
    shape, and their mean; of regmean the mean outer product of a linear layer's inputs, [in, in]. All in float32."""
    from safetensors.torch import save_file

    folder, count = models.source(part), int(plan.parameters["batches"])
    shapes = settings.model_dump(include={"batch_size", "temperature", "in_batch", "max_length"})
    shaping = [plan.method, count, shapes, seed, *map(files.content, (TRAINSETS_FOLDER / part, folder))]
    file = place("importances", shaping).with_suffix(".safetensors")
    if not file.is_file():
        record = models.base_record()
        model = encoder.opened(
            folder, trust_remote_code=record["trust_remote_code"], attn_implementation=record["attention"]
        )
        model = model.float().eval()
        if settings.max_length:
            model.max_seq_length = settings.max_length
        learn = squared_gradients if plan.method == "fisher" else mean_inputs
        found = learn(model, batches(model, part, settings, count, seed), settings)
        with tables.replacing(file) as draft:
            save_file({name: tensor.cpu().contiguous() for name, tensor in found.items()}, draft)
        log.info(f"{plan.name}: {plan.method} read {count:,} batches of {part}")
    return file


def batches(model: SentenceTransformer, recipe: str, settings: Train, count: int, seed: int) -> Iterator[TrainingBatch]:
    """`count` batches of a recipe's training rows."""
    import numpy as np
    import torch

    from stages.shared import seeds, training

    rows = training_rows.dataset(TRAINSETS_FOLDER / recipe, query_normalizer.read(models.BASE))
    size = min(settings.batch_size, rows.num_rows)
    drawn = training.PooledBatches(
        rows,
        pools=training_rows.pools(recipe, size) or [(1.0, np.arange(rows.num_rows))],
        steps=count,
        batch_size=size,
        drop_last=True,
        seed=seeds.number(seed, "importance", recipe) % 2**31,
    )
    for numbers in drawn:
        batch = rows[numbers]
        groups = torch.tensor(batch.pop("label"), device=model.device)
        features = []
        for column, texts in batch.items():
            prompt = model.prompts.get(PROMPT_NAMES["query" if column == "query" else "passage"])
            told = model.preprocess(texts, prompt=prompt or None)
            features.append({k: v.to(model.device) if hasattr(v, "to") else v for k, v in told.items()})
        yield features, groups


def squared_gradients(model: SentenceTransformer, drawn: Iterator[TrainingBatch], settings: Train) -> dict[str, Tensor]:
    import torch

    from stages.shared import contrastive, merging

    loss = contrastive.InfoNCE(
        model,
        settings.temperature,
        in_batch=settings.in_batch,
        mini_batch_size=settings.mini_batch_size,
        mini_batch_tokens=settings.mini_batch_tokens,
    )
    model.requires_grad_(True)
    state = merging.canonical(model)
    weights = {name: tensor for name, tensor in state.items() if isinstance(tensor, torch.nn.Parameter)}
    found: dict[str, Tensor] = {name: torch.zeros_like(tensor.data) for name, tensor in weights.items()}
    count = 0
    for features, groups in drawn:
        model.zero_grad()
        loss(features, groups).backward()
        count += 1
        for name, weight in weights.items():
            if weight.grad is not None:
                found[name].addcmul_(weight.grad, weight.grad)
    means = [tensor.div_(count).double().mean() for tensor in found.values()]
    sizes = torch.tensor([tensor.numel() for tensor in found.values()], dtype=torch.float64)
    return {**found, MEAN_IMPORTANCE: (torch.stack(means).cpu() @ sizes / sizes.sum()).float()}


def mean_inputs(model: SentenceTransformer, drawn: Iterator[TrainingBatch], settings: Train) -> dict[str, Tensor]:
    import torch

    from stages.shared import merging

    names = {id(tensor): name for name, tensor in merging.canonical(model).items()}
    found: dict[str, Tensor] = {}
    counts: dict[str, int] = {}
    mask: Tensor | None = None

    def watch(name: str) -> Callable[..., None]:
        def read(module: torch.nn.Module, given: tuple[Tensor, ...]) -> None:
            states = given[0].detach()
            # What a batch is filled up with is no input.
            own = states[mask.bool()] if mask is not None and states.shape[:-1] == mask.shape else states
            own = own.reshape(-1, states.shape[-1]).float()
            found[name] = found.get(name, 0) + own.T @ own
            counts[name] = counts.get(name, 0) + len(own)

        return read

    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(watch(names[id(module.weight)]))
    with torch.no_grad():
        for features, _ in drawn:
            for column in features:
                mask = column.get("attention_mask")
                model(dict(column))
    return {name: tensor / counts[name] for name, tensor in found.items()}
