"""All groups of `params.yaml`."""

from __future__ import annotations

from typing import Any

from stages.settings.base import Base
from stages.settings.benchmarks import Benchmarks
from stages.settings.build import Build
from stages.settings.candidates import Candidates
from stages.settings.chosen import Exports
from stages.settings.codeswitch import Codeswitch
from stages.settings.compare import Compare
from stages.settings.contamination import Contamination
from stages.settings.corpus import Corpus
from stages.settings.domains import Domains
from stages.settings.fetch import Fetch
from stages.settings.fusions import Fusion
from stages.settings.gate import Gate
from stages.settings.indexes import Index
from stages.settings.labels import Labels
from stages.settings.languages import Languages
from stages.settings.lexicons import Lexicon
from stages.settings.llm import Llm
from stages.settings.merges import Merge
from stages.settings.negatives import Strategies
from stages.settings.recipes import Recipes
from stages.settings.references import Reference
from stages.settings.report import Report
from stages.settings.rerank import Reranked
from stages.settings.rerankers import Reranker
from stages.settings.retrieve import Retrieve
from stages.settings.score import Score
from stages.settings.seed import Seed
from stages.settings.synthesize import Synthesize
from stages.settings.teacher import Teacher
from stages.settings.train import Train
from stages.settings.training_sets import TrainingSet
from stages.settings.translated import Translated
from stages.settings.triples import Triples
from stages.settings.types import Group, Name
from stages.settings.windows import Windows
from stages.shared import models


class Params(Group):
    """In the order of the file."""

    seed: Seed
    languages: Languages
    fetch: dict[Name, Fetch]
    corpus: Corpus
    domains: Domains
    llm: Llm
    synthesize: Synthesize
    base: Base
    teacher: Teacher
    candidates: Candidates
    negatives: Strategies
    triples: Triples
    lexicons: dict[Name, Lexicon]
    codeswitch: dict[Name, Codeswitch]
    recipes: Recipes
    train: Train
    rerankers: dict[Name, Reranker]
    merges: dict[Name, Merge]
    benchmarks: Benchmarks
    contamination: Contamination
    retrieve: Retrieve
    windows: Windows | None
    references: dict[Name, Reference]
    translated: dict[Name, Translated]
    fusions: dict[Name, Fusion]
    rerank: dict[Name, Reranked]
    score: Score
    labels: Labels
    compare: Compare
    report: Report
    chosen: Exports
    gate: Gate
    indexes: dict[Name, Index]
    build: Build

    @property
    def training_sets(self) -> dict[str, TrainingSet]:
        """What recipes and re-rankers are trained on, by their keys."""
        recipes = {f"recipes.{name}": recipe for name, recipe in self.recipes.items()}
        return recipes | {f"rerankers.{name}": reranker for name, reranker in self.rerankers.items()}

    @property
    def ranked_beside(self) -> dict[str, Any]:
        """The rows of `data/runs` that are no models."""
        return {**self.references, **self.translated}

    @property
    def rows(self) -> list[str]:
        """All that is measured, in the order of tables."""
        return models.rows(self.recipes, self.merges, self.ranked_beside, self.fusions, self.rerank)
