"""A training batch's texts encoded by length: each distinct text once, with others about as long, so that little of
what is computed is padding.

A batch's texts differ in length (queries and passages, languages), and recipes of several compositions hold some of
them twice. Vectors and gradients are those of whole columns but for the last bits, where nothing is dropped at random;
with dropout a text that is there twice has one vector.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import torch
from sentence_transformers.base.losses.merged_forward import embed_columns, merge_feature_batches
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import Tensor, nn

from stages.shared.lengths import about_as_long, training_tokens

# How many of a column's first tokens are its prompt, as a transformer's `preprocess` says.
PROMPT_LENGTH = "prompt_length"


class BatchParts(NamedTuple):
    """A batch's texts in `features` of a part each, and where each column's texts are among all parts' vectors."""

    features: list[dict[str, Any]]
    at: list[Tensor]

    @property
    def texts(self) -> int:
        return sum(len(part["input_ids"]) for part in self.features)

    @property
    def tokens(self) -> int:
        """Padding included."""
        return sum(part["input_ids"].numel() for part in self.features)

    def in_columns(self, vectors: Tensor) -> list[Tensor]:
        """Of the parts' `vectors`, [texts, dimension], each column's, [batch, dimension]."""
        return [vectors[own] for own in self.at]


def embed(model: nn.Module, columns: list[dict[str, Any]], found: BatchParts | None) -> list[Tensor]:
    """The vectors of each column's texts, [batch, dimension], with gradients; `columns`: each one's features, as the
    model tokenizes it, and `found` its parts. Without these it is encoded column by column, or, of a static model, all
    at once: each pass has a gradient of the whole table."""
    if found is None:
        if (bags := _bags(columns)) is None:
            return embed_columns(model, columns)
        vectors = model(bags)["sentence_embedding"]
        return list(vectors.split([len(column["offsets"]) for column in columns]))
    return found.in_columns(torch.cat([model(part)["sentence_embedding"] for part in found.features]))


def parts(
    model: nn.Module, columns: list[dict[str, Any]], tokens: int | None = None, texts: int | None = None
) -> BatchParts | None:
    """Parts of at most so many `tokens`, padding included, or so many `texts`; of neither, as many as suit the device.
    None if a column is no padded batch of token ids, as of a static model."""
    features: list[dict[str, Any]] = []
    at: list[Tensor] = [torch.empty(0)] * len(columns)
    begun = 0
    for prompt, numbers in _alike(model, columns).items():
        merged = merge_feature_batches(
            [{name: value for name, value in columns[number].items() if name != PROMPT_LENGTH} for number in numbers]
        )
        if merged is None or not _padded(merged):
            return None
        own, where = _by_length(merged, tokens, texts)
        features += [part if prompt is None else part | {PROMPT_LENGTH: prompt} for part in own]
        for number, place in zip(numbers, where.chunk(len(numbers)), strict=True):
            at[number] = begun + place
        begun += sum(len(part["input_ids"]) for part in own)
    return BatchParts(features, at)


def _bags(columns: list[dict[str, Any]]) -> dict[str, Any] | None:
    """All columns as one, if they are of bags of token ids, as a static model's."""
    if any(column.keys() - {PROMPT_LENGTH} != {"input_ids", "offsets"} for column in columns):
        return None
    begins = accumulate((len(column["input_ids"]) for column in columns), initial=0)
    return {
        "input_ids": torch.cat([column["input_ids"] for column in columns]),
        "offsets": torch.cat([column["offsets"] + begin for column, begin in zip(columns, begins, strict=False)]),
    }


def _alike(model: nn.Module, columns: list[dict[str, Any]]) -> dict[int | None, list[int]]:
    """The columns that one forward pass can take: all, unless the model's vectors leave out prompts, which are then of
    one length."""
    if all(module.include_prompt for module in model.modules() if isinstance(module, Pooling)):
        return {None: list(range(len(columns)))}
    found: dict[int | None, list[int]] = {}
    for number, column in enumerate(columns):
        length = torch.as_tensor(column.get(PROMPT_LENGTH, 0)).reshape(-1)[0]
        found.setdefault(int(length), []).append(number)
    return found


def _by_length(merged: dict[str, Any], tokens: int | None, texts: int | None) -> tuple[list[dict[str, Any]], Tensor]:
    """The distinct texts of a batch in parts, and where each of its rows is among them."""
    ids, mask = merged["input_ids"], merged["attention_mask"].bool()
    places = torch.arange(mask.shape[1], device=mask.device)
    starts = mask.int().argmax(dim=1)
    ends = (mask * (places + 1)).amax(dim=1)
    # Padding tells no text from another, neither what stands there nor on which side it is.
    beyond = places >= (ends - starts)[:, None]
    aligned = ids.gather(1, (starts[:, None] + places).clamp(max=mask.shape[1] - 1)).masked_fill(beyond, -1)
    distinct, where = torch.unique(aligned, dim=0, return_inverse=True)
    first = torch.full((len(distinct),), len(where), device=where.device)
    first = first.scatter_reduce(0, where, torch.arange(len(where), device=where.device), "amin")
    lengths = (ends - starts)[first].cpu().numpy()
    if not tokens and not texts:
        tokens = training_tokens(mask.device.type)
    batches = list(about_as_long(lengths, tokens, texts))
    at_left, found = not starts.any(), []
    for batch in batches:
        rows, width = first[batch], int(lengths[batch].max())
        # Padded on the side on which they were: a window ends where its text does, unless texts begin at the left.
        begin = torch.zeros_like(rows) if at_left else (ends[rows] - width).clamp(min=0)
        taken = begin[:, None] + places[:width]
        found.append(
            {
                name: value[rows].gather(1, taken) if isinstance(value, Tensor) and value.ndim == 2 else value
                for name, value in merged.items()
            }
        )
    order = torch.tensor(np.concatenate(batches), device=where.device)
    at = torch.empty_like(order)
    at[order] = torch.arange(len(order), device=where.device)
    return found, at[where]


def _padded(features: dict[str, Any]) -> bool:
    """Whether all of `features` that is of texts is of their tokens, [texts, tokens]."""
    ids, mask = features.get("input_ids"), features.get("attention_mask")
    if not isinstance(ids, Tensor) or not isinstance(mask, Tensor):
        return False
    own = [value for value in features.values() if isinstance(value, Tensor)]
    return all(value.shape == ids.shape for value in own)
