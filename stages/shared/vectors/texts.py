"""Vectors of single texts, kept outside DVC's outputs: of a knowledge base that changes, only what is new is encoded.

One SQLite file for each way to encode holds a text's vector under the text's digest, with a checksum (SQLite has none).
What `blocks` keeps is laid out for millions of texts that are read in order and hardly change: there a new text costs
the block that it is in, some 2,048 texts. Here it costs itself.

A vector must not tell what else was encoded with it, or an index would be other bytes after an update than when built
anew. The means of a table's rows do not; those of a transformer's are batched so that they do not
(`lengths.equally_long`; one by one short texts take three to seven times as long). Another machine may give other last
bits all the same.

Several processes may share a file, which may be deleted at any time (`store`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
from tqdm import tqdm

from stages.shared.lengths import equally_long
from stages.shared.roles import PROMPT_NAMES, Encoder, Role
from stages.shared.vectors.keys import digest, place
from stages.shared.vectors.store import VectorStore

log = logging.getLogger(__name__)
# Texts that are committed at once: what a kill may lose.
COMMITTED = 2048
# Tokens of a batch.
TOKENS = 256


class KeptTexts:
    """An encoder whose vectors are kept, text by text.

    Args:
        encoder: encodes what is not there yet; its own batches must hold `TOKENS` texts or more.
        identity: all that shapes its vectors: the model (a digest of its files) and how it is run.
    """

    def __init__(self, encoder: Encoder, identity: list[Any]) -> None:
        self.encoder = encoder
        self.files = {role: place("texts", [identity, role]).with_suffix(".sqlite") for role in PROMPT_NAMES}

    def encode(self, texts: list[str], role: Role) -> np.ndarray:
        """As `Encoder.encode`; equal texts are best given once (`encoder.encode_distinct`)."""
        empty = self.encoder.encode([], role)
        if not texts:
            return empty
        # Not every transformer tells its dimension.
        dimension = empty.shape[1] or self.encoder.encode(texts[:1], role).shape[1]
        vectors = np.empty((len(texts), dimension), np.float32)
        keys = [digest(text) for text in texts]
        with VectorStore(self.files[role]) as store:
            missing = store.read(keys, vectors)
            with tqdm(
                total=len(missing), desc=f"{role} vectors", unit=" texts", disable=len(missing) <= COMMITTED
            ) as bar:
                fresh: list[int] = []
                for batch in self._batches([texts[row] for row in missing], role):
                    rows = [missing[i] for i in batch]
                    # A shape is filled up with repeats, whose vectors are the same.
                    vectors[rows] = self.encoder.encode([texts[row] for row in rows], role)
                    fresh += dict.fromkeys(rows)
                    bar.update(len(set(rows)))
                    if len(fresh) >= COMMITTED:
                        store.write(keys, vectors, fresh)
                        fresh = []
                store.write(keys, vectors, fresh)
        log.info(f"{role}: {len(missing):,} of {len(texts):,} texts encoded, the others' vectors were kept")
        return vectors

    def _batches(self, texts: list[str], role: Role) -> Iterator[list[int]]:
        """Numbers of `texts`, cut into what is encoded at once; a batch may repeat its last."""
        model = getattr(self.encoder, "model", None)
        if model is None:
            yield from (list(range(at, min(at + COMMITTED, len(texts)))) for at in range(0, len(texts), COMMITTED))
            return
        lengths = np.full(len(texts), TOKENS)  # one by one, if the model has no tokenizer of texts
        if texts and callable(model.tokenizer):
            prompt = model.prompts.get(PROMPT_NAMES[role]) or ""
            cut = {"truncation": True, "max_length": model.max_seq_length}
            lengths = np.array([len(ids) for ids in model.tokenizer([prompt + t for t in texts], **cut)["input_ids"]])
        yield from equally_long(lengths, TOKENS)
