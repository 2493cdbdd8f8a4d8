"""The params that the report reads, and the models and tasks that follow from them."""

from __future__ import annotations

from typing import NamedTuple

from stages.settings.base import Base
from stages.settings.benchmarks import Benchmark
from stages.settings.compare import Compare
from stages.settings.encoders import PretrainedEncoder
from stages.settings.merges import Merge
from stages.settings.recipes import Recipe
from stages.settings.report import Report
from stages.settings.rerank import Reranked
from stages.settings.rerankers import Reranker
from stages.settings.train import Train
from stages.settings.training_sets import TrainingSet
from stages.shared.models import BASE_NAME, names
from stages.shared.tasks import Task, measured, tasks


class Study(NamedTuple):
    """The params."""

    report: Report
    languages: list[str]
    recipes: dict[str, Recipe]
    rerankers: dict[str, Reranker]
    merges: dict[str, Merge]
    benchmarks: dict[str, Benchmark]
    compare: Compare
    base: Base
    teacher: PretrainedEncoder
    train: Train
    seed: int
    precision: float  # that a threshold of rejection reaches
    references: list[str]  # with translated rows and fusions
    rerank: dict[str, Reranked]

    @property
    def models(self) -> list[str]:
        return names(self.recipes, self.merges)

    @property
    def rows(self) -> list[str]:
        """The models, then what they are measured beside, and what re-rankers make of some of them."""
        return [*self.models, *self.beside]

    @property
    def beside(self) -> list[str]:
        """The rows that are no models of the study: references, fusions and re-ranked ones."""
        return [*self.references, *self.rerank]

    @property
    def trained(self) -> dict[str, TrainingSet]:
        """What has a training set: recipes and re-rankers."""
        return {**self.recipes, **self.rerankers}

    @property
    def tasks(self) -> list[Task]:
        """Every task that the study's benchmarks may have."""
        spoken = measured(self.languages, self.benchmarks)
        return tasks(spoken, spoken)

    def kind(self, model: str) -> str:
        """`recipe`, `merge`, `reference`, `re-ranked` or `base`."""
        if model in self.beside:
            return "reference" if model in self.references else "re-ranked"
        return "recipe" if model in self.recipes else "merge" if model in self.merges else BASE_NAME
