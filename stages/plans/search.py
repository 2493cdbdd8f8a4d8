"""Weights of a linear merge, searched on the benchmark on which models are chosen.

All weightings in steps of a grid are tried, or those that CMA-ES (Hansen 2016, arXiv 1604.00772) asks for, after equal
weights and each model alone. Weights are rounded to hundredths that add up to 1, and none is tried twice; the greatest
value wins, of equals the first. What a search found is kept.
"""

from __future__ import annotations

import itertools
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from stages.schemas.benchmarks import BENCHMARKS_FOLDER
from stages.schemas.plans import Plan
from stages.settings.freeze import Freeze
from stages.settings.merges import Objective, Search
from stages.settings.retrieve import Retrieve
from stages.settings.windows import Windows
from stages.shared import drafts, files, models, ranking, scoring, seeds, tables
from stages.shared.errors import UserError
from stages.shared.ranking import Tables
from stages.shared.tasks import BIAS, GROUPS
from stages.shared.vectors import folders
from stages.shared.vectors.keys import place
from stages.shared.windows import WindowedEncoder

log = logging.getLogger(__name__)
HUNDREDTHS = 100
# Of CMA-ES: how far from equal weights its first step goes (in logarithms of weights), and after how many generations
# without a new weighting it ends.
FIRST_STEP, IDLE = 1.0, 20
Weights = tuple[float, ...]


class Searching(NamedTuple):
    """What merges are measured on, by which metric, and how texts are encoded for it."""

    benchmark: str
    metric: str
    retrieve: Retrieve
    freeze: Freeze | None
    windows: Windows | None
    seed: int

    def found(self, plan: Plan, search: Search, importances: Path) -> Plan:
        """`plan` with the weights that were found; `importances` as `merging.save` takes them."""
        from stages.shared import merging

        shaping = [plan.model_dump(), search.model_dump(), self.metric, self.retrieve.model_dump(), self.seed]
        shaping.append(self.freeze and self.freeze.model_dump(exclude={"disk"}))
        shaping += [self.windows.model_dump()] if self.windows else []
        read = (*merging.leaves(plan).values(), importances, BENCHMARKS_FOLDER / self.benchmark)
        file = place("searches", [*shaping, *map(files.content, read)]).with_suffix(".json")
        if not file.is_file():
            tables.write_json(self._search(plan, search, importances), file)
        told = tables.read_json(file)
        return plan.model_copy(update={"weights": list(told["weights"].values()), "searched": told})

    def _search(self, plan: Plan, search: Search, importances: Path) -> dict[str, Any]:
        asked = ranking.benchmark(self.benchmark)
        tried: dict[Weights, dict[str, float]] = {}

        def value(weights: Weights) -> float:
            if weights not in tried:
                own = plan.model_copy(update={"weights": list(weights), "searched": {"weights": {}}})
                measures = self.measured(own, importances, asked)
                tried[weights] = {"value": worth(plan.name, search.objective, measures), **measures}
                said = ", ".join(f"{weight:g} {part}" for part, weight in zip(plan.models, weights, strict=True))
                log.info(f"{plan.name}, {len(tried)} of {search.budget}: {said}: {tried[weights]['value']:.3f}")
            return tried[weights]["value"]

        names = len(plan.models)
        if search.grid:
            for weights in grid(names, round(1 / search.grid)):
                value(weights)
        else:
            evolve(value, tried, names, search.budget, seeds.number(self.seed, "search", plan.name))
        best = max(tried, key=lambda weights: tried[weights]["value"])
        return {
            "weights": dict(zip(plan.models, best, strict=True)),
            "benchmark": self.benchmark,
            "tried": len(tried),
            **tried[best],
        }

    def measured(self, plan: Plan, importances: Path, asked: Tables) -> dict[str, float]:
        """As `measured_in`, of a model that is merged for it and then goes."""
        from stages.shared import merging

        models.MERGED.mkdir(parents=True, exist_ok=True)
        with drafts.draft(models.MERGED / plan.name) as folder:
            merging.save(plan, folder, importances, self.seed)
            return self.measured_in(folder, asked)

    def measured_in(self, folder: Path, asked: Tables) -> dict[str, float]:
        """Mono, cross and multi by the metric, and language bias, so far as the benchmark has them. Vectors are found
        again by the model's bytes, as `retrieve` finds and keeps them."""
        trusted = models.base_record()["trust_remote_code"]
        read = folders.load(folder, self.retrieve.batch_size, self.freeze, trusted)
        model = WindowedEncoder(read, self.windows, str(folder))
        run, relevant = ranking.rank(asked, ranking.by_encoder(model, asked), self.retrieve.depth)
        values = pl.concat([scoring.per_query(run, asked.queries, asked.qrels, [self.metric]), scoring.bias(relevant)])
        return scoring.of_groups(values, asked.queries, asked.passages, self.metric)


def worth(merge: str, objective: Objective, measures: dict[str, float]) -> float:
    """What a model with these measures is worth; raises `UserError` if one that counts is not measured."""
    total = 0.0
    for key, factor, measure in (*((group, 100.0, group) for group in GROUPS), ("bias", -1.0, BIAS)):
        if weight := getattr(objective, key):
            if measure not in measures:
                raise UserError(
                    f"merges.{merge}.search.objective counts {key}, which compare.select_on does not measure: "
                    "set it to 0"
                )
            total += weight * factor * measures[measure]
    return round(total, 6)


def grid(models: int, steps: int) -> Iterator[Weights]:
    """All weightings of so many models in whole steps that add up to 1, the first model's weight rising."""
    for bars in itertools.combinations(range(steps + models - 1), models - 1):
        edges = (-1, *bars, steps + models - 1)
        yield tuple(round((after - before - 1) / steps, 10) for before, after in itertools.pairwise(edges))


def hundredths(weights: np.ndarray) -> Weights:
    """`weights` scaled to add up to 1 and rounded to hundredths that do, too."""
    scaled = weights / weights.sum() * HUNDREDTHS
    whole = np.floor(scaled)
    # The greatest remainders are rounded up.
    order = np.argsort(-(scaled - whole), kind="stable")
    whole[order[: round(HUNDREDTHS - whole.sum())]] += 1
    return tuple(float(count) / HUNDREDTHS for count in whole)


def evolve(value: Callable[[Weights], float], tried: dict[Weights, Any], models: int, budget: int, seed: int) -> None:
    """Ask for the `value` of at most `budget` weightings, where the search for the greatest one leads; those of which
    it was asked are in `tried`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it cannot plot
        import cma

    for weights in [np.ones(models), *np.eye(models)][:budget]:
        value(hundredths(weights))
    # A seed of 0 would be the clock's.
    settings = {"seed": seed % (2**31 - 1) + 1, "verbose": -9, "verb_log": 0}
    strategy = cma.CMAEvolutionStrategy(np.zeros(models), FIRST_STEP, settings)
    idle = 0
    while len(tried) < budget and idle < IDLE and not strategy.stop():
        before, asked = len(tried), strategy.ask()
        values = []
        for logits in asked:
            weights = hundredths(np.exp(logits - logits.max()))
            if weights not in tried and len(tried) == budget:
                return
            values.append(-value(weights))
        strategy.tell(asked, values)
        idle = idle + 1 if len(tried) == before else 0
