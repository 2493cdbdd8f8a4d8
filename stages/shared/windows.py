"""Passages in overlapping windows of tokens: what is longer than one is scored by its best (localized relevance
matching, arXiv 2112.11031), so that a query about one part of a long document need not be near to all of it.

The model's own tokenizer says where a text is cut, and a window is that piece of the text itself. Each window has the
passage's title in front, as the whole passage has: it counts in the window's size, of which it takes half at most. A
passage that fits into one window is read as ever. Windows are texts to whatever keeps vectors: each is encoded once.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from tokenizers import Tokenizer

from stages.settings.windows import Windows
from stages.shared.encoder import encode_distinct
from stages.shared.errors import UserError
from stages.shared.passages import passage_text
from stages.shared.roles import PROMPT_NAMES, Encoder, Role
from stages.shared.search import Documents, PassageVectors

if TYPE_CHECKING:
    from stages.shared.vectors.held import Holder

log = logging.getLogger(__name__)
# Passages whose tokens memory holds at once.
CUT_AT_ONCE = 1024


class WindowedEncoder:
    """An encoder whose passages are documents of windows; with `settings` None they are whole.

    Args:
        encoder: has a `tokenizer`, of tokenizers or transformers, or is around one that has.
        name: the model, for messages.
        holder: where passages' vectors are held, else in memory.
    """

    def __init__(self, encoder: Encoder, settings: Windows | None, name: str, holder: Holder | None = None) -> None:
        self._encoder, self.settings, self.name, self.holder = encoder, settings, name, holder
        self._counts: list[np.ndarray] = []

    def encode(self, texts: list[str], role: Role) -> np.ndarray:
        return self._encoder.encode(texts, role)

    def documents(self, passages: pl.DataFrame, distinct: bool = False) -> PassageVectors:
        """The vectors of `passages` (columns title and text), float32 or as they are held, a row each if all fit into
        one window.

        `distinct`: equal texts are encoded once, as they are by what is held anyway. Raises `UserError` if the
        model cannot read a window.
        """
        if not self.settings:
            return self._vectors(passages.select(passage_text())["text"].to_list(), distinct)
        texts, counts = cut(passages, self._tokenizer(self.settings.size), self.settings)
        self._counts.append(counts)
        vectors = self._vectors(texts, distinct)
        return Documents(vectors, counts, self.settings.best) if (counts > 1).any() else vectors

    def record(self) -> dict[str, Any]:
        """Of the passages so far: {windows: how many there were, how many in several windows, and in how many on
        average}; empty if all are read whole."""
        if not self._counts:
            return {}
        counts = np.concatenate(self._counts)
        several = int((counts > 1).sum())
        mean = round(int(counts.sum()) / max(1, len(counts)), 2)
        log.info(
            f"{self.name}: {several:,} of {len(counts):,} documents have several windows; they have {mean} on average"
        )
        return {"windows": {"documents": len(counts), "several": several, "mean": mean}}

    def _vectors(self, texts: list[str], distinct: bool) -> np.ndarray:
        if self.holder:
            return self.holder.passages(self._encoder, texts)
        if distinct:
            return encode_distinct(self._encoder, texts, "passage")
        return self._encoder.encode(texts, "passage")

    def _tokenizer(self, size: int) -> Tokenizer:
        """The model's, which cuts and fills up nothing; raises `UserError` if windows of `size` tokens are beyond the
        model, or it has none that tells where tokens are."""
        own: Any = getattr(self._encoder, "encoder", self._encoder)
        backend = own.tokenizer if isinstance(own.tokenizer, Tokenizer) else None
        backend = backend or getattr(own.tokenizer, "backend_tokenizer", None)
        if not isinstance(backend, Tokenizer):
            raise UserError(
                f"{self.name} has no fast tokenizer, which says where windows are cut: name another encoder, or write "
                "windows: null"
            )
        tokenizer = Tokenizer.from_str(backend.to_str())
        tokenizer.no_truncation()
        tokenizer.no_padding()
        if model := getattr(own, "model", None):
            prompt = model.prompts.get(PROMPT_NAMES["passage"]) or ""
            room = (model.max_seq_length or math.inf) - len(tokenizer.encode(prompt).ids)
            if size > room:
                raise UserError(
                    f"windows.size is {size}, but {self.name} reads {room} tokens beside its prompt and special ones: "
                    f"write {room} or less"
                )
        return tokenizer


def cut(passages: pl.DataFrame, tokenizer: Tokenizer, settings: Windows) -> tuple[list[str], np.ndarray]:
    """The windows of `passages` (columns title and text), one passage's after another's, and how many each has
    (int64)."""
    wholes = passages.select(passage_text())["text"].to_list()
    found: list[str] = []
    counts = np.ones(passages.height, np.int64)
    for begin in range(0, passages.height, CUT_AT_ONCE):
        some = passages[begin : begin + CUT_AT_ONCE]
        titles, texts = (some[side].to_list() for side in ("title", "text"))
        heads, bodies = (_offsets(tokenizer, side) for side in (titles, texts))
        for row, (title, text, head, body) in enumerate(zip(titles, texts, heads, bodies, strict=True), begin):
            if not body or len(head) + len(body) <= settings.size:
                found.append(wholes[row])
                continue
            if len(head) > settings.size // 2:
                head = head[: settings.size // 2]
                title = title[: head[-1][1]] if head else ""
            room = settings.size - len(head)
            step = min(settings.stride, room)
            # The last begins where it reaches the end of the text, or beyond.
            starts = range(0, max(1, len(body) - room + step), step)
            for at in starts:
                piece = text[body[at][0] : body[min(at + room, len(body)) - 1][1]].strip()
                found.append(f"{title} {piece}" if title else piece)
            counts[row] = len(starts)
    return found, counts


def _offsets(tokenizer: Tokenizer, texts: list[str]) -> list[list[tuple[int, int]]]:
    """Where the tokens of each text begin and end in it, in characters."""
    return [encoded.offsets for encoded in tokenizer.encode_batch(texts, add_special_tokens=False)]
