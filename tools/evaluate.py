"""python -m tools.evaluate MODEL [MODEL ...] [--json FILE]: how good models are on the study's benchmarks.

A MODEL is a hub id, a folder, `package:multilingual-e5-small` or `bm25`. It is measured on the benchmarks as they stand
in data/benchmarks, and nothing of the study is written: vectors are kept in the state folder. What can be set of one is
set in `references`, where it is measured with the study.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import polars as pl

from stages import labels
from stages.check import params
from stages.check.groups import Params
from stages.references import opening
from stages.references.opening import Opened
from stages.settings.references import Reference
from stages.settings.windows import Windows
from stages.shared import encoder, errors, models, pieces, pool, ranking, scoring, tables
from stages.shared.errors import UserError
from stages.shared.ranking import Tables
from stages.shared.tasks import measured, task_groups, tasks
from stages.shared.vectors import folders
from stages.shared.windows import WindowedEncoder
from tools.results import columns, label_table, table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.evaluate", description=__doc__.split("\n\n")[0])
    parser.add_argument("models", nargs="+", metavar="MODEL", help="a hub id, a folder, package:<name> or bm25")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all metrics, as metrics/models has them")
    arguments = parser.parse_args()
    study = params.load()
    found = ranking.benchmarks()
    if missing := [name for name in study.benchmarks if name not in found]:
        raise UserError(f"data/benchmarks/{missing[0]} is missing: run `dvc repro benchmarks`")
    found = {name: found[name] for name in study.benchmarks}
    report: dict[str, dict[str, dict]] = {}
    by_label: dict[str, dict[str, dict]] = {}
    for name in dict.fromkeys(arguments.models):
        opened = _opened(name, study.retrieve.batch_size, study.windows)
        if opened.tokenizer:
            pieces.known(opened.tokenizer, ranking.texts_by_language(found.values()), name)
        report[name], by_label[name] = _measured(study, opened, found)
    for benchmark in found:
        print("\n".join(_shown(study, benchmark, report, by_label)))
    if arguments.json:
        tables.write_json(report, arguments.json)
        print(f"\n{arguments.json} has all metrics")


def _opened(name: str, batch_size: int, windows: Windows | None) -> Opened:
    """What ranks with the model `name`; raises `UserError` if it cannot be had."""
    if name == "bm25":
        return opening.opened(Reference.model_validate({"bm25": {}}), "bm25", batch_size, windows)
    folder = Path(name)
    # The record says how a model of a study is run; one that has no transformer says it all by itself.
    if folder.is_dir() and (models.record(folder) or _is_static(folder)):
        loaded = folders.load(folder, batch_size)
        read = WindowedEncoder(loaded, windows, name)
        return Opened(partial(ranking.by_encoder, read), lambda: models.record(folder), loaded.tokenizer)
    try:
        return opening.opened(Reference.model_validate({"encoder": name}), "MODEL", batch_size, windows)
    except UserError as error:
        raise UserError(str(error).replace("MODEL.encoder", "MODEL")) from None


def _is_static(folder: Path) -> bool:
    return (folder / "modules.json").is_file() and encoder.is_static(folder)


def _measured(study: Params, opened: Opened, found: dict[str, Tables]) -> tuple[dict[str, dict], dict[str, dict]]:
    """{benchmark: {task or group: {metric: mean}, language_bias: mean}}, as `score` has it, and {benchmark by label:
    {task: measures}}, as `labels` has them."""
    values, by_label = [], {}
    for name, benchmark in found.items():
        run, relevant = ranking.rank(benchmark, opened.rankers(benchmark), study.retrieve.depth)
        metrics, pooled = study.score.metrics, benchmark.pool
        own = [scoring.per_query(run, benchmark.queries, benchmark.qrels, metrics, pooled), scoring.bias(relevant)]
        own += [] if relevant.is_empty() else [pool.measured(run, benchmark.qrels)]
        values.append(pl.concat(own).select(pl.lit(name).alias("benchmark"), pl.all()))
        if (asked := labels.read(name)) is not None:
            answered = labels.answers(run, asked)
            by_label[name] = {
                task: labels.measures(answered.filter(task=task), None, None, study.labels.bins)
                for task in labels.counts(asked.queries)
            }
    groups = task_groups(measured(study.languages, study.benchmarks))
    return scoring.summary(pl.concat(values), groups), by_label


def _shown(study: Params, benchmark: str, report: dict[str, dict], by_label: dict[str, dict]) -> list[str]:
    """The lines of `tools.results` for these models on a benchmark."""
    if labelled := {name: told[benchmark] for name, told in by_label.items() if benchmark in told}:
        shown = []
        for task in next(iter(labelled.values())):
            shown += [f"\n{benchmark}, {task} by label: x 100"]
            shown += label_table({name: told[task] for name, told in labelled.items()})
        return shown
    rows = {name: told[benchmark] for name, told in report.items()}
    every = measured(study.languages, study.benchmarks)
    metric = study.benchmarks[benchmark].metric or study.compare.metric
    return [f"\n{benchmark}: {metric} x 100", *table(rows, columns(rows, tasks(every, every)), metric)]


if __name__ == "__main__":
    errors.run(main)
