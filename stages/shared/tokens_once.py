"""Texts of a training tokenized once, however often they come: of a static base it is most of the work."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

# Bytes that may be kept, eight for a token and so many more for a text; texts beyond are tokenized anew each time.
KEPT_BYTES = 2**28
OF_A_TEXT = 512


class TokensOnce:
    """In place of `own`, the `preprocess` of a model of one static embedding: the same features."""

    def __init__(self, own: Callable[..., dict[str, Tensor]]) -> None:
        self.own = own
        self.tokens: dict[tuple[str | None, str], Tensor] = {}
        self.left = KEPT_BYTES

    def __call__(self, inputs: list[str], prompt: str | None = None, **kwargs: Any) -> dict[str, Tensor]:
        missing = [text for text in dict.fromkeys(inputs) if (prompt, text) not in self.tokens]
        found = dict(zip(missing, self._tokenized(missing, prompt, kwargs), strict=True))
        parts = [found[text] if text in found else self.tokens[prompt, text] for text in inputs]
        for text, part in found.items():
            if (taken := OF_A_TEXT + 8 * len(part)) <= self.left:
                self.left -= taken
                self.tokens[prompt, text] = part
        starts = [0, *accumulate(len(part) for part in parts[:-1])]
        return {"input_ids": torch.cat(parts), "offsets": torch.tensor(starts, dtype=torch.long)}

    def _tokenized(self, texts: list[str], prompt: str | None, kwargs: dict[str, Any]) -> list[Tensor]:
        if not texts:
            return []
        told = self.own(texts, prompt=prompt, **kwargs)
        # A copy of each: a part of one tensor would keep all of it.
        return [part.clone() for part in told["input_ids"].tensor_split(told["offsets"][1:])]
