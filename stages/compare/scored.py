"""What a model is worth on a benchmark, as `score` measured it: nothing is averaged here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from stages.schemas.scores import BIAS_MEDIAN, LANGUAGES, MODEL_METRICS
from stages.shared import tables
from stages.shared.errors import UserError
from stages.shared.tasks import BIAS, GROUPS

# {model: {benchmark: {task or group: {metric: mean}, language_bias: mean, its median}}}
Means = dict[str, dict[str, dict[str, Any]]]


def read(names: list[str], benchmarks: list[str]) -> Means:
    """The models' means; raises `UserError` if some are missing."""
    found: Means = {}
    for name in names:
        file = MODEL_METRICS / f"{name}.json"
        found[name] = tables.read_json(file) if file.is_file() else {}
        if missing := [benchmark for benchmark in benchmarks if benchmark not in found[name]]:
            raise UserError(f"{file} says nothing of {missing[0]}: run `dvc repro`")
    return found


def by_task(means: Means, metrics: Mapping[str, str]) -> pl.DataFrame:
    """Columns benchmark, model, task, value; `metrics`: what each benchmark is measured by."""
    rows = [
        (benchmark, model, task, row[metric])
        for model, of_model in means.items()
        for benchmark, metric in metrics.items()
        for task, row in of_model[benchmark].items()
        if task not in (*GROUPS, BIAS, BIAS_MEDIAN, LANGUAGES)
    ]
    schema = {"benchmark": pl.String, "model": pl.String, "task": pl.String, "value": pl.Float64}
    return pl.DataFrame(rows, schema, orient="row")


def by_model(means: Means, metrics: Mapping[str, str]) -> pl.DataFrame:
    """Columns benchmark, model, then mono, cross, multi, language_bias and its median; null where a benchmark has no
    such task."""
    rows = [
        (
            benchmark,
            model,
            *(of_model[benchmark].get(group, {}).get(metric) for group in GROUPS),
            *(of_model[benchmark].get(measure) for measure in (BIAS, BIAS_MEDIAN)),
        )
        for model, of_model in means.items()
        for benchmark, metric in metrics.items()
    ]
    schema = {"benchmark": pl.String, "model": pl.String, **dict.fromkeys((*GROUPS, BIAS, BIAS_MEDIAN), pl.Float64)}
    return pl.DataFrame(rows, schema, orient="row")
