"""From params and numbers to the page: each module makes its part of it, and here they are put together."""

from __future__ import annotations

from pathlib import Path

from stages.report import charts, contamination, contrasts, encoders, labels, provenance, recipes
from stages.report.inputs import Results
from stages.report.measurement import Measurement, measurement
from stages.report.page import Ahead, Page
from stages.report.settings import settings
from stages.report.study import Study
from stages.report.wording import CORRECTIONS, GROUP_TITLES, shown_path
from stages.schemas.summary import Lead, ahead
from stages.settings.compare import Constraint, ObjectiveWeights
from stages.shared.languages import language_name
from stages.shared.tasks import BIAS, GROUPS


def page(study: Study, results: Results) -> Page:
    """Everything that the templates show."""
    compare = study.compare
    measured = {name: measurement(study, results, name) for name in study.benchmarks}
    shown_base = shown_path(study.base.name)
    static = study.base.name == "static"
    return Page(
        title=study.report.title,
        languages=[(tag, language_name(tag)) for tag in study.languages],
        chosen_by=_chosen_by(compare.choose.weights, measured[compare.select_on]),
        rule=_rule(study, results),
        select_on=compare.select_on,
        correction=CORRECTIONS[compare.correction],
        confidence=f"{100 * compare.confidence:g}",
        alpha=f"{1 - compare.confidence:.3g}",
        resamples=f"{compare.resamples:,}",
        counts={"models": len(study.models), "recipes": len(study.recipes), "merges": len(study.merges)},
        best_recipe=results.best_recipe,
        best_ahead=_ahead(results.leads["best_recipe"]),
        chosen=recipes.chosen(study, results.chosen),
        chosen_ahead=_ahead(results.leads["chosen_model"]),
        reported=[m for m in measured.values() if not m.selecting],
        selecting=measured[compare.select_on],
        by_label=_by_label(study, results, list(measured.values())),
        precision=f"{100 * study.precision:g}",
        curves=charts.curves(results.losses),
        costs=contrasts.costs_table(study, results.costs),
        synthesis=provenance.synthesis_table(results.synthesis),
        negatives=provenance.negatives_table(results.negatives),
        lexicons=provenance.lexicons(results.lexicons),
        codeswitched=provenance.codeswitched(results.codeswitch),
        trained_queries=provenance.trained_queries(
            results.trainsets, results.negatives, {name: own.negatives for name, own in study.trained.items()}
        ),
        corpus=provenance.corpus(results.corpus),
        contamination=contamination.table(results.contamination, list(study.trained)),
        encoders=[
            encoders.encoder("base", study.base, results.encoders["base"]),
            encoders.encoder("teacher", study.teacher, results.encoders["teacher"]),
        ],
        references=[encoders.reference(name, record) for name, record in results.references.items()],
        base=shown_base,
        base_is_static=static,
        base_hub_id=None if static or Path(study.base.name).exists() or "/" not in study.base.name else shown_base,
        settings=settings(study, results.encoders["base"]),
        recipes=[recipes.ingredient(study, name) for name in study.recipes],
        merges=[(name, merge.method, recipes.formula(merge)) for name, merge in study.merges.items()],
        seed=study.seed,
        reranked=bool(study.rerank),
    )


def _by_label(study: Study, results: Results, measured: list[Measurement]) -> list[labels.ByLabel]:
    """Of the benchmarks by label, the one that models are chosen on last."""
    return [
        labels.by_label(m.name, m.selecting, m.table.rows, results.chosen, results.labels[m.name], study.tasks)
        for m in sorted(measured, key=lambda m: m.selecting)
        if m.name in results.labels
    ]


def _ahead(lead: Lead | None) -> Ahead | None:
    if lead is None:
        return None
    error = lead["standard_error"]
    if error is None:
        return Ahead(ahead(lead), sure=False)
    return Ahead(f"{ahead(lead)} (standard error over queries)", sure=abs(lead["lead"]) >= 2 * error)


def _chosen_by(weights: ObjectiveWeights, selecting: Measurement) -> str:
    """`mean of Mono, Cross (twice) and Multi nDCG@10, less 0.01 points for each rank of bias`."""
    shown = {h.group for h in selecting.headlines}
    own = {group: getattr(weights, group) for group in GROUPS if GROUP_TITLES[group] in shown}
    own = {group: weight for group, weight in own.items() if weight}
    # Without headlines there is one group, or none but the base.
    equal = len(set(own.values())) < 2
    named = [GROUP_TITLES[group] + ("" if equal else f" (weight {weight:g})") for group, weight in own.items()]
    score = " ".join(["mean of" if len(named) > 1 else "", _listed(named), selecting.metric]).strip()
    less = weights.bias and selecting.bars
    return score + (f", less {100 * weights.bias:g} points for each rank of bias" if less else "")


def _rule(study: Study, results: Results) -> list[str]:
    """What else decided: each constraint with the models that it dropped, and a tie."""
    said = []
    for group, dropped in results.choice["dropped"].items():
        constraint = study.compare.choose.constraints[group]  # type: ignore[index]
        which = f"dropped {_listed(dropped)}" if dropped else "dropped no model"
        said.append(f"The constraint that {_constraint(study, group, constraint)} {which}.")
    best, tied = results.choice["best"], results.choice["tied"]
    within = {
        "standard_error": "within one standard error",
        "significance": "with no significant difference",
        "none": "",
    }[study.compare.choose.ties]
    if results.chosen != best:
        said.append(f"{best} has the greatest objective, and {results.chosen} is tied with it ({within}) and cheaper.")
    elif tied:
        said.append(f"Tied with it ({within}), and not cheaper: {_listed(tied)}.")
    return said


def _constraint(study: Study, key: str, constraint: Constraint) -> str:
    group = BIAS if key == "bias" else key
    if constraint.within == "interval":
        by = f"surely (by the {100 * study.compare.confidence:g} % interval)"
    else:
        most = f"{constraint.within:g} ranks" if group == BIAS else f"{100 * constraint.within:g} points"
        by = f"by more than {most}"
    return f"{GROUP_TITLES[group]} be not {'above' if group == BIAS else 'below'} that of {constraint.of} {by}"


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
