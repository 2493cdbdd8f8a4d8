"""The contrastive loss.

It is InfoNCE (van den Oord et al. 2018) over a batch's positives and negatives, with one addition: a text of the
query's own parallel group, its translation included, is never its negative. Batches need no sampling against
duplicates then, in one language or across languages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.losses.gradcache import CachedLossMixin
from sentence_transformers.base.losses.merged_forward import embed_columns
from torch import Tensor, nn
from torch.nn import functional as F


class Masks(NamedTuple):
    """What does not count: `never`, [queries, documents], where a document is no negative of a query; `clash`,
    [queries, positives], where a query is none of a positive."""

    never: Tensor
    clash: Tensor


class InfoNCE(CachedLossMixin, nn.Module):
    """-log softmax of the positive's cosine / temperature, among all positives and negatives of the batch, or those of
    the query alone.

    Args:
        temperature: divides the cosines.
        symmetric: average with the loss of each positive among the queries.
        in_batch: whether the others' positives and negatives are a query's negatives too.
        guide: finds false negatives (GISTEmbed, arXiv 2402.16829, section 3): what it holds nearer to a query than the
            positive, or less than `margin` farther, is no negative, nor such a query one of the positive.
        mini_batch_size: texts encoded at once; gradients are then cached (GradCache, Gao et al. 2021), the same
            loss in less memory.
        matryoshka: first dimensions that are also trained by themselves (arXiv 2205.13147, equation 1, with equal
            weights): the loss is the mean over all dimensions and each of these prefixes.
    """

    mini_batch_num_tokens = None
    show_progress_bar = False

    def __init__(
        self,
        model: SentenceTransformer,
        temperature: float,
        symmetric: bool = False,
        in_batch: bool = True,
        mini_batch_size: int | None = None,
        guide: SentenceTransformer | None = None,
        margin: float = 0.0,
        matryoshka: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.model = model
        self.temperature = temperature
        self.symmetric = symmetric
        self.in_batch = in_batch
        self.mini_batch_size = mini_batch_size  # type: ignore[assignment]
        self.guide = guide.eval().requires_grad_(False) if guide else None
        self.margin = margin
        self.matryoshka = matryoshka
        # The guide's cosines of the batch's queries and documents.
        self.guiding: Tensor | None = None

    def forward(self, sentence_features: Any, labels: Tensor) -> Tensor:
        if self.guide:
            self.guiding = self._guided(self.guide.eval(), sentence_features)
        if self.mini_batch_size:
            return self.forward_cached(sentence_features, labels)
        return self.from_embeddings(embed_columns(self.model, sentence_features), labels)

    @staticmethod
    @torch.no_grad()
    def _guided(guide: SentenceTransformer, sentence_features: Any) -> Tensor:
        # A forward pass adds to what it is given.
        columns = [guide(dict(column))["sentence_embedding"] for column in sentence_features]
        queries, *documents = (F.normalize(column.float(), dim=-1) for column in columns)
        return queries @ torch.cat(documents).T

    def calculate_loss(
        self, reps: list[list[Tensor]], labels: Tensor | None = None, *, with_backward: bool = False
    ) -> Tensor:
        assert labels is not None
        loss = self.from_embeddings([torch.cat(column) for column in reps], labels)
        if with_backward:
            loss.backward()
            loss = loss.detach()
        return loss

    def from_embeddings(self, columns: list[Tensor], groups: Tensor) -> Tensor:
        """Columns: query, positive, negatives, each [batch, dimension]; `groups`: the parallel group of the positive
        and of each negative, and others whose texts are not the query's negatives, [batch, 1 + negatives + others]."""
        masks = self._masks(groups, len(columns) - 1)
        losses = [self._at([column[:, :size] for column in columns], masks) for size in (None, *self.matryoshka)]
        return sum(losses[1:], losses[0]) / len(losses)

    def _masks(self, groups: Tensor, documents: int) -> Masks:
        """`documents` of each query: its positive and its negatives."""
        batch = len(groups)
        # Column-major, as the documents: all positives, then all first negatives, ...
        held = groups[:, :documents].T.reshape(-1)
        same = groups[:, 0, None] == held
        for other in groups[:, documents:].T:
            same |= other[:, None] == held
        positive = torch.eye(batch, len(held), dtype=torch.bool, device=same.device)
        never, clash = same, same[:, :batch]
        if not self.in_batch:
            rows = torch.arange(batch, device=same.device)
            never = never | (rows.repeat(documents)[None, :] != rows[:, None])
        if self.guiding is not None:
            least = self.guiding.diagonal() - self.margin
            never = never | (self.guiding > least[:, None])
            clash = clash | (self.guiding[:, :batch] > least[None, :])
        return Masks(never & ~positive, clash & ~positive[:, :batch])

    def _at(self, columns: list[Tensor], masks: Masks) -> Tensor:
        """The loss of `columns` as they are, whatever was cut off."""
        unit = [F.normalize(column.float(), dim=-1) for column in columns]
        queries, documents = unit[0], torch.cat(unit[1:])
        scores = queries @ documents.T / self.temperature
        target = torch.arange(len(queries), device=scores.device)
        loss = F.cross_entropy(scores.masked_fill(masks.never, -torch.inf), target)
        if self.symmetric:
            square = scores[:, : len(queries)]
            loss = (loss + F.cross_entropy(square.masked_fill(masks.clash, -torch.inf).T, target)) / 2
        return loss

    def get_config_dict(self) -> dict[str, Any]:
        told = {"temperature": self.temperature, "symmetric": self.symmetric, "in_batch": self.in_batch}
        told |= {"margin": self.margin} if self.guide else {}
        return told | ({"matryoshka": list(self.matryoshka)} if self.matryoshka else {})
