"""python -m tools.results: print the result table of each benchmark, and where the report is.

Of a benchmark by label it is the table of arXiv 2506.02527 (Recall@1, @3 and @5 by label, MRR), one for each task.
"""

from __future__ import annotations

from pathlib import Path

from stages.check import params
from stages.schemas.scores import BIAS_MEDIAN, MODEL_METRICS
from stages.schemas.summary import SUMMARY_FILE, ahead
from stages.shared import errors, tables
from stages.shared.errors import UserError
from stages.shared.tasks import BIAS, GROUPS, Task, measured, tasks, too_many
from tools.padded import padded

LABELS_FILE = Path("metrics/labels.json")
REPORT = Path("metrics/report/index.html")
BY_LABEL = {"R@1": "accuracy@1", "R@3": "accuracy@3", "R@5": "accuracy@5", "MRR": "mrr"}


def main() -> None:
    study = params.load()
    languages, benchmarks, compare = study.languages, study.benchmarks, study.compare
    if not SUMMARY_FILE.is_file():
        raise UserError("there are no results yet: run `make repro`")
    summary = tables.read_json(SUMMARY_FILE)
    names = study.rows
    scores = {}
    for name in names:
        file = MODEL_METRICS / f"{name}.json"
        scores[name] = tables.read_json(file) if file.is_file() else {}
        if missing := benchmarks.keys() - scores[name].keys():
            raise UserError(f"{file} has no results on {', '.join(sorted(missing))} yet: run `make repro`")
    every = measured(languages, benchmarks)
    asked = tasks(every, every)
    by_label = _by_label(names)
    for benchmark in benchmarks:
        chosen_on = ", on which models are chosen" if benchmark == compare.select_on else ""
        if benchmark in by_label:
            for task, rows in by_label[benchmark].items():
                print(f"\n{benchmark}{chosen_on}, {task} by label: x 100")
                print("\n".join(label_table(rows)))
            continue
        metric = benchmarks[benchmark].metric or compare.metric
        print(f"\n{benchmark}{chosen_on}: {metric} x 100")
        rows = {name: row[benchmark] for name, row in scores.items()}
        print("\n".join(table(rows, columns(rows, asked), metric)))
        present = [task for task in asked if any(task.name in row for row in rows.values())]
        for name in dict.fromkeys((summary["best_recipe"], summary["chosen_model"])) if too_many(present) else ():
            print(f"\n{benchmark}, {name}: the language that asks, and that is searched")
            print("\n".join(matrix(rows[name], present, metric)))
    leads = {key: f", {ahead(lead)}" if lead else "" for key, lead in summary.get("leads", {}).items()}
    best, chosen = (summary[key] + leads.get(key, "") for key in ("best_recipe", "chosen_model"))
    print(f"\nbest single recipe on {compare.select_on}: {best}")
    print(f"chosen model, the best of all on {compare.select_on}: {chosen}")
    print(f"report: {REPORT.resolve()}")


def _by_label(names: list[str]) -> dict[str, dict[str, dict[str, dict]]]:
    """{benchmark by label: {task: {model: its numbers}}}."""
    if not LABELS_FILE.is_file():
        raise UserError(f"{LABELS_FILE} is missing: run `make repro`")
    report = tables.read_json(LABELS_FILE)
    for benchmark, told in report.items():
        if missing := [name for name in names if name not in told["models"]]:
            raise UserError(f"{LABELS_FILE} has no results of {missing[0]} on {benchmark} yet: run `make repro`")
    return {
        benchmark: {task: {name: told["models"][name]["tasks"][task] for name in names} for task in told["tasks"]}
        for benchmark, told in report.items()
    }


def label_table(rows: dict[str, dict]) -> list[str]:
    """Lines of a table like `table`'s: models by the measures of one task by label."""
    cells = [[name, *(f"{100 * row[key]:.1f}" for key in BY_LABEL.values())] for name, row in rows.items()]
    return padded([["model", *BY_LABEL], *cells])


def columns(rows: dict[str, dict], asked: list[Task]) -> list[str]:
    """The tasks that `rows` have, unless they are too many, and the groups of tasks."""
    present = [task for task in asked if any(task.name in row for row in rows.values())]
    named = [] if too_many(present) else [task.name for task in present]
    return [*named, *(group for group in GROUPS if any(group in row for row in rows.values()))]


def matrix(row: dict, shown: list[Task], metric: str) -> list[str]:
    """Lines of a table like `table`'s: one model's tasks, a row for each language that asks."""
    corpora = list(dict.fromkeys(task.corpus for task in shown))
    cells = [
        [query, *(f"{100 * row[t][metric]:.1f}" if (t := Task(query, c).name) in row else "-" for c in corpora)]
        for query in dict.fromkeys(task.query for task in shown)
    ]
    return padded([["asks", *corpora], *cells])


def table(rows: dict[str, dict], columns: list[str], metric: str) -> list[str]:
    """Lines of a Markdown table, padded to read in a terminal: models by tasks, and language bias, its mean and, if
    it was measured, its median over queries."""
    biases = {BIAS: "bias"} | ({BIAS_MEDIAN: "median"} if any(BIAS_MEDIAN in row for row in rows.values()) else {})
    header = ["model", *columns, *biases.values()]
    cells = [
        [
            name,
            *(f"{100 * row[c][metric]:.1f}" if c in row else "-" for c in columns),
            *(f"{row.get(measure, '-')}" for measure in biases),
        ]
        for name, row in rows.items()
    ]
    return padded([header, *cells])


if __name__ == "__main__":
    errors.run(main)
