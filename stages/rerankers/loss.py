"""What a cross-encoder is trained with: each pair of a query and a passage is judged by itself."""

from __future__ import annotations

from typing import Any

import torch
from sentence_transformers import CrossEncoder
from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss
from torch import Tensor
from torch.utils.checkpoint import checkpoint


class PairwiseEntropy(BinaryCrossEntropyLoss):
    """The mean binary cross-entropy of a batch's pairs: of each query with its positive, which is 1, and with each of
    its negatives, which are 0.

    Args:
        mini_batch_size: pairs read at once; each such part is then read once more for its gradients, so that memory
            holds one part: the same loss and the same gradients.
    """

    def __init__(self, model: CrossEncoder, mini_batch_size: int | None = None) -> None:
        super().__init__(model)
        self.mini_batch_size = mini_batch_size

    def forward(
        self, inputs: list[list[str]], labels: Tensor | None, prompt: str | None = None, task: str | None = None
    ) -> Tensor:
        """`inputs`: the columns query, positive, negatives, each of as many texts as the batch has rows."""
        queries, positives, *negatives = inputs
        documents = [text for column in (positives, *negatives) for text in column]
        asked = queries * (1 + len(negatives))
        wanted = torch.zeros(len(asked), device=self.model.device)
        wanted[: len(positives)] = 1
        size = self.mini_batch_size
        if not size or size >= len(asked):
            return super().forward([asked, documents], wanted)
        parts = [slice(at, at + size) for at in range(0, len(asked), size)]
        losses = [len(asked[part]) * self._again(asked[part], documents[part], wanted[part]) for part in parts]
        return torch.stack(losses).sum() / len(asked)

    def _again(self, asked: list[str], documents: list[str], wanted: Tensor) -> Tensor:
        loss: Any = checkpoint(super().forward, [asked, documents], wanted, use_reentrant=False)
        return loss
