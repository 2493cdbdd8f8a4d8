"""How good a model is while it trains: a metric's mean over the chosen tasks of `data/validation`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator
from sentence_transformers.util import cos_sim

from stages.schemas.validation import VALIDATION_FOLDER, VALIDATION_TABLES
from stages.shared import tables

# Texts encoded at once.
ENCODED = 64
COSINE = "cosine"


class Validation:
    """Call it for the mean of `metric` over queries, then over tasks.

    Each passage is encoded once for all tasks, and without windows: at most `length` tokens of it, whatever the model
    reads while it trains (None: as many as that).

    The metrics are sentence-transformers' own: as trec_eval's, but that relevance has no grades and map@K divides by K
    where more passages are relevant.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        metric: str,
        normalizer: Callable[[list[str]], list[str]] | None,
        length: int | None,
    ) -> None:
        self.model, self.length = model, length
        self.kind, cut = metric.split("@")
        self.k = int(cut)
        queries, self.passages, qrels = (
            tables.read(VALIDATION_FOLDER / f"{name}.parquet", schema) for name, schema in VALIDATION_TABLES.items()
        )
        texts = queries["text"].to_list()
        queries = queries.with_columns(text=pl.Series(normalizer(texts) if normalizer else texts, dtype=pl.String))
        self.tasks = [
            (self._searched(corpus), self._evaluator(corpus, own, qrels.filter(task=task)))
            for (task, corpus), own in queries.group_by("task", "corpus", maintain_order=True)
        ]

    def __call__(self) -> float:
        was_training, trained_at = self.model.training, self.model.max_seq_length
        if self.length:
            self.model.max_seq_length = self.length
        self.model.eval()
        vectors = self.model.encode_document(
            self.passages["text"].to_list(), batch_size=ENCODED, convert_to_tensor=True, show_progress_bar=False
        )
        values = []
        for searched, evaluator in self.tasks:
            rows = torch.tensor(searched.arg_true().to_list(), device=vectors.device)
            found: Any = evaluator.compute_all_metrics(self.model, corpus_embeddings=vectors[rows])
            values.append(float(found[COSINE][f"{self.kind}@k"][self.k]))
        if self.length:
            self.model.max_seq_length = trained_at
        self.model.train(was_training)
        return sum(values) / len(values)

    def _searched(self, corpus: object) -> pl.Series:
        """Whether each passage is of what a task searches."""
        return self.passages["pooled"] if corpus == "*" else self.passages["lang"] == corpus

    def _evaluator(self, corpus: object, asked: pl.DataFrame, qrels: pl.DataFrame) -> InformationRetrievalEvaluator:
        searched = self.passages.filter(self._searched(corpus))
        relevant: dict[str, set[str]] = {}
        for query, document in qrels.select("query", "document").iter_rows():
            relevant.setdefault(query, set()).add(document)
        at = [self.k]
        return InformationRetrievalEvaluator(
            dict(asked.select("query", "text").iter_rows()),
            dict(searched.select("document", "text").iter_rows()),
            relevant,
            mrr_at_k=at,
            ndcg_at_k=at,
            accuracy_at_k=at,
            precision_recall_at_k=at,
            map_at_k=at,
            batch_size=ENCODED,
            score_functions={COSINE: cos_sim},
            write_csv=False,
        )
