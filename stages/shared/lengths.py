"""How many tokens texts have: told before there is much to do with them, and what batches are made by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder, SentenceTransformer

# Texts by which the length of all is told.
SAMPLED = 200
# Tokens of a batch: on a CPU few are as fast as many, and leave less to fill up.
BATCH_TOKENS = {"cpu": 256}
BATCH_TOKENS_ELSEWHERE = 2**14
# Tokens of a batch of `padded_alike`, which fills up less: on a CPU more are faster, as far as caches hold them.
PADDED_TOKENS = {"cpu": 1024}
# To a multiple of so many tokens texts are padded.
PADDED_TO = 16
# In training, where a batch's texts are as long as they are.
TRAINING_TOKENS = {"cpu": 512}


def mean_tokens(model: SentenceTransformer | CrossEncoder, texts: list[str]) -> float | None:
    """The mean length of `texts` in tokens, as `model` cuts them, of a sample of them; None if it has no tokenizer that
    takes texts, as static models."""
    tokenizer: Any = model.tokenizer
    if not texts or not callable(tokenizer):
        return None
    sampled = texts[:: -(-len(texts) // SAMPLED)]
    ids = tokenizer(sampled, truncation=True, max_length=model.max_seq_length)["input_ids"]
    return sum(map(len, ids)) / len(sampled)


def batch_tokens(device: str) -> int:
    """Tokens that a batch of `equally_long` has on a kind of device (`cpu`, `cuda`, ...)."""
    return BATCH_TOKENS.get(device, BATCH_TOKENS_ELSEWHERE)


def equally_long(lengths: np.ndarray, tokens: int, multiple: int = 1) -> Iterator[list[int]]:
    """Rows of `lengths` cut into batches of some `tokens`; a batch may repeat its last row.

    What a text becomes must not tell what else is in its batch. Its last bits depend on padding and on the batch's
    shape, by which matrix products choose the order of their sums, but not on the batch's other rows. So the rows of a
    batch are equally long, and for each length all batches have one shape, filled up with repeats; of a `multiple` of
    rows.
    """
    for length in np.unique(lengths):
        own = np.flatnonzero(lengths == length).tolist()
        yield from _filled(own, max(1, tokens // max(1, int(length)) // multiple) * multiple)


def padded_tokens(device: str) -> int:
    """Tokens that a batch of `padded_alike` has on a kind of device."""
    return PADDED_TOKENS.get(device, BATCH_TOKENS_ELSEWHERE)


def padded_alike(lengths: np.ndarray, tokens: int, longest: int | None) -> Iterator[tuple[int, list[int]]]:
    """Rows of `lengths` cut into batches of some `tokens`, each with the width to which its rows are padded, `longest`
    at most, if a model has such; a batch may repeat its last row.

    As in `equally_long`, what a text becomes does not tell what else is in its batch: its own length alone says how
    wide it is padded, and how many rows such a batch has. A text that needs no padding is in a batch of such: where no
    row has any, libraries leave out the mask.
    """
    widths = -(-lengths // PADDED_TO) * PADDED_TO
    if longest:
        widths = np.minimum(widths, longest)
    full = lengths == widths
    for width in np.unique(widths):
        for whole in (True, False):
            own = np.flatnonzero((widths == width) & (full == whole)).tolist()
            yield from ((int(width), batch) for batch in _filled(own, max(1, tokens // max(1, int(width)))))


def _filled(rows: list[int], size: int) -> Iterator[list[int]]:
    """`rows` in batches of one `size`, the last filled up with its last row."""
    for at in range(0, len(rows), size):
        batch = rows[at : at + size]
        yield batch + batch[-1:] * (size - len(batch))


def training_tokens(device: str) -> int:
    """Tokens that a batch of `about_as_long` has at most on a kind of device."""
    return TRAINING_TOKENS.get(device, BATCH_TOKENS_ELSEWHERE)


def about_as_long(lengths: np.ndarray, tokens: int | None = None, rows: int | None = None) -> Iterator[np.ndarray]:
    """Rows of `lengths` in batches of at most `tokens` once they are padded to the longest, and at most so many `rows`,
    the shortest rows first; a row that is longer is a batch of its own."""
    order = np.argsort(lengths, kind="stable")
    begin = 0
    for end in range(1, len(order) + 1):
        full = end < len(order) and tokens is not None and lengths[order[end]] * (end + 1 - begin) > tokens
        if end == len(order) or full or end - begin == rows:
            yield order[begin:end]
            begin = end
