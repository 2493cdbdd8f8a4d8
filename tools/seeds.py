"""python -m tools.seeds table|compare|save: a study over several seeds, from its experiments or from saved folders.

table: of each benchmark a table of every model, mean ± sample standard deviation over the seeds; --domain: of the
queries about a domain.

compare A B [C D ...]: whether A is better than B, and C than D: the differences' mean and deviation over seeds, in how
many seeds they have that sign, and in how many that is significant alone; then a test against both seeds and queries
(`paired.claims`), corrected for all pairs, task groups and benchmarks that are printed. A claim holds if it is
significant then, and every seed agrees.

save FOLDER: what the other two read, of each seed a folder FOLDER/seed-N, to be copied from clone to clone.

The seeds are those of the experiments of HEAD (--all: of any commit), of the workspace and of HEAD, or those of the
folders that --from names, each with params.yaml, metrics/ and data/scores/ as `save` or a copy of a workspace has them.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from stages.compare import significance
from stages.schemas.comparison import DOMAINS_FOLDER, DOMAINS_TABLE
from stages.schemas.scores import MODEL_METRICS
from stages.schemas.summary import SUMMARY_FILE
from stages.settings.compare import Inference
from stages.settings.reading import PARAMS
from stages.shared import errors, tables
from stages.shared.errors import UserError
from stages.shared.rounding import rounded
from stages.shared.tasks import BIAS, GROUPS, MOST_IN_COLUMNS
from tools import experiments, lock, paired, revisions
from tools.graph import LOCK
from tools.padded import padded
from tools.revisions import Result

log = logging.getLogger("seeds")
BIASES = experiments.TITLES


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.seeds")
    commands = parser.add_subparsers(dest="command", required=True)
    source = argparse.ArgumentParser(add_help=False)
    source.add_argument("--all", action="store_true", help="experiments made on any commit, not on HEAD alone")
    source.add_argument(
        "--from", dest="folders", nargs="+", type=Path, metavar="FOLDER", help="folders, one for each seed"
    )
    shown = argparse.ArgumentParser(add_help=False)
    shown.add_argument(
        "--benchmark", nargs="+", metavar="NAME", help="by default all on which no model is chosen, or the only one"
    )
    shown.add_argument("--metric", help="by default what the benchmark is measured by")
    tabling = commands.add_parser("table", parents=[source, shown], help="mean and deviation of every model")
    tabling.add_argument("--domain", nargs="+", metavar="NAME", help="of the queries about these of domains")
    comparing = commands.add_parser("compare", parents=[source, shown], help="whether one model is better than another")
    comparing.add_argument("models", nargs="+", metavar="A B", help="A against B, then C against D")
    comparing.add_argument(
        "--group",
        nargs="+",
        metavar="GROUP",
        help="mono, cross, multi, bias, or tasks such as ko-en (default: the four)",
    )
    saving = commands.add_parser("save", parents=[source], help="each seed's results to a folder")
    saving.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    results = of_one_study(revisions.saved(arguments.folders) if arguments.folders else experiments_of(arguments.all))
    if arguments.command == "save":
        save(results, arguments.folder)
        return
    benchmarks = {
        name: arguments.metric or metric for name, metric in _benchmarks(results, arguments.benchmark).items()
    }
    if arguments.command == "table" and arguments.domain:
        if arguments.metric:
            raise UserError("--domain has the metric that the benchmark is measured by: leave out --metric")
        found = {name: of_domains(results, name) for name in benchmarks}
        blocks = [
            by_domain(results, found[name], name, metric, domain)
            for domain in arguments.domain
            for name, metric in benchmarks.items()
        ]
    elif arguments.command == "table":
        blocks = [table(results, name, metric) for name, metric in benchmarks.items()]
    else:
        blocks = [claims(results, _pairs(arguments.models, results), arguments.group, benchmarks)]
    print("\n\n".join(blocks))


def experiments_of(every: bool) -> list[Result]:
    """The experiments' results and what adds a seed to them; without any, the workspace's."""
    lock.mend()
    head = revisions.head()
    if not head:
        raise UserError("there is no commit here, and so no experiment: run in a clone, or name folders with --from")
    made_on = None if every else head
    results = revisions.finished(made_on)
    for name, why in revisions.unfinished(made_on):
        log.info(f"left out: {name}, {why}")
    results += revisions.further_seeds(results, head)
    workspace = None if results else revisions.read("workspace", None, head)
    found = [workspace] if workspace else results
    if not found:
        raise UserError(
            'there are no results here: queue seeds (`make study STUDY=... SWEEP="seed=1,2,3"`) and run them '
            "(`python -m tools.queued`), add --all for other commits' experiments, or name folders with --from"
        )
    return found


def of_one_study(results: list[Result]) -> list[Result]:
    """The results by seed; raises `UserError` unless they differ in the seed alone."""
    by_seed: dict[int, Result] = {}
    for result in sorted(results, key=lambda r: r.seed):
        first = results[0]
        if result.group != first.group:
            keys = ", ".join(".".join(key) or "code or data" for key in experiments.columns([first, result]))
            raise UserError(
                f"{first.name} and {result.name} differ in more than the seed ({keys}): name the folders of one study "
                "with --from (`save` makes them), remove experiments with `dvc exp remove`, or see `tools.experiments`"
            )
        if other := by_seed.get(result.seed):
            raise UserError(f"{other.name} and {result.name} are both of seed {result.seed}: name one of them")
        by_seed[result.seed] = result
    return list(by_seed.values())


def _benchmarks(results: list[Result], named: list[str] | None) -> dict[str, str]:
    known = results[0].metrics
    selecting = results[0].settings["compare"]["select_on"]
    wanted = named or [name for name in known if name != selecting] or list(known)
    if missing := [name for name in wanted if name not in known]:
        raise UserError(f"--benchmark {missing[0]}: the study has {', '.join(known)}")
    return {name: known[name] for name in wanted}


def _pairs(models: list[str], results: list[Result]) -> list[tuple[str, str]]:
    if len(results) < 2:
        raise UserError(f"there is seed {results[0].seed} alone, which says nothing of others: build another")
    if len(models) % 2:
        raise UserError(f"{len(models)} models are no pairs: write A B for A against B, then C D")
    if missing := [model for model in models if model not in results[0].models]:
        raise UserError(f"the study has no model {missing[0]}: it has {', '.join(results[0].models)}")
    return list(zip(models[::2], models[1::2], strict=True))


def table(results: list[Result], benchmark: str, metric: str) -> str:
    """A titled table: a row for each model, a column for each task, group of tasks, and language bias."""
    trees = [revisions.scored(result) for result in results]
    measured = trees[0][results[0].models[0]][benchmark]
    tasks = [name for name in results[0].task_groups if name in measured]
    if len(tasks) > MOST_IN_COLUMNS * (MOST_IN_COLUMNS + 1):
        tasks = []
    columns = [name for name in (*tasks, *GROUPS, *BIASES) if name in measured]

    def cell(model: str, column: str) -> str:
        # A fusion has no language bias.
        rows = [tree[model][benchmark][column] for tree in trees if column in tree[model][benchmark]]
        if column in BIASES or not rows:
            return experiments.spread(rows)
        if metric not in rows[0]:
            raise UserError(f"{metric} was not scored on {benchmark}, but {', '.join(rows[0])}")
        return experiments.spread([100 * row[metric] for row in rows])

    lines = [["model", *(BIASES.get(column, column) for column in columns)]]
    lines += [[model, *(cell(model, column) for column in columns)] for model in results[0].models]
    seeds = ", ".join(str(result.seed) for result in results)
    return "\n".join([f"{benchmark}: {metric} x 100, mean ± deviation over seeds {seeds}", "", *padded(lines)])


def of_domains(results: list[Result], benchmark: str) -> list[pl.DataFrame]:
    """DOMAINS_TABLE of each result; raises `UserError` if it has none."""
    tables_of = []
    for result in results:
        text = revisions.stored(result.revision, DOMAINS_FOLDER / f"{benchmark}.csv", result.folder)
        if text is None:
            raise UserError(f"{result.name} lacks {DOMAINS_FOLDER}/{benchmark}.csv: run it again, and save it again")
        tables_of.append(pl.read_csv(text.encode(), schema_overrides=DOMAINS_TABLE))
    return tables_of


def by_domain(results: list[Result], tables_of: list[pl.DataFrame], benchmark: str, metric: str, domain: str) -> str:
    """A titled table: a row for each model, a column for each group of tasks and language bias, of one domain."""
    own = [table.filter(domain=domain) for table in tables_of]
    if any(table.is_empty() for table in own):
        known = ", ".join(tables_of[0]["domain"].unique(maintain_order=True))
        raise UserError(f"--domain {domain}: {benchmark} has {known}")
    columns = [name for name in (*GROUPS, BIAS) if own[0][name].count()]
    lines = [["model", *(BIASES.get(column, column) for column in columns)]]
    for model in results[0].models:
        rows = [table.filter(model=model).row(0, named=True) for table in own]
        scale = {column: 1 if column == BIAS else 100 for column in columns}
        cells = [[scale[c] * row[c] for row in rows if row[c] is not None] for c in columns]
        lines.append([model, *map(experiments.spread, cells)])
    seeds = ", ".join(str(result.seed) for result in results)
    title = f"{benchmark}, {domain}: {metric} x 100, mean ± deviation over seeds {seeds}"
    return "\n".join([title, "", *padded(lines)])


def claims(
    results: list[Result], pairs: list[tuple[str, str]], named: list[str] | None, benchmarks: dict[str, str]
) -> str:
    """A table of each pair in each group (a group or task) of each benchmark, p corrected over all of them."""
    settings = Inference.of(results[0].settings["compare"])
    groups, tasks = _groups(results[0], named)
    values = pl.concat(
        revisions.query_scores(result, [*benchmarks.values(), BIAS]).with_columns(seed=pl.lit(result.seed, pl.Int64))
        for result in results
    )
    alpha = 1 - settings.confidence
    parts = []
    for benchmark, metric in benchmarks.items():
        own = values.filter(pl.col("metric").is_in([metric, BIAS]), benchmark=benchmark)
        if own.filter(metric=metric).is_empty():
            raise UserError(f"{metric} was not scored on {benchmark}: name one of score.metrics")
        apart = own.filter(pl.col("task").is_in(list(tasks)), pl.col("metric") != BIAS)
        for of, mapping in ((own, groups), (apart, tasks)):
            if not of.is_empty():
                parts.append(paired.claims(of, mapping, pairs, alpha).with_columns(benchmark=pl.lit(benchmark)))
    found = pl.concat(parts)
    if named:
        found = found.filter(pl.col("group").is_in([BIAS if name == BIASES[BIAS] else name for name in named]))
    if found.is_empty():
        raise UserError(f"no such tasks are measured: --group {' '.join(named or ())}")
    corrected = significance.correct(found["p"].to_numpy(), settings.correction)
    header = ["claim", "tasks", "difference", f"{100 * settings.confidence:g} %", "seeds", "alone"]
    lines = [["benchmark", *header, "p of seeds", "of queries", "of both", "corrected", "holds"]]
    for row, p in zip(found.iter_rows(named=True), corrected, strict=True):
        scale, better = (1, -1) if row["group"] == BIAS else (100, 1)
        sure = p < alpha and row["same_sign"] == row["seeds"]
        difference, low, high = (
            f"{scale * rounded(row[key], row['group']):+.1f}" for key in ("difference", "low", "high")
        )
        lines.append(
            [
                row["benchmark"],
                f"{row['model']} better than {row['reference']}",
                BIASES.get(row["group"], row["group"]),
                f"{difference} ± {scale * row['deviation']:.1f}",
                f"{low} to {high}",
                f"{row['same_sign']} of {row['seeds']}",
                str(row["alone"]),
                *(f"{value:.2g}" for value in (row["p_seeds"], row["p_queries"], row["p"], p)),
                "no" if not sure else "yes" if better * row["difference"] > 0 else "the reverse",
            ]
        )
    metrics = ", ".join(dict.fromkeys(benchmarks.values()))
    title = (
        f"{metrics} x 100 and bias in ranks (lower is better), mean ± deviation of {len(results)} seeds' differences; "
        f"seeds: with that sign; alone: significant by itself; p corrected by {settings.correction} over these rows"
    )
    return "\n".join([title, "", *padded(lines, 3)])


def _groups(result: Result, named: list[str] | None) -> tuple[dict[str, str], dict[str, str]]:
    """Which task belongs to which of mono, cross and multi; and those that are named themselves, each to itself."""
    known = result.task_groups
    groups = [*GROUPS, BIAS, BIASES[BIAS], *known]
    if missing := [name for name in named or () if name not in groups]:
        raise UserError(f"--group {missing[0]}: write mono, cross, multi, bias or a task ({', '.join(known)})")
    return known, {task: task for task in known if task in (named or ())}


def save(results: Sequence[Result], folder: Path) -> None:
    """Write each seed's params.yaml, dvc.lock, metrics and values of queries to folder/seed-N."""
    for result in results:
        with tables.replacing(folder / f"seed-{result.seed}") as draft:
            files = [PARAMS, LOCK, SUMMARY_FILE, *(MODEL_METRICS / f"{model}.json" for model in result.models)]
            files += [DOMAINS_FOLDER / f"{benchmark}.csv" for benchmark in result.metrics]
            for file in map(Path, files):
                (draft / file).parent.mkdir(parents=True, exist_ok=True)
                text = revisions.stored(result.revision, file, result.folder)
                if text is not None:
                    (draft / file).write_text(text, encoding="utf-8")
            for file, content in revisions.score_files(result).items():
                (draft / file).parent.mkdir(parents=True, exist_ok=True)
                (draft / file).write_bytes(content)
        log.info(f"seed {result.seed} of {result.name}: {folder / f'seed-{result.seed}'}")


if __name__ == "__main__":
    errors.run(main)
