"""A training batch's texts encoded by length: each distinct text once, with others about as long, so that little of
what is computed is padding.

A batch's texts differ in length (queries and passages, languages), and recipes of several compositions hold some of
them twice. Vectors and gradients are those of whole columns but for the last bits, where nothing is dropped at random;
with dropout a text that is there twice has one vector.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from sentence_transformers.base.losses.merged_forward import embed_columns, merge_feature_batches
from torch import Tensor, nn

from stages.shared.lengths import about_as_long, training_tokens


class Parts(NamedTuple):
    """A batch's texts in `features` of a part each, and where each column's texts are among their vectors, column after
    column."""

    features: list[dict[str, Any]]
    at: Tensor
    columns: int

    def in_columns(self, vectors: Tensor) -> list[Tensor]:
        """Of the parts' `vectors`, [texts, dimension], each column's, [batch, dimension]."""
        return list(vectors[self.at].chunk(self.columns))


def embed(model: nn.Module, columns: list[dict[str, Any]]) -> list[Tensor]:
    """The vectors of each column's texts, [batch, dimension], with gradients; `columns`: each one's features, as the
    model tokenizes it. What is no padded batch of token ids, as of a static model, is encoded column by column."""
    found = parts(columns)
    if found is None:
        return embed_columns(model, columns)
    return found.in_columns(torch.cat([model(own)["sentence_embedding"] for own in found.features]))


def parts(columns: list[dict[str, Any]], tokens: int | None = None, texts: int | None = None) -> Parts | None:
    """Parts of at most so many `tokens`, padding included, or so many `texts`; of neither, as many as suit the device.
    None if a column is no padded batch of token ids."""
    merged = merge_feature_batches(columns)
    if merged is None or not _padded(merged):
        return None
    mask = merged["attention_mask"].bool()
    # What stands where there is only padding tells no text from another.
    distinct, where = torch.unique(merged["input_ids"].masked_fill(~mask, -1), dim=0, return_inverse=True)
    first = torch.full((len(distinct),), len(where), device=where.device)
    first = first.scatter_reduce(0, where, torch.arange(len(where), device=where.device), "amin")
    ends = (mask * torch.arange(1, mask.shape[1] + 1, device=mask.device)).amax(dim=1)[first].cpu().numpy()
    if not tokens and not texts:
        tokens = training_tokens(mask.device.type)
    found, order = [], []
    for batch in about_as_long(ends, tokens, texts):
        rows = first[batch]
        found.append(
            {
                name: value[rows, : int(ends[batch].max())] if isinstance(value, Tensor) and value.ndim == 2 else value
                for name, value in merged.items()
            }
        )
        order += batch.tolist()
    at = torch.empty(len(order), dtype=torch.long, device=where.device)
    at[torch.tensor(order, device=where.device)] = torch.arange(len(order), device=where.device)
    return Parts(found, at[where], len(columns))


def _padded(features: dict[str, Any]) -> bool:
    """Whether all of `features` that is of texts is of their tokens, [texts, tokens]."""
    ids, mask = features.get("input_ids"), features.get("attention_mask")
    if not isinstance(ids, Tensor) or not isinstance(mask, Tensor):
        return False
    own = [value for name, value in features.items() if isinstance(value, Tensor) and name != "prompt_length"]
    return all(value.shape == ids.shape for value in own)
