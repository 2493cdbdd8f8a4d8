"""python -m tools.path A B [--beyond 0.5] [--beside joint ...] [--chart FILE]: what lies between two models.

A and B are recipes, merges or the base. Their weights are averaged at 0, 0.1 ... 1 of B, and each average is measured
on the benchmark that models are chosen on (`compare.select_on`); with --beyond also before A and behind B. Prints a
table and writes a chart of Mono, Cross, Multi and language bias. A transformer's vectors are kept: what was encoded
once, for the study too, is not encoded again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from stages.check import params
from stages.check.groups import Params
from stages.plans import search
from stages.schemas.plans import PLAN_FILE, PLANS_FOLDER, Plan
from stages.settings.reading import meant
from stages.shared import errors, models, ranking, tables
from stages.shared.errors import UserError
from tools.curves import PANELS, Measures, svg, told
from tools.padded import padded

# Of the way from A to B.
STEP = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.path", description=__doc__.split("\n\n")[0])
    parser.add_argument("models", nargs=2, metavar="MODEL", help="a recipe, a merge or base")
    parser.add_argument("--beyond", type=float, default=0.0, metavar="SHARE", help="how far to go on at both ends")
    parser.add_argument(
        "--beside", nargs="*", metavar="MODEL", help="drawn as lines; else base, and joint if there is one"
    )
    parser.add_argument("--chart", type=Path, metavar="FILE", help="else <A>-<B>.svg here")
    given = parser.parse_args()
    study = params.load()
    beside = given.beside
    if beside is None:
        beside = [name for name in (models.BASE_NAME, "joint") if name not in given.models and name in _known(study)]
    for name in (*given.models, *beside):
        if name not in (known := _known(study)):
            raise UserError(f"{name!r} is no model of the study{meant(name, known)}: name one of {', '.join(known)}")
    one, other = given.models
    if one == other:
        raise UserError(f"{one!r} is named twice: name two models, between which the path leads")
    found, lines = path(study, one, other, given.beyond), lines_of(study, beside)
    rows = [*((f"{share:g}", measures) for share, measures in found.items()), *lines.items()]
    shown = [measure for measure in PANELS if all(measure in measures for _, measures in rows)]
    cells = [[name, *(told(measure, measures[measure]) for measure in shown)] for name, measures in rows]
    print(f"{study.compare.select_on}: {_metric(study)} x 100, and language bias in ranks")
    print("\n".join(padded([[f"share of {other}, else {one}", *(PANELS[m] for m in shown)], *cells])))
    chart = given.chart or Path(f"{one}-{other}.svg")
    tables.write_text(svg(f"From {one} to {other}", found, {0.0: one, 1.0: other}, lines, shown), chart)
    print(f"\n{chart} shows it")


def path(study: Params, one: str, other: str, beyond: float) -> dict[float, Measures]:
    """What each average of the models `one` and `other` is worth, by the share of the latter."""
    searching, asked = _searching(study), ranking.benchmark(study.compare.select_on)
    merged = {name: _plan(name) for name in (one, other) if name in study.merges}
    ends = round(beyond / STEP)
    found = {}
    for step in range(-ends, round(1 / STEP) + ends + 1):
        share = round(step * STEP, 10)
        weights = [round(1 - share, 10), share]
        plan = Plan(name="path", method="linear", models=[one, other], weights=weights, merged=merged)
        found[share] = searching.measured(plan, _importances(merged), asked)
    return found


def lines_of(study: Params, names: list[str]) -> dict[str, Measures]:
    """What these models are worth as they are."""
    searching, asked = _searching(study), ranking.benchmark(study.compare.select_on)
    folders = {name: models.MERGED / name if name in study.merges else models.source(name) for name in names}
    return {name: searching.measured_in(folder, asked) for name, folder in folders.items()}


def _known(study: Params) -> list[str]:
    return models.names(study.recipes, study.merges)


def _metric(study: Params) -> str:
    return study.benchmarks[study.compare.select_on].metric or study.compare.metric


def _searching(study: Params) -> search.Searching:
    return search.Searching(
        study.compare.select_on, _metric(study), study.retrieve, study.train.freeze, study.windows, study.seed
    )


def _plan(merge: str) -> Plan:
    return Plan.model_validate(tables.read_json(PLANS_FOLDER / merge / PLAN_FILE))


def _importances(merged: dict[str, Plan]) -> Path:
    """Where what the merges among the two have learnt lies; raises `UserError` if both have learnt, in two folders."""
    learnt = [name for name in merged if any((PLANS_FOLDER / name).glob("*.safetensors"))]
    if len(learnt) > 1:
        raise UserError(
            f"{' and '.join(learnt)} have both learnt from training rows: name the models that they are made of"
        )
    return PLANS_FOLDER / next(iter(learnt), "")


if __name__ == "__main__":
    errors.run(main)
