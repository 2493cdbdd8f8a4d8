"""`rerankers`: cross-encoders, each of which is trained from the base on a training set of its own."""

from __future__ import annotations

from stages.settings.differing import Differing
from stages.settings.reading import value
from stages.settings.training_sets import TrainingSet
from stages.settings.types import Name


class Reranker(TrainingSet):
    train: Differing = Differing()


def read_reranker(name: str) -> Reranker:
    return value(f"rerankers.{name}", Reranker)


def read_rerankers() -> dict[str, Reranker]:
    return value("rerankers", dict[Name, Reranker])
