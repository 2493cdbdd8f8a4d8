"""Contradictions of benchmarks, metrics and what models are chosen by."""

from __future__ import annotations

from collections.abc import Iterator

from stages.check.groups import Params
from stages.schemas.collected import COLLECTED_FOLDER
from stages.schemas.summary import SUMMARY_KEYS
from stages.settings.reading import meant
from stages.shared import models
from stages.shared.tasks import GROUPS, task_groups


def contradictions(params: Params) -> Iterator[str]:
    chosen = params.compare.select_on
    if chosen not in params.benchmarks:
        yield f"compare.select_on is {chosen!r}: name one of the benchmarks ({', '.join(params.benchmarks)})"
    elif params.benchmarks[chosen].split == "test":
        yield f"compare.select_on is {chosen!r}, a test split: choose models on a dev split"
    yield from _early_stopping(params)
    own = models.names(params.recipes, params.merges)
    for group, constraint in params.compare.choose.constraints.items():
        if constraint.of not in own:
            yield f"compare.choose.constraints.{group}.of is {constraint.of!r}: name a model ({', '.join(own)})"
    for name, contrast in params.compare.contrasts.items():
        for key in ("models", "against", "beside"):
            for model in getattr(contrast, key):
                if model not in params.rows:
                    yield (
                        f"compare.contrasts.{name}.{key} names {model!r}, which nothing measures"
                        f"{meant(model, params.rows)}: name one of {', '.join(params.rows)}"
                    )
    for metric in params.gate.metrics:
        if metric not in params.score.metrics:
            yield f"gate.metrics names {metric!r}: name one of score.metrics, or add it there"
    for key in ("onnx", "openvino"):
        if params.base.name == "static" and getattr(params.chosen, key):
            yield f"chosen.{key} is of transformers, but base.name is static: write false"
    for name, benchmark in params.benchmarks.items():
        if name in SUMMARY_KEYS:
            yield f"benchmarks.{name} has the name of a key of metrics/summary.json: rename it"
        if benchmark.source == "held-out" and benchmark.path != str(COLLECTED_FOLDER):
            yield f"benchmarks.{name}.path is {benchmark.path!r}, but held-out reads {COLLECTED_FOLDER}: write that"
        if params.base.vocabulary != "all":
            kept = {*params.languages, *params.base.vocabulary.languages}
            for lang in benchmark.languages or []:
                if lang not in kept:
                    yield (
                        f"benchmarks.{name} is in {lang}, whose pieces base.vocabulary drops: add it to "
                        "base.vocabulary.languages, or write all there"
                    )
        if benchmark.metric and benchmark.metric not in params.score.metrics:
            yield f"benchmarks.{name}.metric is {benchmark.metric!r}: name one of score.metrics, or add it there"
    if params.compare.metric not in params.score.metrics:
        yield f"compare.metric is {params.compare.metric!r}: name one of score.metrics, or add it there"
    deepest = max(int(m.split("@")[1]) for m in params.score.metrics)
    if deepest > params.retrieve.depth:
        yield (
            f"score.metrics looks at rank {deepest}, but retrieve.depth is {params.retrieve.depth}: "
            f"raise retrieve.depth to {deepest}"
        )


def _early_stopping(params: Params) -> Iterator[str]:
    """Training that would be stopped by what there is not, or by what models are judged on."""
    if not (stopping := params.train.early_stopping):
        return
    key, name = "train.early_stopping", stopping.benchmark
    if name not in params.benchmarks:
        yield f"{key}.benchmark is {name!r}: name one of the benchmarks ({', '.join(params.benchmarks)})"
        return
    if params.benchmarks[name].split == "test":
        yield f"{key}.benchmark is {name!r}, a test split: stop on a dev split"
    known = task_groups(params.benchmarks[name].languages or params.languages)
    for word in stopping.tasks:
        if word not in known and word not in GROUPS:
            yield (
                f"{key}.tasks names {word!r}, which there is not{meant(word, [*known, *GROUPS])}: name some of "
                f"{', '.join([*known, *GROUPS])}"
            )
