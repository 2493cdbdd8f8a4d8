"""python -m tools.gate --against REVISION [--rev REVISION]: whether a commit makes any model worse.

Each query's values are compared with those of another commit (or of a folder with params.yaml, metrics/ and
data/scores/), model by model, benchmark by benchmark and task group by task group, by the tests of `compare`. The gate
fails, with exit status 1, only where a drop is both significant, corrected for the number of comparisons in which
anything differs, and larger than `gate.tolerance` of this commit. What only one of the two has is said and not
compared. The table is Markdown, for a pull request.

The results are those of the workspace, or of --rev. What is found of a commit is kept in .state/gate, where
`tools.publish` looks.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from stages.compare import significance
from stages.settings.compare import Inference
from stages.settings.gate import Gate
from stages.settings.reading import PARAMS, validated
from stages.shared import errors, tables
from stages.shared.errors import UserError
from stages.shared.state import STATE
from stages.shared.tasks import BIAS
from tools import experiments, lock, revisions
from tools.git import git
from tools.padded import padded
from tools.revisions import Result, at

log = logging.getLogger("gate")
RECORDS = STATE / "gate"
# What processors differ by in a value, at most, though no passage changed its place.
LAST_DIGITS = 1e-6
# No model's name has it.
BEFORE = "@before"
# What is said of a difference, what matters most first.
WORSE, TOLERATED, BETTER, UNSURE = VERDICTS = "**worse**", "worse, tolerated", "better", "not significant"
SHOWN_GROUPS = {"mono": "Mono", "cross": "Cross", "multi": "Multi", BIAS: "Bias"}


class Judged(NamedTuple):
    """What two results have in common, tested.

    Attributes:
        rows: a row for each benchmark, metric, group and model of which any query differs: that of
            `significance.family`, `tolerance`, and `verdict` (WORSE where the gate fails).
        equal: how many of them do not differ in any query.
        said: what only one of the two has, and what is not compared.
    """

    rows: pl.DataFrame
    equal: int
    said: list[str]

    @property
    def passed(self) -> bool:
        return not (self.rows["verdict"] == WORSE).any()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.gate", description=__doc__.split("\n\n")[0])
    parser.add_argument("--against", required=True, metavar="REVISION", help="of Git, e.g. main; or a folder")
    parser.add_argument("--rev", metavar="REVISION", help="what is judged, in place of the workspace")
    arguments = parser.parse_args()
    lock.mend()
    before, after = result(arguments.against), result(arguments.rev)
    found = compare(before, after)
    print("\n".join(shown(before, after, found)))
    keep(after, arguments.against, found.passed)
    if not found.passed:
        sys.exit(1)


def result(name: str | None) -> Result:
    """The results of a revision, of a folder, or (None) of the workspace; raises `UserError` if there are none."""
    if name and Path(name).is_dir():
        return revisions.saved([Path(name)])[0]
    commit = (git("rev-parse", "--verify", "--quiet", f"{name or 'HEAD'}^{{commit}}") or "").strip()
    if not commit:
        raise UserError(f"{name or 'HEAD'} is no commit of this repository and no folder: fetch it, or name another")
    found = revisions.read(name or "workspace", commit if name else None, commit)
    if found is None:
        if name is None:
            raise UserError(f"the results here are not those of {PARAMS}: run `dvc repro`")
        raise UserError(
            f"{name} has no results of its {PARAMS}: build it and commit dvc.lock and metrics/, or name a folder where "
            "it was built"
        )
    return found


def compare(before: Result, after: Result) -> Judged:
    """Raises `UserError` if the two have nothing in common, or if values are not to be had."""
    try:
        gate: Gate = validated(after.settings["gate"], Gate, Path(PARAMS), ["gate"])
    except KeyError:
        raise UserError(f"{after.name} has no group gate in {PARAMS}: add it") from None
    testing = Inference.of(after.settings["compare"])
    metrics = sorted({*after.metrics.values(), *gate.metrics, BIAS})
    values, old = _values(after, metrics), _values(before, metrics)
    keys = ["model", "benchmark", "task", "query", "metric"]
    both = values.join(old, on=keys, suffix=BEFORE, maintain_order="left")
    groups = before.task_groups | after.task_groups
    parts, equal = [], 0
    for benchmark, metric in after.metrics.items():
        if benchmark not in before.metrics:
            continue
        for own_metric in dict.fromkeys([metric, *gate.metrics]):
            measures = [own_metric, *([BIAS] if own_metric == metric else [])]
            own = both.filter(pl.col("metric").is_in(measures), benchmark=benchmark)
            for model in own["model"].unique(maintain_order=True):
                table = _tested(own.filter(model=model), groups, benchmark, testing, after.seed)
                differs = table.filter(pl.col("differs"))
                equal += table.height - differs.height
                parts.append(differs.with_columns(metric=pl.lit(own_metric), benchmark=pl.lit(benchmark)))
    if not parts:
        raise UserError(f"{before.name} and {after.name} have no model, benchmark and query in common to compare")
    family = significance.family(pl.concat(parts), testing, ("benchmark", "metric", "group"))
    rows = [
        row | dict(zip(("tolerance", "verdict"), _verdict(row, gate), strict=True))
        for row in family.iter_rows(named=True)
    ]
    judged = pl.DataFrame(rows, {**family.schema, "tolerance": pl.Float64, "verdict": pl.String}, orient="row")
    return Judged(judged, equal, _said(before, after, gate, both, values, old))


def _values(of: Result, metrics: list[str]) -> pl.DataFrame:
    try:
        return revisions.query_scores(of, metrics)
    except UserError as error:
        if of.revision is None:
            raise
        raise UserError(
            f"{error}; without a remote, build it beside (`git worktree add ../before {of.name}`, then `make -C "
            "../before repro`) and write --against ../before"
        ) from None


def _tested(own: pl.DataFrame, groups: dict[str, str], benchmark: str, testing: Inference, seed: int) -> pl.DataFrame:
    """One model on one benchmark: `significance.pairs`, and whether any query differs."""
    sides = [own.drop(f"value{BEFORE}"), own.with_columns(pl.col("model") + BEFORE, value=f"value{BEFORE}")]
    asked = significance.by_query(pl.concat(side.select(sides[0].columns) for side in sides), groups)
    model = own["model"][0]
    spread = asked.group_by("group", "query").agg(pl.col("value").max() - pl.col("value").min())
    differing = spread.filter(pl.col("value") > LAST_DIGITS)["group"].unique().to_list()
    table = significance.pairs(asked, benchmark, [(model, model + BEFORE)], testing, seed)
    return table.with_columns(differs=pl.col("group").is_in(differing))


def _verdict(row: dict[str, Any], gate: Gate) -> tuple[float, str]:
    """How much may be lost, and what is to be said of the difference."""
    group = row["group"]
    if group == BIAS:
        tolerance, lost = gate.tolerance.bias, row["difference"]
    else:
        tolerance, lost = getattr(gate.metrics.get(row["metric"], gate.tolerance), group), -row["difference"]
    if not row["significant"] or lost == 0:
        return tolerance, UNSURE
    return tolerance, BETTER if lost < 0 else WORSE if lost > tolerance else TOLERATED


def _said(
    before: Result, after: Result, gate: Gate, both: pl.DataFrame, values: pl.DataFrame, old: pl.DataFrame
) -> list[str]:
    """What only one of the two has, and what is not compared; `both`: the values that the two have in common."""
    said = []
    for what, old_names, names in (
        ("models", before.models, after.models),
        ("benchmarks", [*before.metrics], [*after.metrics]),
    ):
        for word, these, those in (("new", names, old_names), ("removed", old_names, names)):
            if only := [name for name in these if name not in those]:
                said.append(f"{word} {what}: {', '.join(only)}")
    for benchmark in [name for name in after.metrics if name in before.metrics]:
        if (metric := after.metrics[benchmark]) != (earlier := before.metrics[benchmark]):
            said.append(f"{benchmark} was compared by {earlier} and is by {metric}, by which both are compared here")
        now, was = (table.filter(benchmark=benchmark).select("task", "query").unique() for table in (values, old))
        for word, one, other in (("new", now, was), ("removed", was, now)):
            gone = one.join(other, on=["task", "query"], how="anti")
            if gone.height:
                tasks = gone["task"].unique().sort().to_list()
                said.append(f"{word} queries on {benchmark}: {gone['query'].n_unique():,} in {', '.join(tasks)}")
        scored = both.filter(benchmark=benchmark)["metric"].unique().to_list()
        if lacking := [name for name in dict.fromkeys([metric, *gate.metrics]) if name not in scored]:
            said.append(f"not compared on {benchmark}: {', '.join(lacking)}, of which the two have no query in common")
    return said


def shown(before: Result, after: Result, found: Judged) -> list[str]:
    """The lines of a Markdown page: the verdict, the table, what else is to be known."""
    failed = found.rows.filter(verdict=WORSE).height
    confidence = 100 * Inference.of(after.settings["compare"]).confidence
    total = found.rows.height + found.equal
    verdict = f"{failed} of {total} comparisons are" if failed else f"of {total} comparisons none is"
    lines = [
        f"## Gate: {'failed' if failed else 'passed'}",
        "",
        f"{after.name} against {before.name}: {verdict} significantly worse by more than is tolerated; in "
        f"{found.equal} no query differs.",
    ]
    if found.rows.height:
        header = ["benchmark", "model", "tasks", "metric", "difference", f"{confidence:g} %"]
        rows = found.rows.sort(pl.col("verdict").cast(pl.Enum(VERDICTS)), maintain_order=True)
        cells = [_cells(row) for row in rows.iter_rows(named=True)]
        lines += ["", *padded([[*header, "corrected p", "tolerated", "verdict"], *cells], 4)]
    lines += ["", *(f"- {line}" for line in found.said), *(f"- {line}" for line in changed(before, after))]
    return lines


def _cells(row: dict[str, Any]) -> list[str]:
    scale = 1 if row["group"] == BIAS else 100
    difference, low, high = (f"{scale * row[key] + 0.0:+.2f}" for key in ("difference", "low", "high"))
    facts = (row["benchmark"], row["model"], SHOWN_GROUPS[row["group"]])
    metric = "ranks" if row["group"] == BIAS else f"{row['metric']} x 100"
    p = f"{row['p_corrected']:.2g}"
    return [*facts, metric, difference, f"{low} to {high}", p, f"{scale * row['tolerance']:g}", row["verdict"]]


def changed(before: Result, after: Result) -> list[str]:
    """A line for each key of params.yaml that differs, and one for code and data."""
    trees = [before.settings | {"seed": before.seed}, after.settings | {"seed": after.seed}]
    lines = []
    for key in experiments.differing(trees):
        was, now = (json.dumps(at(tree, key), ensure_ascii=False) for tree in trees)
        lines.append(f"`{'.'.join(key)}`: {was} → {now}")
    lines = lines or ["params are the same"]
    # What a folder was built from is not known.
    if before.made_from and after.made_from:
        lines.append(f"code and data {'are the same' if before.made_from == after.made_from else 'differ'}")
    return lines


def keep(after: Result, against: str, passed: bool) -> None:
    """Note what was found of a commit, if it is one whose files are as committed."""
    if after.folder != Path():
        return
    if after.revision is None and git("status", "--porcelain", "--untracked-files=no"):
        log.info("the workspace is not as committed: tools.publish will ask for a verdict on what is")
        return
    tables.write_json({"against": against, "passed": passed}, RECORDS / f"{after.commit}.json")


def verdict(commit: str) -> dict[str, Any] | None:
    """What the gate found of a commit: {against, passed}; None if it was not asked."""
    file = RECORDS / f"{commit}.json"
    return tables.read_json(file) if file.is_file() else None


if __name__ == "__main__":
    errors.run(main)
