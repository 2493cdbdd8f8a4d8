"""Texts of a training tokenized once, however often they come: of a static base it is most of the work. Where a
tokenizer takes each word by itself, so does each word: crops of a text, which are many, cost next to nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import accumulate, chain
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

# Bytes that may be kept of texts, and as many of words: eight for a token and so many more for each; what is beyond is
# tokenized anew each time, as are words that are so long that they are whole texts, of scripts without spaces.
KEPT_BYTES = 2**28
OF_EACH = 512
LONGEST_WORD = 32
# What writes a space where a word begins, and, of a tokenizer's file, what makes the tokens of a text those of its
# words, as far as words do not begin with a space themselves.
SPACE = "\u2581"
BY_WORDS: dict[str, Any] = {
    "truncation": None,
    "padding": None,
    "added_tokens": [],
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Lowercase"}]},
    "pre_tokenizer": {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always", "split": True},
}


class TokensOnce:
    """In place of `own`, the `preprocess` of a model of one static embedding with this `tokenizer`: the same
    features."""

    def __init__(self, own: Callable[..., dict[str, Tensor]], tokenizer: Tokenizer) -> None:
        self.own = own
        self.tokens: dict[tuple[str | None, str], Tensor] = {}
        self.left = KEPT_BYTES
        self.words = Words(tokenizer) if by_words(tokenizer) else None

    def __call__(self, inputs: list[str], prompt: str | None = None, **kwargs: Any) -> dict[str, Tensor]:
        missing = [text for text in dict.fromkeys(inputs) if (prompt, text) not in self.tokens]
        found = dict(zip(missing, self._tokenized(missing, prompt, kwargs), strict=True))
        parts = [found[text] if text in found else self.tokens[prompt, text] for text in inputs]
        for text, part in found.items():
            if (taken := OF_EACH + 8 * len(part)) <= self.left:
                self.left -= taken
                self.tokens[prompt, text] = part
        starts = [0, *accumulate(len(part) for part in parts[:-1])]
        return {"input_ids": torch.cat(parts), "offsets": torch.tensor(starts, dtype=torch.long)}

    def _tokenized(self, texts: list[str], prompt: str | None, kwargs: dict[str, Any]) -> list[Tensor]:
        if not texts:
            return []
        if self.words:
            return list(map(torch.from_numpy, self.words.tokens([f"{prompt or ''}{text}" for text in texts])))
        told = self.own(texts, prompt=prompt, **kwargs)
        # A copy of each: a part of one tensor would keep all of it.
        return [part.clone() for part in told["input_ids"].tensor_split(told["offsets"][1:])]


def by_words(tokenizer: Tokenizer) -> bool:
    """Whether the tokens of a text are those of its words, one after another, as of those that `base` trains."""
    told = json.loads(tokenizer.to_str())
    return all(told[key] == value for key, value in BY_WORDS.items())


class Words:
    """The tokens of texts, int64 each, by a tokenizer that is `by_words`, which tokenizes a word once."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        # None: what comes of it depends on what is before it.
        self.known: dict[str, np.ndarray | None] = {"": None}
        self.left = KEPT_BYTES

    def tokens(self, texts: list[str]) -> list[np.ndarray]:
        split = [text.split(" ") for text in texts]
        new = [word for word in dict.fromkeys(chain.from_iterable(split)) if word not in self.known]
        here = dict(zip(new, map(self._of_word, new, self._encoded(new)), strict=True))
        parts = [[here[word] if word in here else self.known[word] for word in words] for words in split]
        for word, tokens in here.items():
            taken = OF_EACH + 8 * (0 if tokens is None else len(tokens))
            if len(word) <= LONGEST_WORD and taken <= self.left:
                self.left -= taken
                self.known[word] = tokens
        whole = [any(part is None for part in own) for own in parts]
        encoded = iter(self._encoded([text for text, one in zip(texts, whole, strict=True) if one]))
        return [
            next(encoded) if one else np.concatenate(own)  # type: ignore[arg-type]
            for own, one in zip(parts, whole, strict=True)
        ]

    def _of_word(self, word: str, tokens: np.ndarray) -> np.ndarray | None:
        normal = self.tokenizer.normalizer.normalize_str(word)
        return None if not normal or normal[0] == " " or SPACE in normal else tokens

    def _encoded(self, texts: list[str]) -> list[np.ndarray]:
        found = self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [np.array(one.ids, np.int64) for one in found]
