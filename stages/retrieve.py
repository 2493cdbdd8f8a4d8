"""retrieve: rank each benchmark's passages for each of its tasks with one model.

Each text is encoded once and serves every benchmark and task. A transformer's vectors are kept (`vectors.blocks`), and
each benchmark's passages and queries are lists of their own there: another benchmark encodes only itself and moves no
bit of the others' runs, a changed query encodes its block, a killed run goes on, and if nothing is missing the model is
not even loaded. Memory holds the vectors of one benchmark, and of the passages of one language a copy while that is
searched. A static model encodes faster than kept vectors are read: it encodes all texts at once and keeps none.

A run keeps the best `retrieve.depth` ranks; what else is ranked, `shared/ranking.py` says.
"""

import logging
import sys
from collections.abc import Iterable
from functools import partial

import numpy as np
import polars as pl

from stages.schemas.runs import RUN, RUNS_FOLDER
from stages.settings.freeze import read_freeze
from stages.settings.retrieve import read_retrieve
from stages.shared import encoder, errors, files, models, ranking, tables
from stages.shared.errors import UserError
from stages.shared.ranking import Tables
from stages.shared.roles import PROMPT_NAMES, Role
from stages.shared.vectors.blocks import KeptBlocks

log = logging.getLogger("retrieve")
MODEL_FOLDERS = {
    "base": lambda name: models.BASE,
    "trained": models.TRAINED.joinpath,
    "merged": models.MERGED.joinpath,
}


def main() -> None:
    kind, name = sys.argv[1:]
    if kind not in MODEL_FOLDERS:
        raise UserError(f"{kind!r} is no kind of model: write {', '.join(MODEL_FOLDERS)}")
    settings = read_retrieve()
    folder = MODEL_FOLDERS[kind](name)
    static = encoder.is_static(folder)
    freeze = read_freeze()
    load = partial(encoder.load, folder, settings.batch_size, freeze=freeze)
    found = ranking.benchmarks()
    # Through a shared trunk the last bits of vectors are others.
    cut = [freeze.layers] if freeze and freeze.is_trunk else []
    kept = None if static else KeptBlocks(load, [files.content(folder), settings.batch_size, *cut])
    model = kept or _Together(load(), found.values())
    with tables.replacing(RUNS_FOLDER / name) as draft:
        for benchmark, t in found.items():
            run, relevant = _encode_and_rank(model, t, settings.depth)
            tables.write(run, draft / f"{benchmark}.run.parquet", RUN)
            tables.write(relevant, draft / f"{benchmark}.relevant.parquet", RUN)
            log.info(f"{name} on {benchmark}: {run['task'].n_unique()} tasks, {run.height:,} ranks")
    if kept:
        log.info(f"{name}: {kept.counts['encoded']:,} texts encoded in all, {kept.counts['kept']:,} were kept")


class _Together:
    """An encoder that has encoded the texts of all benchmarks, equal ones once: it takes no others."""

    def __init__(self, model: encoder.Encoder, benchmarks: Iterable[Tables]) -> None:
        self.rows: dict[Role, dict[str, int]] = {}
        self.vectors: dict[Role, np.ndarray] = {}
        for role in PROMPT_NAMES:
            distinct = dict.fromkeys(text for benchmark in benchmarks for text in benchmark.texts(role))
            self.rows[role] = {text: row for row, text in enumerate(distinct)}
            self.vectors[role] = model.encode(list(distinct), role)

    def encode(self, texts: list[str], role: Role) -> np.ndarray:
        rows = self.rows[role]
        return self.vectors[role][[rows[text] for text in texts]]


def _encode_and_rank(model: encoder.Encoder, benchmark: Tables, depth: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """As `ranking.rank`. A function of its own, so that a benchmark's vectors are gone before those of the next are
    made."""
    passages, queries = (model.encode(benchmark.texts(role), role) for role in ("passage", "query"))
    return ranking.rank(benchmark, ranking.by_vectors(passages, queries), depth)


if __name__ == "__main__":
    errors.run(main)
