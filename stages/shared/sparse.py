"""Embedding tables of which a training step touches those rows alone that its batch reads.

Otherwise each step makes a gradient of the whole table, and reads and writes it with both moments of Adam, however few
of its rows a batch has. Here the gradient is of the batch's rows, and torch's SparseAdam updates these. A row's moments
then move only when it is read (dense ones go on fading meanwhile, and moving the row), so that weights differ from
those of a dense training.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer, SparseAdam

from stages.shared import pieces
from stages.shared.errors import UserError


class SparseAndDense(Optimizer):
    """`table`, whose gradient is sparse, by SparseAdam, all else by `dense`."""

    def __init__(self, table: nn.Parameter, dense: Optimizer, learning_rate: float) -> None:
        self.parts = [SparseAdam([table], lr=learning_rate), dense]
        # The very groups of the parts, in which a schedule sets their learning rates.
        super().__init__([group for part in self.parts for group in part.param_groups], {})

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups[:] = [group for part in self.parts for group in part.param_groups]


@contextmanager
def gradients(model: nn.Module) -> Iterator[None]:
    """Within the block, the gradient of the table of token vectors is sparse: [table], of the rows that were read."""
    own = table(model)
    own.forward = lambda ids, *more, **how: _of_rows(own, ids, *more, **how)
    try:
        yield
    finally:
        del own.forward


def table(model: nn.Module) -> Any:
    """The Embedding or EmbeddingBag that holds the token vectors; raises `UserError` if the model has neither."""
    found = pieces.table(model)
    if not isinstance(found, nn.Embedding | nn.EmbeddingBag):
        raise UserError("train.sparse_embeddings: the base has no table of token vectors: write false")
    return found


def _of_rows(own: Any, ids: Tensor, *more: Any, **how: Any) -> Any:
    """What `own` makes of `ids`, by a table of their rows alone."""
    rows, at = torch.unique(ids, return_inverse=True)
    part = copy.copy(own)
    part.__dict__ = own.__dict__ | {"_parameters": {}, "weight": _Rows.apply(own.weight, rows)}
    if own.padding_idx is not None:
        padding = (rows == own.padding_idx).nonzero()
        part.padding_idx = int(padding) if len(padding) else None
    return type(own).forward(part, at, *more, **how)


class _Rows(Function):
    """Distinct rows of a table, whose gradient is sparse."""

    @staticmethod
    def forward(ctx: Any, whole: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.shape = whole.shape
        return whole.index_select(0, rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (rows,) = ctx.saved_tensors
        return torch.sparse_coo_tensor(rows[None], gradient, ctx.shape, check_invariants=False, is_coalesced=True), None


@torch.no_grad()
def clip(parameters: Iterable[nn.Parameter], max_norm: float) -> Tensor:
    """As `torch.nn.utils.clip_grad_norm_`, which takes no sparse gradients; returns the norm before."""
    found = []
    for parameter in parameters:
        if parameter.grad is not None:
            if parameter.grad.is_sparse:
                # Of a row that several parts of a batch read there are as many gradients until then.
                parameter.grad = parameter.grad.coalesce()
            found.append(parameter.grad.values() if parameter.grad.is_sparse else parameter.grad)
    norm = get_total_norm(found)
    if max_norm < math.inf:
        scale = (max_norm / (norm + 1e-6)).clamp(max=1.0)
        for gradient in found:
            gradient.mul_(scale)
    return norm
