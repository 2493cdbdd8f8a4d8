"""python -m tools.experiments [--all] [--metrics METRIC ...] [--against MODEL] [--csv FILE] [--chart MODEL BENCHMARK
FILE]: finished experiments side by side.

Experiments that differ in the seed alone are one row for each model: the mean and the sample standard deviation over
their seeds. The workspace and HEAD count as one more seed of such a row, and make no row of their own.

--metrics gives a table for each benchmark and task group, with these metrics as columns, in place of the one by what
models are compared by.

--against tests each other model against MODEL, paired on queries. A query's value is its mean over the group's tasks,
then over the seeds in which it was asked; queries are what the test takes for drawn at random, and the models of these
seeds for given. It says whether their mean difference would stand on other queries, not whether a model of another seed
would show it: that is only hinted at by the seeds of which each one's own difference has the same sign, which are
counted. Where the split follows the seed, a query asked in one seed weighs as much as one asked in all.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from stages.compare import significance
from stages.schemas.scores import BIAS_MEDIAN
from stages.settings.compare import Inference
from stages.shared import errors, tables
from stages.shared.errors import UserError
from stages.shared.tasks import BIAS, GROUPS
from tools import lock, paired, revisions
from tools.curves import PANELS, Measures, svg
from tools.padded import padded
from tools.revisions import ABSENT, Result, at

log = logging.getLogger("experiments")
MEASURES = (*GROUPS, BIAS, BIAS_MEDIAN)
TITLES = {BIAS: "bias", BIAS_MEDIAN: "median bias"}
STATISTICS = ("difference", "median", "low", "high", "p", "p_corrected", "queries", "seeds", "same_sign")
# A key of params.yaml in its parts: ("base", "name").
Key = tuple[str, ...]


class Value(NamedTuple):
    """A mean over queries; `measure` is a task, a group of tasks, or language bias."""

    result: Result
    benchmark: str
    metric: str
    model: str
    measure: str
    value: float


class Tests(NamedTuple):
    """What the models differ by on a benchmark.

    Attributes:
        rows: as `paired.over_seeds` has them, with `number` of the set of params, and `metric`; p is corrected
            over all of them.
    """

    benchmark: str
    reference: str
    settings: Inference
    rows: pl.DataFrame


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.experiments")
    parser.add_argument("--all", action="store_true", help="those made on any commit, not on HEAD alone")
    parser.add_argument("--metrics", nargs="+", metavar="METRIC", help="of score.metrics, e.g. accuracy@1 mrr@10")
    parser.add_argument("--against", metavar="MODEL", help="test each other model against it, paired on queries")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write a row for each value to FILE")
    parser.add_argument(
        "--chart",
        nargs=3,
        metavar=("MODEL", "BENCHMARK", "FILE"),
        help="also draw the model over the number that the experiments differ in",
    )
    arguments = parser.parse_args()
    metrics = list(dict.fromkeys(arguments.metrics or ()))
    lock.mend()
    head = revisions.head()
    if not head:
        raise UserError("there is no commit here, and so no experiment: run in a clone of the repository")
    made_on = None if arguments.all else head
    results = revisions.finished(made_on)
    for name, why in revisions.unfinished(made_on):
        log.info(f"left out: {name}, {why}")
    if not results:
        raise UserError(
            "there are no finished experiments here: queue some (`make study STUDY=... SWEEP=...`), run them "
            "(`python -m tools.queued`), or add --all for those that were made on other commits"
        )
    results += revisions.further_seeds(results, head)
    if not metrics:
        check_metrics(results)
    groups = grouped(results)
    ordered = [result for group in groups for result in group]
    values = scored(ordered, metrics) if metrics else compared(ordered)
    tests = tested(groups, arguments.against, metrics) if arguments.against else []
    keys = columns(results)
    if arguments.csv:
        with tables.replacing(arguments.csv) as draft:
            long(values, tests, groups, keys).write_csv(draft, line_terminator="\n")
    if arguments.chart:
        model, benchmark, file = arguments.chart
        tables.write_text(chart(groups, keys, model, benchmark), Path(file))
    blocks = scored_tables(values, keys, metrics) if metrics else compared_tables(values, keys)
    print("\n\n".join([*blocks, *(tests_table(found, groups, keys) for found in tests)]))


def check_metrics(results: list[Result]) -> None:
    """Raise `UserError` if a benchmark is not measured alike in all of them."""
    first: dict[str, Result] = {}
    for result in results:
        for benchmark, metric in result.metrics.items():
            other = first.setdefault(benchmark, result)
            if other.metrics[benchmark] != metric:
                raise UserError(
                    f"{other.name} measures {benchmark} by {other.metrics[benchmark]} and {result.name} by {metric}, "
                    "which do not compare: choose with --metrics, or remove one of them with `dvc exp remove`"
                )


def compared(results: list[Result]) -> list[Value]:
    """What `compare` made of the metric that each benchmark is measured by."""
    return [
        Value(r, benchmark, r.metrics[benchmark], model, measure, value)
        for r in results
        for benchmark, models in r.values.items()
        for model, row in models.items()
        for measure, value in row.items()
    ]


def scored(results: list[Result], metrics: list[str]) -> list[Value]:
    """These metrics of each task and group; raises `UserError` if one was scored in none of the results."""
    found = []
    for result in results:
        trees = revisions.scored(result)
        found += [
            Value(result, benchmark, metric, model, measure, row[metric])
            for benchmark, models in result.values.items()
            for model in models
            for measure, row in trees[model][benchmark].items()
            if measure not in TITLES
            for metric in metrics
            if metric in row
        ]
    for metric in metrics:
        if not any(value.metric == metric for value in found):
            known = dict.fromkeys(known for result in results for known in at(result.settings, ("score", "metrics")))
            raise UserError(
                f"{metric} was not scored: add it to score.metrics, which has {', '.join(known)}, and run the "
                "experiments again (no model is trained anew)"
            )
    return found


def tested(groups: list[list[Result]], reference: str, metrics: list[str]) -> list[Tests]:
    """Each model against `reference` by `metrics` (none: what a benchmark is measured by), in each set of params that
    has such a model; the settings of all are those of the first. Raises `UserError` if none has it."""
    settings = Inference.of(groups[0][0].settings["compare"])
    parts: dict[str, list[pl.DataFrame]] = {}
    for number, group in enumerate(groups):
        if reference not in group[0].models:
            continue
        values = _query_scores(group, metrics)
        for benchmark, own in group[0].metrics.items():
            for place, metric in enumerate(metrics or [own]):
                # Language bias is by no metric: it is tested once.
                measured = pl.col("metric").is_in([metric, BIAS][: 2 if place == 0 else 1])
                found = values.filter(measured, benchmark=benchmark)
                if not found.is_empty():
                    rows = paired.over_seeds(found, group[0].task_groups, reference, settings, group[0].seed)
                    parts.setdefault(benchmark, []).append(
                        rows.with_columns(number=pl.lit(number), metric=pl.lit(metric))
                    )
    if not parts:
        known = dict.fromkeys(model for group in groups for result in group for model in result.models)
        raise UserError(f"--against {reference}: no experiment has such a model, they have {', '.join(known)}")
    return [
        Tests(
            benchmark,
            reference,
            settings,
            significance.family(pl.concat(rows), settings, ("number", "metric", "group")),
        )
        for benchmark, rows in parts.items()
    ]


def _query_scores(results: list[Result], metrics: list[str]) -> pl.DataFrame:
    """Those of all results, which differ in the seed, with a column `seed`."""
    wanted = metrics or list(dict.fromkeys(metric for result in results for metric in result.metrics.values()))
    return pl.concat(
        revisions.query_scores(result, [*wanted, BIAS]).with_columns(seed=pl.lit(result.seed, pl.Int64))
        for result in results
    )


def chart(groups: list[list[Result]], keys: list[Key], model: str, benchmark: str) -> str:
    """An SVG of `model` on a benchmark over the number that the groups differ in, means over their seeds; models that
    do not differ with it are lines across. Raises `UserError` if that is not one number, or nothing such was measured.
    """
    names = _names(keys)
    numbers = [at(group[0].settings, keys[0]) for group in groups] if len(keys) == 1 and keys[0] else []
    if not numbers or any(isinstance(number, bool) or not isinstance(number, int | float) for number in numbers):
        raise UserError(f"--chart is over one number, but the experiments differ in {', '.join(names) or 'no key'}")
    means: dict[str, dict[float, Measures]] = {}
    for number, group in zip(numbers, groups, strict=True):
        for name in group[0].values.get(benchmark, {}):
            rows = [result.values[benchmark][name] for result in group if name in result.values.get(benchmark, {})]
            means.setdefault(name, {})[number] = {
                measure: statistics.fmean(row[measure] for row in rows) for measure in PANELS if measure in rows[0]
            }
    if model not in means:
        known = ", ".join(means) or f"nothing on {benchmark}"
        raise UserError(f"--chart {model} {benchmark}: no experiment has measured that, but {known}")
    found = means.pop(model)
    lines = {name: next(iter(own.values())) for name, own in means.items() if len(own) == len(numbers)}
    lines = {name: told for name, told in lines.items() if all(own == told for own in means[name].values())}
    shown = [measure for measure in PANELS if all(measure in told for told in (*found.values(), *lines.values()))]
    marks = {number: f"{number:g}" for number in found}
    return svg(f"{model} on {benchmark}, over {names[0]}", found, marks, lines, shown)


def compared_tables(values: list[Value], keys: list[Key]) -> list[str]:
    """A titled table for each benchmark: a row for each set of params and model, a column for each task group."""
    metrics = {value.benchmark: value.metric for value in values}
    return [
        f"{benchmark}: {metric} x 100, mean ± deviation over n seeds\n\n"
        + _table(own, keys, "measure", [m for m in MEASURES if m != BIAS_MEDIAN or m in {v.measure for v in own}])
        for benchmark, metric in metrics.items()
        for own in [[value for value in values if value.benchmark == benchmark]]
    ]


def scored_tables(values: list[Value], keys: list[Key], metrics: list[str]) -> list[str]:
    """A titled table for each benchmark and task group: a column for each metric."""
    blocks: dict[tuple[str, str], list[Value]] = {}
    for value in values:
        blocks.setdefault((value.benchmark, value.measure), []).append(value)
    return [
        f"{benchmark}, {group}: x 100, mean ± deviation over n seeds\n\n"
        + _table(blocks[benchmark, group], keys, "metric", metrics)
        for benchmark in dict.fromkeys(benchmark for benchmark, _ in blocks)
        for group in GROUPS
        if (benchmark, group) in blocks
    ]


def _table(values: list[Value], keys: list[Key], field: str, shown: Sequence[str]) -> str:
    """A row for each set of params and model of `values`, a column for each of what they have in `field`."""
    rows: dict[tuple[str, str], list[Value]] = {}
    for value in values:
        rows.setdefault((value.result.group, value.model), []).append(value)
    header = [*_names(keys), "model", *(TITLES.get(column, column) for column in shown), "n"]
    lines = [header]
    for (_, model), own in rows.items():
        cells = [
            spread([v.value * (1 if v.measure in TITLES else 100) for v in own if getattr(v, field) == column])
            for column in shown
        ]
        seeds = {value.result.seed for value in own}
        lines.append([*(_shown(own[0].result, key) for key in keys), model, *cells, str(len(seeds))])
    return "\n".join(padded(lines, len(keys) + 1))


def tests_table(tests: Tests, groups: list[list[Result]], keys: list[Key]) -> str:
    """A titled table of a benchmark's tests."""
    title = (
        f"{tests.benchmark}: difference from {tests.reference} x 100, paired on queries; p corrected by "
        f"{tests.settings.correction} over these rows; of how many seeds the sign is the same; bias in ranks"
    )
    interval = f"{100 * tests.settings.confidence:g} %"
    header = [*_names(keys), "tasks", "metric", "model", "difference", interval, "p", "corrected", "queries", "seeds"]
    lines = [header]
    for row in tests.rows.iter_rows(named=True):
        scale = 1 if row["group"] == BIAS else 100
        difference, low, high = (f"{scale * row[name]:+.1f}" for name in ("difference", "low", "high"))
        lines.append(
            [
                *(_shown(groups[row["number"]][0], key) for key in keys),
                TITLES.get(row["group"], row["group"]),
                row["metric"],
                row["model"],
                difference,
                f"{low} to {high}",
                f"{row['p']:.3g}",
                f"{row['p_corrected']:.3g}",
                str(row["queries"]),
                f"{row['same_sign']} of {row['seeds']}",
            ]
        )
    return "\n".join([title, "", *padded(lines, len(keys) + 3)])


def long(values: list[Value], tests: list[Tests], groups: list[list[Result]], keys: list[Key]) -> pl.DataFrame:
    """A row for each value, with the keys of params.yaml that the results differ in.

    Tests add the columns against and statistic, which values lack; they are over all seeds, and so of no experiment.
    """
    keys = [key for key in keys if key]

    def row(result: Result, **more: Any) -> dict[str, Any]:
        own = {"experiment": result.name, "commit": result.commit, "seed": result.seed}
        return own | {".".join(key): _shown(result, key) for key in keys} | more

    rows = [
        row(v.result, benchmark=v.benchmark, metric=v.metric, model=v.model, measure=v.measure, value=v.value)
        for v in values
    ]
    for found in tests:
        rows += [
            row(groups[test["number"]][0], benchmark=found.benchmark, metric=test["metric"], model=test["model"])
            | {"experiment": None, "seed": None, "measure": test["group"], "value": float(test[statistic])}
            | {"against": found.reference, "statistic": statistic}
            for test in found.rows.iter_rows(named=True)
            for statistic in STATISTICS
        ]
    return pl.DataFrame(rows, infer_schema_length=None)


def grouped(results: list[Result]) -> list[list[Result]]:
    """Results that differ in the seed alone, by seed; groups in the order of what they differ in."""
    keys = [key for key in columns(results) if key]
    groups: dict[str, list[Result]] = {}
    for result in sorted(results, key=lambda r: ([_order(at(r.settings, key)) for key in keys], r.seed)):
        groups.setdefault(result.group, []).append(result)
    return list(groups.values())


def columns(results: list[Result]) -> list[Key]:
    """The keys that results differ in; the empty key stands for code and data, and is shown as the commit."""
    several = len({result.made_from for result in results}) > 1
    return [*([()] if several else []), *differing([result.settings for result in results])]


def differing(trees: list[dict[str, Any]], path: Key = ()) -> Iterator[Key]:
    """The keys whose values are not the same in all `trees`; a group that some lack is one key."""
    for key in dict.fromkeys(key for tree in trees for key in tree):
        values = [tree.get(key, ABSENT) for tree in trees]
        if all(isinstance(value, dict) for value in values):
            yield from differing(values, (*path, key))
        elif any(value != values[0] for value in values):
            yield (*path, key)


def spread(values: list[float]) -> str:
    """Mean and sample standard deviation; of one value, the value alone."""
    if not values:
        return ABSENT
    mean = f"{statistics.fmean(values):.1f}"
    return f"{mean} ± {statistics.stdev(values):.1f}" if len(values) > 1 else mean


def _names(keys: list[Key]) -> list[str]:
    return [".".join(key) or "commit" for key in keys]


def _shown(result: Result, key: Key) -> str:
    value = at(result.settings, key) if key else result.commit[:7]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _order(value: Any) -> tuple[bool, float, str]:
    """Numbers by size, then the rest by how it is written."""
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return (not numeric, value if numeric else 0, json.dumps(value))


if __name__ == "__main__":
    errors.run(main)
