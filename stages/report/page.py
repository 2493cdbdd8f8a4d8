"""What the templates are given: ordered, rounded, marked and worded, with nothing left to decide there."""

from __future__ import annotations

from typing import NamedTuple

from stages.report.cells import Table
from stages.report.charts import Curves
from stages.report.encoders import ShownEncoder
from stages.report.labels import ByLabel
from stages.report.measurement import Measurement
from stages.report.provenance import Codeswitched, CorpusFacts, Lexicons, TrainedQueries
from stages.report.recipes import Chosen, Ingredient


class Ahead(NamedTuple):
    """By how much a model is the best on the benchmark on which models are chosen."""

    words: str
    sure: bool  # the lead is two standard errors or more


class Page(NamedTuple):
    """Text, tables and charts: what the templates call `page`."""

    title: str
    languages: list[tuple[str, str]]
    chosen_by: str  # the objective
    rule: list[str]  # sentences: which constraints dropped which models, and what is tied
    select_on: str
    correction: str
    confidence: str
    alpha: str
    resamples: str
    counts: dict[str, int]
    best_recipe: str
    best_ahead: Ahead | None  # of the other recipes; None: there is no other
    chosen: Chosen
    chosen_ahead: Ahead | None  # of the other models
    reported: list[Measurement]  # the benchmarks that had no part in the choice
    selecting: Measurement
    by_label: list[ByLabel]  # in the order of `measurements`
    precision: str
    curves: Curves | None
    costs: Table  # of the models in planned contrasts
    synthesis: Table
    negatives: Table
    lexicons: Lexicons
    codeswitched: Codeswitched
    trained_queries: TrainedQueries
    corpus: CorpusFacts
    contamination: Table
    encoders: list[ShownEncoder]
    references: list[ShownEncoder]
    base: str
    base_is_static: bool
    base_hub_id: str | None
    settings: list[tuple[str, list[tuple[str, str]]]]
    recipes: list[Ingredient]
    merges: list[tuple[str, str, str]]
    seed: int
    reranked: bool  # whether re-rankers rank something again

    @property
    def measurements(self) -> list[Measurement]:
        return [*self.reported, self.selecting]

    @property
    def out_of_scope(self) -> bool:
        """Whether some benchmark by label asks what no entry fits."""
        return any(benchmark.out_of_scope for benchmark in self.by_label)

    @property
    def biased(self) -> bool:
        """Whether the chosen model's language bias is shown."""
        return any(m.bars for m in self.reported or [self.selecting])

    @property
    def headline_metric(self) -> str:
        """The metric of the benchmarks that show what was chosen, if it is one."""
        metrics = {m.metric for m in self.reported or [self.selecting]}
        return metrics.pop() if len(metrics) == 1 else "Scores"
