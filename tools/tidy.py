"""python -m tools.tidy: remove what is left of data sets, models and benchmarks that params.yaml no longer names.

DVC keeps the outputs of stages that are gone, and they would count in the folders that other stages depend on. Their
data stays in DVC's cache: naming them again brings them back without building.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from ruamel.yaml import YAML

from stages.check import params
from stages.schemas.benchmarks import BENCHMARK_METRICS, BENCHMARKS_FOLDER
from stages.schemas.curves import TRAINING_CURVES
from stages.schemas.lexicons import LEXICONS_FOLDER
from stages.schemas.runs import RERANKED_FOLDER, RUNS_FOLDER
from stages.settings import yaml12
from stages.shared import drafts, errors, models, tables
from tools import lock
from tools.graph import GRAPH, LOCK, group


def main() -> None:
    study = params.load()
    lock.mend()
    drafts.clear_all()
    for stale in Path().glob("*/.*.draft"):  # where drafts of killed stages were before they had a place of their own
        remove(stale, "which a stage that was killed has left")
    fetch, recipes, merges = study.fetch, study.recipes, study.merges
    benchmarks, references, indexes = study.benchmarks, study.references, study.indexes
    expected = {
        models.TRAINED: set(recipes),
        models.MERGED: set(merges),
        models.RERANKERS: set(study.rerankers),
        models.INDEXES: set(indexes),
        Path("data/fetch"): set(fetch),
        RUNS_FOLDER: {*models.names(recipes, merges), *study.ranked_beside},
        RERANKED_FOLDER: set(study.rerank),
        LEXICONS_FOLDER: set(study.lexicons),
        BENCHMARKS_FOLDER: set(benchmarks),
        BENCHMARK_METRICS: {f"{name}.json" for name in benchmarks},
        TRAINING_CURVES: {f"{name}.csv" for name in (*recipes, *study.rerankers)},
    }
    for folder, names in expected.items():
        for stale in sorted(folder.iterdir()) if folder.is_dir() else []:
            if stale.name not in names and stale.name != ".gitignore":
                remove(stale, "which params.yaml does not name")
    prune_lock(
        {
            "fetch": fetch,
            "lexicons": study.lexicons,
            "recipes": recipes,
            "rerankers": study.rerankers,
            "merges": merges,
            "benchmarks": benchmarks,
            "references": references,
            "translated": study.translated,
            "rerank": study.rerank,
            "indexes": indexes,
        }
    )


def remove(stale: Path, why: str) -> None:
    print(f"removing {stale}, {why}")
    shutil.rmtree(stale) if stale.is_dir() else stale.unlink()


def prune_lock(members: Mapping[str, Iterable[str]]) -> None:
    """Remove from dvc.lock the members of stage groups that params.yaml no longer names; DVC keeps them for ever."""
    if not LOCK.is_file():
        return
    named = set()
    for stage, body in yaml12.load(GRAPH)["stages"].items():
        over = group(body)
        named |= {f"{stage}@{name}" for name in members[over]} if over else {stage}
    stale = [stage for stage in yaml12.load(LOCK)["stages"] if stage not in named]
    for stage in stale:
        print(f"removing {stage} from {LOCK}")
    if stale:
        drop(stale)


def drop(stages: list[str]) -> None:
    """Remove these stages from dvc.lock."""
    yaml = YAML()
    yaml.default_flow_style = False
    tree = yaml.load(LOCK.read_text(encoding="utf-8"))
    for stage in stages:
        del tree["stages"][stage]
    with tables.replacing(LOCK) as draft, draft.open("w", encoding="utf-8") as opened:
        yaml.dump(tree, opened)


if __name__ == "__main__":
    errors.run(main)
