"""What the report reads of other stages: small JSON and CSV files, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from stages.schemas.codeswitched import CODESWITCH_METRICS
from stages.schemas.comparison import (
    BIAS_TABLE,
    CONTRASTS_TABLE,
    COSTS_FILE,
    DOMAINS_TABLE,
    SIGNIFICANCE_TABLE,
    TASKS_TABLE,
    TRADEOFF_TABLE,
)
from stages.schemas.contamination import CONTAMINATION_METRICS, ContaminationShares
from stages.schemas.curves import CURVE, TRAINING_CURVES
from stages.schemas.plans import SEARCHES_FILE
from stages.schemas.scores import MODEL_METRICS, REFERENCE_RECORDS
from stages.schemas.summary import SUMMARY_FILE, Choice, Lead
from stages.schemas.types import Schema
from stages.settings.merges import Merge
from stages.shared import models, tables
from stages.shared.errors import UserError

METRICS_FOLDER = Path("metrics")
ENCODERS = {"base": models.BASE / models.RECORD, "teacher": Path("data/candidates/teacher.json")}


class Measured(NamedTuple):
    """One benchmark's tables, as `compare` wrote them."""

    tradeoff: pl.DataFrame
    tasks: pl.DataFrame
    bias: pl.DataFrame
    significance: pl.DataFrame
    domains: pl.DataFrame
    contrasts: pl.DataFrame


class Results(NamedTuple):
    best_recipe: str
    chosen: str
    leads: dict[str, Lead | None]  # of best_recipe and chosen_model over the next
    choice: Choice
    scores: dict[str, dict]  # {model: {benchmark: {task or group: {metric: mean}}}}
    benchmarks: dict[str, Measured]
    synthesis: dict[str, dict[str, dict[str, int]]]  # {requests or filters: {job: {count: value}}}
    negatives: dict[str, dict[str, Any]]  # {strategy: {directions: {direction: {count: value}}, above_positive: {...}}}
    trainsets: dict[str, Any]  # {recipes: {recipe: {composition: {count: value}}}, queries: {in every or any recipe}}
    lexicons: dict[str, dict[str, Any]]  # {lexicon: {source, lacking, dropped, pairs: {pair: sizes, dictionaries}}}
    codeswitch: dict[str, dict[str, dict[str, Any]]]  # {variant: {language: {count or share: value, samples: [...]}}}
    costs: dict[str, dict[str, Any]]  # {model: {recipes, steps, examples, rows}}
    losses: dict[str, list[tuple[int, float]]]  # {recipe: [(step, loss)]}
    corpus: dict[str, Any]  # what `corpus` counted
    contamination: ContaminationShares
    encoders: dict[str, dict[str, Any]]  # {base or teacher: how it is run}
    references: dict[str, dict[str, Any]]  # {reference, fusion or re-ranked row: how it was run}
    labels: dict[str, dict[str, Any]]  # {benchmark by label: {tasks: {task: counts}, models: {model: numbers}}}


def read(names: list[str], references: list[str], recipes: list[str], benchmarks: list[str]) -> Results:
    """Everything the report shows of these models, of what is measured beside them (`references`), of what was trained
    (`recipes`, re-rankers among them) and of these benchmarks; raises `UserError` for what is missing or stale."""
    summary = tables.read_json(SUMMARY_FILE)
    best, chosen = summary["best_recipe"], summary["chosen_model"]
    for name in (best, chosen):
        if name not in names:
            raise UserError(f"{SUMMARY_FILE} names the model {name!r}, which params.yaml does not: run `dvc repro`")
    rows = [*names, *references]
    contamination = tables.read_json(CONTAMINATION_METRICS)
    for name in benchmarks:
        if missing := [recipe for recipe in recipes if recipe not in contamination.get(name, {})]:
            raise UserError(f"{CONTAMINATION_METRICS} says nothing of {missing[0]} on {name}: run `dvc repro`")
    return Results(
        best_recipe=best,
        chosen=chosen,
        leads=summary["leads"],
        choice=summary["choice"],
        scores={name: tables.read_json(MODEL_METRICS / f"{name}.json") for name in rows},
        benchmarks={name: _measured(name) for name in benchmarks},
        synthesis=tables.read_json(METRICS_FOLDER / "synthesis.json"),
        negatives=tables.read_json(METRICS_FOLDER / "negatives.json"),
        trainsets=_trainsets(recipes),
        lexicons=tables.read_json(METRICS_FOLDER / "lexicons.json"),
        codeswitch=tables.read_json(CODESWITCH_METRICS),
        costs=tables.read_json(COSTS_FILE),
        losses={name: _csv(TRAINING_CURVES / f"{name}.csv", CURVE).rows() for name in recipes},
        corpus=_corpus(),
        contamination={name: contamination[name] for name in benchmarks},
        encoders=_encoders(),
        references=_references(references),
        labels=_labels(rows, benchmarks),
    )


def with_found_weights(merges: dict[str, Merge]) -> dict[str, Merge]:
    """`merges`, those whose weights were searched with the ones that were found."""
    found = tables.read_json(SEARCHES_FILE)
    if missing := [name for name, merge in merges.items() if merge.search and name not in found]:
        raise UserError(f"{SEARCHES_FILE} says nothing of {missing[0]}: run `dvc repro`")
    return {
        name: merge.model_copy(update={"weights": found[name]["weights"]}) if merge.search else merge
        for name, merge in merges.items()
    }


def _corpus() -> dict[str, Any]:
    """What `corpus` counted, and what `collect` left out of it and of what was written."""
    corpus, collected = (tables.read_json(METRICS_FOLDER / f"{name}.json") for name in ("corpus", "collected"))
    return corpus | {"left_out": corpus.get("left_out", {}) | collected["left_out"]}


def _trainsets(recipes: list[str]) -> dict[str, Any]:
    file = METRICS_FOLDER / "trainsets.json"
    report = tables.read_json(file)
    if missing := [recipe for recipe in recipes if recipe not in report["recipes"]]:
        raise UserError(f"{file} says nothing of {missing[0]}: run `dvc repro`")
    return {"recipes": {name: report["recipes"][name] for name in recipes}, "queries": report["queries"]}


def _encoders() -> dict[str, dict[str, Any]]:
    """The base's record says what it read in windows, too, as the teacher's does."""
    found = {role: tables.read_json(path) for role, path in ENCODERS.items()}
    return found | {"base": found["base"] | tables.read_json(REFERENCE_RECORDS).get(models.BASE_NAME, {})}


def _references(names: list[str]) -> dict[str, dict[str, Any]]:
    found = tables.read_json(REFERENCE_RECORDS)
    if missing := [name for name in names if name not in found]:
        raise UserError(f"{REFERENCE_RECORDS} says nothing of {missing[0]}: run `dvc repro`")
    return {name: found[name] for name in names}


def _labels(names: list[str], benchmarks: list[str]) -> dict[str, dict[str, Any]]:
    report = tables.read_json(METRICS_FOLDER / "labels.json")
    found = {name: report[name] for name in benchmarks if name in report}
    for name, told in found.items():
        if missing := [model for model in names if model not in told["models"]]:
            raise UserError(f"metrics/labels.json says nothing of {missing[0]} on {name}: run `dvc repro`")
    return found


def _measured(benchmark: str) -> Measured:
    folder, file = METRICS_FOLDER / "tables", f"{benchmark}.csv"
    return Measured(
        tradeoff=_csv(folder / "tradeoff" / file, TRADEOFF_TABLE),
        tasks=_csv(folder / "tasks" / file, TASKS_TABLE),
        bias=_csv(folder / "bias" / file, BIAS_TABLE),
        significance=_csv(folder / "significance" / file, SIGNIFICANCE_TABLE),
        domains=_csv(folder / "domains" / file, DOMAINS_TABLE),
        contrasts=_csv(folder / "contrasts" / file, CONTRASTS_TABLE),
    )


def _csv(path: Path, schema: Schema) -> pl.DataFrame:
    # Types are given, not guessed: a column without a single value would else be read as text.
    try:
        table = pl.read_csv(path, schema_overrides=schema)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run `dvc repro`") from None
    except pl.exceptions.PolarsError as error:
        raise UserError(f"{path} cannot be read ({str(error).splitlines()[0]}): rebuild it with `dvc repro`") from None
    if missing := [column for column in schema if column not in table.columns]:
        raise UserError(f"{path} lacks the column {missing[0]!r}: rebuild it with `dvc repro`")
    return table.select(*schema)
