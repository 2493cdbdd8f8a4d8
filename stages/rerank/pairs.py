"""Scores of pairs of a query and a passage, kept outside DVC's outputs: what was scored once is not scored again, nor
lost in a kill.

A score is found by the content of the re-ranker's folder and of the two texts. So another first stage, a greater depth
or another benchmark scores what is new in it alone, and the tasks that search a passage's language or the pool share
what they have in common. Batches hold pairs of one length (`lengths.equally_long`): a score does not tell what else was
scored with it, and the same pairs have the same scores whatever was kept.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from stages.shared import files, models
from stages.shared.durations import duration
from stages.shared.lengths import batch_tokens, equally_long
from stages.shared.vectors.keys import digest, place
from stages.shared.vectors.store import VectorStore

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

log = logging.getLogger(__name__)
# Pairs tokenized at once.
PAIRS_AT_ONCE = 2**14
# Of which a batch has a multiple: a head has one row for each pair, and a product of other numbers of rows treats the
# last ones otherwise (MKL; each of 4, 8, ..., 64 was tried).
MULTIPLE = 4
# Seconds of work that a kill may lose.
LOST = 10.0
# Seconds after which it is said how long all will take.
WAITED = 10.0

Pair = tuple[str, str]


class KeptPairs:
    """The re-ranker in `folder`, whose scores are kept. It is not loaded if they all are there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = place("pairs", [files.content(folder)]).with_suffix(".sqlite")
        # Pairs so far, `scored` and `kept`.
        self.counts: Counter[str] = Counter()

    @cached_property
    def model(self) -> CrossEncoder:
        from sentence_transformers import CrossEncoder

        record = models.record(self.folder)
        with models.loading(self.folder):
            return CrossEncoder(
                str(self.folder),
                local_files_only=True,
                trust_remote_code=record["trust_remote_code"],
                model_kwargs={"attn_implementation": record["attention"]},
            )

    def score(self, pairs: list[Pair]) -> np.ndarray:
        """How well each passage answers its query, float32, shape [pairs]; `pairs` (query, passage) must differ."""
        scores = np.empty((len(pairs), 1), np.float32)
        keys = [digest(json.dumps(pair)) for pair in pairs]
        with VectorStore(self.file, "pairs are scored again") as store:
            missing = store.read(keys, scores) if pairs else []
            fresh: list[int] = []
            committed = time.monotonic()
            for rows in self._scored(pairs, missing, scores):
                fresh += rows
                if time.monotonic() - committed > LOST:
                    store.write(keys, scores, fresh)
                    fresh, committed = [], time.monotonic()
            store.write(keys, scores, fresh)
        self.counts.update(scored=len(missing), kept=len(pairs) - len(missing))
        return scores[:, 0]

    def _scored(self, pairs: list[Pair], missing: list[int], scores: np.ndarray) -> Iterator[list[int]]:
        """Fill in the `scores` of the `missing` rows; yield them as they are filled in."""
        if not missing:
            return
        import torch

        tokens = batch_tokens(self.model.device.type)
        began, done, read = time.monotonic(), 0, 0
        said = False
        with tqdm(total=len(missing), desc="pairs scored", unit=" pairs", delay=WAITED) as bar:
            for at in range(0, len(missing), PAIRS_AT_ONCE):
                part = missing[at : at + PAIRS_AT_ONCE]
                long = self._lengths([pairs[row] for row in part])
                batches = list(equally_long(long, tokens, MULTIPLE))
                # Short ones first would promise too early an end.
                random.Random(at).shuffle(batches)
                if at == 0:
                    log.info(f"{len(missing):,} pairs to score, about {long.mean() * len(missing):,.0f} tokens")
                for batch in batches:
                    found = self.model.predict(
                        [pairs[part[i]] for i in batch],
                        batch_size=len(batch),
                        activation_fn=torch.nn.Identity(),
                        show_progress_bar=False,
                    )
                    # A batch is filled up with repeats, whose scores are the same.
                    rows = {part[i]: score for i, score in zip(batch, found, strict=True)}
                    scores[list(rows), 0] = list(rows.values())
                    done, read = done + len(rows), read + int(long[batch[0]]) * len(rows)
                    bar.update(len(rows))
                    yield list(rows)
                    spent = time.monotonic() - began
                    if not said and spent > WAITED:
                        said = True
                        left = spent / read * (long.mean() * len(missing) - read)
                        log.info(f"{done:,} of {len(missing):,} pairs: about {duration(max(left, 0.0))} to go")

    def _lengths(self, pairs: list[Pair]) -> np.ndarray:
        """Tokens of each pair, as the model cuts it."""
        tokenizer: Any = self.model.tokenizer
        queries, passages = (list(side) for side in zip(*pairs, strict=True))
        cut = {"truncation": "longest_first", "max_length": self.model.max_seq_length}
        return np.array([len(ids) for ids in tokenizer(queries, passages, **cut)["input_ids"]], np.int64)
