"""python -m tools.path A B [--beyond 0.5] [--beside joint ...] [--chart FILE]: what lies between two models.

A and B are recipes, merges or the base. Their weights are averaged at 0, 0.1 ... 1 of B, and each average is measured
on the benchmark that models are chosen on (`compare.select_on`); with --beyond also before A and behind B. Prints a
table and writes a chart of Mono, Cross, Multi and language bias. A transformer's vectors are kept: what was encoded
once, for the study too, is not encoded again.
"""

from __future__ import annotations

import argparse
from html import escape
from pathlib import Path

from stages.check import params
from stages.check.groups import Params
from stages.plans import search
from stages.report.geometry import Box, axis
from stages.schemas.plans import PLAN_FILE, PLANS_FOLDER, Plan
from stages.settings.reading import meant
from stages.shared import errors, models, ranking, tables
from stages.shared.errors import UserError
from stages.shared.tasks import BIAS
from tools.padded import padded

# Of a step from A to B; and what a chart shows, in what.
STEP = 0.1
PANELS = {"mono": "Mono", "cross": "Cross", "multi": "Multi", BIAS: "Language bias, ranks"}
WIDTH, HEIGHT = 380, 240
STYLE = """svg { background: var(--page, #fcfbf8); color: #1b1e23; font: 12px system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { svg { background: #15181c; color: #e9e7e2; } }
text { fill: currentColor; } .tick { stroke: currentColor; opacity: .2; }
.path { fill: none; stroke: #1c7ac0; stroke-width: 2; } .point { fill: #1c7ac0; }
.beside { stroke: currentColor; stroke-dasharray: 4 3; opacity: .7; }"""
Measures = dict[str, float]


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
    rows = [*((f"{share:g}", told) for share, told in found.items()), *lines.items()]
    shown = [measure for measure in PANELS if all(measure in told for _, told in rows)]
    cells = [[name, *(_told(measure, told[measure]) for measure in shown)] for name, told in rows]
    print(f"{study.compare.select_on}: {_metric(study)} x 100, and language bias in ranks")
    print("\n".join(padded([[f"share of {other}, else {one}", *(PANELS[m] for m in shown)], *cells])))
    chart = given.chart or Path(f"{one}-{other}.svg")
    tables.write_text(svg(one, other, found, lines, shown), chart)
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


def svg(one: str, other: str, found: dict[float, Measures], lines: dict[str, Measures], shown: list[str]) -> str:
    """A panel of each measure over the share of `other`, `lines` across it."""
    rows = (len(shown) + 1) // 2
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {rows * HEIGHT}" role="img">',
        f"<title>{escape(f'From {one} to {other}')}</title>",
        f"<style>{STYLE}</style>",
    ]
    for number, measure in enumerate(shown):
        drawn += _panel(measure, one, other, found, lines, WIDTH * (number % 2), HEIGHT * (number // 2))
    return "\n".join([*drawn, "</svg>"]) + "\n"


def _panel(
    measure: str, one: str, other: str, found: dict[float, Measures], lines: dict[str, Measures], left: int, top: int
) -> list[str]:
    frame = Box(left + 44, top + 26, left + WIDTH - 70, top + HEIGHT - 40)
    scale = 1 if measure == BIAS else 100
    values = {share: scale * told[measure] for share, told in found.items()}
    across = axis(list(values), frame.left, frame.right, margin=0.0)
    up = axis([*values.values(), *(scale * told[measure] for told in lines.values())], frame.bottom, frame.top)
    places = [(across.at(share), up.at(value)) for share, value in values.items()]
    drawn = [f'<text x="{frame.left}" y="{top + 16}" font-weight="600">{PANELS[measure]}</text>']
    for tick in up.ticks(5):
        drawn.append(f'<line class="tick" x1="{frame.left}" x2="{frame.right}" y1="{tick.at}" y2="{tick.at}"/>')
        drawn.append(f'<text x="{frame.left - 6}" y="{tick.at + 4}" text-anchor="end">{tick.text}</text>')
    for share, name in ((0.0, one), (1.0, other)):
        x = across.at(share)
        drawn.append(f'<line class="tick" x1="{x}" x2="{x}" y1="{frame.top}" y2="{frame.bottom}"/>')
        drawn.append(f'<text x="{x}" y="{frame.bottom + 16}" text-anchor="middle">{escape(name)}</text>')
    for name, told in lines.items():
        y = up.at(scale * told[measure])
        drawn.append(f'<line class="beside" x1="{frame.left}" x2="{frame.right}" y1="{y}" y2="{y}"/>')
        drawn.append(f'<text x="{frame.right + 6}" y="{y + 4}">{escape(name)}</text>')
    drawn.append(f'<polyline class="path" points="{" ".join(f"{x:g},{y:g}" for x, y in places)}"/>')
    for (x, y), (share, value) in zip(places, values.items(), strict=True):
        title = f"{share:g} of {other}: {_told(measure, value / scale)}"
        drawn.append(f'<circle class="point" cx="{x}" cy="{y}" r="3"><title>{escape(title)}</title></circle>')
    return drawn


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


def _told(measure: str, value: float) -> str:
    return f"{value:.1f}" if measure == BIAS else f"{100 * value:.1f}"


if __name__ == "__main__":
    errors.run(main)
