"""The contrastive loss.

It is InfoNCE (van den Oord et al. 2018) over a batch's positives and negatives, with one addition: a text of the
query's own parallel group, its translation included, is never its negative. Batches need no sampling against
duplicates then, in one language or across languages.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.losses.gradcache import CachedLossMixin
from sentence_transformers.util import all_gather, all_gather_with_grad
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from stages.shared import by_length, processes
from stages.shared.by_length import BatchParts

HardnessMode = Literal["in_batch_negatives", "hard_negatives", "all_negatives"]


class Masks(NamedTuple):
    """What does not count: `never`, [queries, documents], where a document is no negative of a query; `clash`,
    [queries, positives], where a query is none of a positive. What counts more: `hard`, [queries, documents]."""

    never: Tensor
    clash: Tensor
    hard: Tensor | None


class Distilled(NamedTuple):
    """What a teacher says of each row's positive and negatives: `scores`, [rows, 1 + negatives], cosines.

    Both sides' scores are divided by `temperature`. `kl`: the divergence of the row's softmax from the teacher's;
    `margin_mse`: the mean squared difference of the margins between the positive and each negative (arXiv 2010.02666,
    equation 3). It counts `weight`, and the contrastive loss the rest.
    """

    kind: Literal["kl", "margin_mse"]
    weight: float
    temperature: float
    scores: Tensor

    def loss(self, cosines: Tensor, rows: Tensor) -> Tensor:
        """Of the model's `cosines`, [batch, 1 + negatives], of these `rows`, [batch]."""
        own = cosines / self.temperature
        wanted = self.scores[rows.cpu()].to(own) / self.temperature
        if self.kind == "kl":
            told = F.log_softmax(wanted, dim=1)
            return F.kl_div(F.log_softmax(own, dim=1), told, reduction="batchmean", log_target=True)
        return F.mse_loss(own[:, :1] - own[:, 1:], wanted[:, :1] - wanted[:, 1:])


class InfoNCE(nn.Module):
    """-log softmax of the positive's cosine / temperature, among all positives and negatives of the batch, or those of
    the query alone.

    Where several processes train together, the batch is that of all of them: each computes the loss of its own queries
    among all documents, with gradients for those of the others. The mean over processes, as DDP takes it, is then the
    loss of the whole batch, in value and gradients.

    Args:
        temperature: divides the cosines.
        symmetric: average with the loss of each positive among the queries.
        in_batch: whether the others' positives and negatives are a query's negatives too.
        guide: finds false negatives (GISTEmbed, arXiv 2402.16829, section 3): what it holds nearer to a query than the
            positive, or less than `margin` farther, is no negative, nor such a query one of the positive.
        mini_batch_size: texts encoded at once; of a batch with more, gradients are cached (GradCache, arXiv
            2101.06983): the same loss in less memory, each text being encoded twice.
        mini_batch_tokens: likewise, by tokens, padding included.
        matryoshka: first dimensions that are also trained by themselves (arXiv 2205.13147, equation 1, with equal
            weights): the loss is the mean over all dimensions and each of these prefixes.
        hardness_mode: which negatives count the more, the nearer they are to the query: those of other queries, its own
            or all. Their logits grow by `hardness_strength` times their cosine, of which no gradient is taken (arXiv
            2503.04812, equation 5, after 2010.04592); the names are those of sentence-transformers.
        distilled: what a teacher says of each row; the labels then end with the rows' numbers.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        temperature: float,
        symmetric: bool = False,
        in_batch: bool = True,
        mini_batch_size: int | None = None,
        mini_batch_tokens: int | None = None,
        guide: SentenceTransformer | None = None,
        margin: float = 0.0,
        matryoshka: Sequence[int] = (),
        hardness_mode: HardnessMode | None = None,
        hardness_strength: float = 0.0,
        distilled: Distilled | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.temperature = temperature
        self.symmetric = symmetric
        self.in_batch = in_batch
        self.mini_batch_size = mini_batch_size
        self.mini_batch_tokens = mini_batch_tokens
        self.guide = guide.eval().requires_grad_(False) if guide else None
        self.margin = margin
        self.matryoshka = matryoshka
        self.hardness_mode = hardness_mode
        self.hardness_strength = hardness_strength
        self.distilled = distilled
        # The guide's cosines of the batch's queries and documents.
        self.guiding: Tensor | None = None

    def forward(self, sentence_features: Any, labels: Tensor) -> Tensor:
        if self.guide:
            self.guiding = self._guided(self.guide.eval(), sentence_features)
        columns = list(sentence_features)
        parts = by_length.parts(self.model, columns, self.mini_batch_tokens, self.mini_batch_size)
        if not self._fits(parts):
            cached = Cached(self, columns, parts)
            return cached.forward_cached(cached.features, labels)
        return self.from_embeddings(by_length.embed(self.model, columns, parts), labels)

    def _fits(self, parts: BatchParts | None) -> bool:
        """Whether as much may be encoded at once."""
        if not self.mini_batch_size and not self.mini_batch_tokens:
            return True
        return parts is not None and (
            parts.texts <= (self.mini_batch_size or sys.maxsize)
            and parts.tokens <= (self.mini_batch_tokens or sys.maxsize)
        )

    @torch.no_grad()
    def _guided(self, guide: SentenceTransformer, sentence_features: Any) -> Tensor:
        # A forward pass adds to what it is given.
        columns = [guide(dict(column))["sentence_embedding"] for column in sentence_features]
        if self.crosses_ranks:
            columns = [all_gather(column) for column in columns]
        queries, *documents = (F.normalize(column.float(), dim=-1) for column in columns)
        return queries @ torch.cat(documents).T

    @property
    def crosses_ranks(self) -> bool:
        """Whether other processes hold negatives of this one's queries, or queries beside its positives."""
        return processes.count() > 1 and (self.in_batch or self.symmetric)

    def from_embeddings(self, columns: list[Tensor], labels: Tensor) -> Tensor:
        """Columns: query, positive, negatives, each [batch, dimension]; `labels`: the parallel group of the positive
        and of each negative, others whose texts are not the query's negatives, and, where a teacher is heard, the row's
        number, [batch, 1 + negatives + others (+ 1)]."""
        groups, rows = (labels[:, :-1], labels[:, -1]) if self.distilled else (labels, None)
        own = slice(0, len(groups))
        if self.crosses_ranks:
            own = slice(distributed.get_rank() * len(groups), (distributed.get_rank() + 1) * len(groups))
            columns = [all_gather_with_grad(column) for column in columns]
            groups = all_gather(groups.contiguous())
        masks = self._masks(groups, len(columns) - 1, own)
        sizes = (None, *self.matryoshka)
        losses = [self._at([column[:, :size] for column in columns], masks, own, rows) for size in sizes]
        return sum(losses[1:], losses[0]) / len(losses)

    def _masks(self, groups: Tensor, documents: int, own: slice) -> Masks:
        """Of the `own` queries and positives among all; each query has so many `documents`, its positive and its
        negatives."""
        batch = len(groups)
        # Column-major, as the documents: all positives, then all first negatives, ...
        held = groups[:, :documents].T.reshape(-1)
        same = groups[:, 0, None] == held
        for other in groups[:, documents:].T:
            same |= other[:, None] == held
        positive = torch.eye(batch, len(held), dtype=torch.bool, device=same.device)
        own_documents = torch.eye(batch, dtype=torch.bool, device=same.device).repeat(1, documents)
        never, clash = same, same[:, :batch]
        if not self.in_batch:
            never = never | ~own_documents
        if self.guiding is not None:
            least = self.guiding.diagonal() - self.margin
            never = never | (self.guiding > least[:, None])
            clash = clash | (self.guiding[:, :batch] > least[None, :])
        hard = None
        if self.hardness_mode:
            hard = {
                "in_batch_negatives": ~own_documents,
                "hard_negatives": own_documents & ~positive,
                "all_negatives": ~positive,
            }[self.hardness_mode][own]
        return Masks((never & ~positive)[own], (clash & ~positive[:, :batch])[:, own], hard)

    def _at(self, columns: list[Tensor], masks: Masks, own: slice, rows: Tensor | None) -> Tensor:
        """The loss of `columns` as they are, whatever was cut off; of the `own` queries, whose `rows` these are."""
        unit = [F.normalize(column.float(), dim=-1) for column in columns]
        queries, documents = unit[0][own], torch.cat(unit[1:])
        cosines = queries @ documents.T
        scores = cosines / self.temperature
        logits = scores
        if masks.hard is not None:
            logits = scores + self.hardness_strength * cosines.detach() * masks.hard
        target = torch.arange(own.start, own.stop, device=scores.device)
        loss = F.cross_entropy(logits.masked_fill(masks.never, -torch.inf), target)
        if self.symmetric:
            every = len(queries) == len(unit[0])
            square = scores[:, : len(queries)] if every else unit[0] @ unit[1][own].T / self.temperature
            loss = (loss + F.cross_entropy(square.masked_fill(masks.clash, -torch.inf).T, target)) / 2
        if self.distilled and rows is not None:
            judged = torch.stack([(queries * column[own]).sum(dim=-1) for column in unit[1:]], dim=1)
            weight = self.distilled.weight
            loss = (1 - weight) * loss + weight * self.distilled.loss(judged, rows)
        return loss

    def get_config_dict(self) -> dict[str, Any]:
        told: dict[str, Any] = {"temperature": self.temperature, "symmetric": self.symmetric, "in_batch": self.in_batch}
        told |= {"margin": self.margin} if self.guide else {}
        told |= {"matryoshka": list(self.matryoshka)} if self.matryoshka else {}
        if self.hardness_mode:
            told |= {"hardness_mode": self.hardness_mode, "hardness_strength": self.hardness_strength}
        return told | ({"distilled": self.distilled.kind} if self.distilled else {})


class Cached(CachedLossMixin):
    """One batch's loss with the activations of one part at a time: of its `parts`, or, where there are none, of each
    column as it is."""

    def __init__(self, loss: InfoNCE, columns: list[dict[str, Any]], parts: BatchParts | None) -> None:
        self.model, self.loss, self.parts = loss.model, loss, parts
        self.features = parts.features if parts else columns
        # A part is not divided any further.
        self.mini_batch_size = sys.maxsize if parts else loss.mini_batch_size or sys.maxsize
        self.mini_batch_num_tokens = None if parts else loss.mini_batch_tokens

    def calculate_loss(
        self, reps: list[list[Tensor]], labels: Tensor | None = None, *, with_backward: bool = False
    ) -> Tensor:
        assert labels is not None
        found = [torch.cat(part) for part in reps]
        loss = self.loss.from_embeddings(self.parts.in_columns(torch.cat(found)) if self.parts else found, labels)
        if with_backward:
            loss.backward()
            loss = loss.detach()
        return loss
