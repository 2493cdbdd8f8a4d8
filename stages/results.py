"""python -m stages.results: print the result table of each benchmark, and where the report is."""

from __future__ import annotations

import json
from pathlib import Path

from stages.shared import errors, models, params
from stages.shared.errors import UserError
from stages.shared.languages import BIAS, GROUPS, measured, tasks

SUMMARY = Path("metrics/summary.json")
MODELS = Path("metrics/models")
REPORT = Path("metrics/report/index.html")


def main() -> None:
    languages, recipes, merges, benchmarks, compare = params.read(
        "languages", "recipes", "merges", "benchmarks", "compare"
    )
    if not SUMMARY.is_file():
        raise UserError("there are no results yet: run `make repro`")
    summary = json.loads(SUMMARY.read_text(encoding="utf-8"))
    names = models.names(recipes, merges)
    for name in names:
        file = MODELS / f"{name}.json"
        missing = benchmarks.keys() - (json.loads(file.read_text()).keys() if file.is_file() else set())
        if missing:
            raise UserError(f"{file} has no results on {', '.join(sorted(missing))} yet: run `make repro`")
    scores = {name: json.loads((MODELS / f"{name}.json").read_text()) for name in names}
    every = measured(languages, benchmarks)
    columns = [*(task.name for task in tasks(every, every)), *GROUPS]
    for benchmark in benchmarks:
        chosen_on = ", on which models are chosen" if benchmark == compare.select_on else ""
        metric = benchmarks[benchmark].metric or compare.metric
        print(f"\n{benchmark}{chosen_on}: {metric} x 100")
        present = [c for c in columns if any(c in row[benchmark] for row in scores.values())]
        print("\n".join(table({name: row[benchmark] for name, row in scores.items()}, present, metric)))
    print(f"\nbest single recipe on {compare.select_on}: {summary['best_recipe']}")
    print(f"chosen model, the best of all on {compare.select_on}: {summary['chosen_model']}")
    print(f"report: {REPORT.resolve()}")


def table(rows: dict[str, dict], columns: list[str], metric: str) -> list[str]:
    """Lines of a Markdown table, padded to read in a terminal: models by tasks, and language bias."""
    header = ["model", *columns, "bias"]
    cells = [
        [
            name,
            *(f"{100 * row[c][metric]:.1f}" if c in row else "-" for c in columns),
            f"{row.get(BIAS, '-')}",
        ]
        for name, row in rows.items()
    ]
    widths = [max(len(line[i]) for line in (header, *cells)) for i in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [header, rule, *cells]
    return [
        "| "
        + " | ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))])
        + " |"
        for line in lines
    ]


if __name__ == "__main__":
    errors.run(main)
