"""Texts of a training tokenized once, however often they come: of a static base it is most of the work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor

# Tokens that are kept, of eight bytes each; texts beyond are tokenized anew each time.
MOST = 2**25


@contextmanager
def tokens_once(static: SentenceTransformer) -> Iterator[None]:
    """Within the block a model of one static embedding keeps each text's tokens; its features are what they were."""
    module: Any = static[0]
    module.preprocess = Kept(module)
    try:
        yield
    finally:
        del module.preprocess


class Kept:
    """In place of the `preprocess` of a static embedding."""

    def __init__(self, module: Any) -> None:
        self.own = module.preprocess
        self.tokens: dict[tuple[str | None, str], Tensor] = {}
        self.left = MOST

    def __call__(self, inputs: list[str], prompt: str | None = None, **kwargs: Any) -> dict[str, Tensor]:
        missing = [text for text in dict.fromkeys(inputs) if (prompt, text) not in self.tokens]
        found = dict(zip(missing, self._tokenized(missing, prompt, kwargs), strict=True))
        parts = [found[text] if text in found else self.tokens[prompt, text] for text in inputs]
        for text, part in found.items():
            if len(part) <= self.left:
                self.left -= len(part)
                self.tokens[prompt, text] = part
        starts = [0, *accumulate(len(part) for part in parts[:-1])]
        return {"input_ids": torch.cat(parts), "offsets": torch.tensor(starts, dtype=torch.long)}

    def _tokenized(self, texts: list[str], prompt: str | None, kwargs: dict[str, Any]) -> list[Tensor]:
        if not texts:
            return []
        told = self.own(texts, prompt=prompt, **kwargs)
        # A copy of each: a part of one tensor would keep all of it.
        return [part.clone() for part in told["input_ids"].tensor_split(told["offsets"][1:])]
