"""What a static base may begin with: an encoder's own vectors of the pieces that the documents use.

As model2vec does (Tulkens and van Dongen 2024; its distillation needs an older transformers than is used here): each
piece is encoded alone, the vectors are rotated and cut by their principal components, and a piece's length is lowered
by how often the documents use it, a / (a + p) (SIF, Arora et al. 2017). The encoder's vectors are kept.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer

from stages.base import vocabulary
from stages.settings.encoders import PretrainedEncoder
from stages.shared import pretrained
from stages.shared.errors import UserError
from stages.shared.roles import Role
from stages.shared.vectors import published
from stages.shared.vectors.blocks import KeptBlocks

log = logging.getLogger(__name__)
KEY = "base.static.from"
# The `a` of SIF: a piece with this share of all tokens counts half.
SIF = 1e-3
# Root mean square length of the rows. The longer, the longer the encoder is remembered: at 1.6, which noise has in 256
# dimensions, passages that are not seen are found less well, and at 10 those that are.
ROW_LENGTH = 4.0
# Pieces that are encoded at once.
BATCH = 512


def start(
    settings: PretrainedEncoder, texts: list[str], languages: list[str], dimension: int
) -> tuple[Tokenizer, torch.Tensor, dict[str, Any]]:
    """The tokenizer of the pieces that `texts` use and of single characters of the `languages`; the rows of the table,
    float32 [pieces, dimension]; and a record of the encoder.

    Raises `UserError` if the encoder cannot be had, or has fewer dimensions.
    """
    try:
        model, record = pretrained.load(settings, "base")
    except UserError as error:
        raise UserError(str(error).replace("base.name", KEY)) from None
    if dimension > record["dimension"]:
        raise UserError(
            f"base.static.dimension is {dimension}, but {settings.name} has {record['dimension']} dimensions: lower it"
        )
    whole = vocabulary.whole(vocabulary.backend(model, KEY))
    uses = vocabulary.counts(whole, texts)
    ids = vocabulary.kept(whole, uses, languages)
    pieces = _Alone(model, whole)
    identity = ["pieces", published.identity(settings, record), published.run(record), pieces.before, pieces.after]
    kept = KeptBlocks(lambda: pieces, identity)
    vectors = kept.encode([str(number) for number in ids], "passage")
    shares = np.array([uses[number] for number in ids]) / max(1, uses.total())
    return vocabulary.cut(whole, ids), torch.from_numpy(rows(vectors, shares, dimension)), record


def rows(vectors: np.ndarray, shares: np.ndarray, dimension: int) -> np.ndarray:
    """Rows of a table, float32 [pieces, dimension], of `vectors` [pieces, d] of pieces with these `shares` of all
    tokens; d is `dimension` or more."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)
    centred = (unit - unit.mean(axis=0)).astype(np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)  # in ascending order
    axes = axes[:, ::-1][:, :dimension]
    # An axis has two directions: of them the one along its greatest part.
    axes *= np.sign(np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0))
    found = centred @ axes * (SIF / (SIF + shares))[:, None]
    found *= ROW_LENGTH / max(1e-12, np.sqrt((found**2).sum(axis=1).mean()))
    return found.astype(np.float32)


class _Alone:
    """Encodes pieces, given by their ids: each as a text of that one token, without a prompt."""

    def __init__(self, model: SentenceTransformer, tokenizer: Tokenizer) -> None:
        self._model = model
        around = tokenizer.encode("a")
        special = np.flatnonzero(np.array(around.special_tokens_mask) == 0)
        self.before = around.ids[: special[0]]
        self.after = around.ids[special[-1] + 1 :]

    def encode(self, texts: list[str], role: Role) -> np.ndarray:
        self._model.eval()
        found = []
        with torch.inference_mode():
            for at in range(0, len(texts), BATCH):
                ids = [int(text) for text in texts[at : at + BATCH]]
                found.append(self._model(self._features(ids))["sentence_embedding"].float().cpu().numpy())
        return np.concatenate(found)

    def _features(self, ids: list[int]) -> dict[str, Any]:
        device = self._model.device
        if isinstance(self._model[0], StaticEmbedding):
            return {"input_ids": torch.tensor(ids, device=device), "offsets": torch.arange(len(ids), device=device)}
        tokens = torch.tensor([[*self.before, number, *self.after] for number in ids], device=device)
        return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
