"""retrieve: rank each benchmark's passages for each of its tasks with one model.

Each text is encoded once and serves every benchmark and task. A transformer's vectors are kept (`vectors.blocks`), and
each benchmark's passages and queries are lists of their own there: another benchmark encodes only itself and moves no
bit of the others' runs, a changed query encodes its block, a killed run goes on, and if nothing is missing the model is
not even loaded. Memory holds the vectors of one benchmark, and of the passages of one language a copy while that is
searched; beyond half of `retrieve.memory` each is a mapped file. A static model encodes faster than kept vectors are
read: it encodes all texts at once and keeps none.

A run keeps the best `retrieve.depth` ranks; what else is ranked, `shared/ranking.py` says, and how passages are read in
windows, `shared/windows.py`: where to cut them the model's tokenizer says, so that the model is loaded.
"""

import logging
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl

from stages.schemas.runs import RUN, RUN_RECORD, RUNS_FOLDER
from stages.settings.freeze import read_freeze
from stages.settings.retrieve import read_retrieve
from stages.settings.windows import read_windows
from stages.shared import encoder, errors, member, models, query_normalizer, ranking, tables
from stages.shared.errors import UserError
from stages.shared.ranking import Tables
from stages.shared.roles import PROMPT_NAMES, Role
from stages.shared.vectors import folders
from stages.shared.vectors.blocks import KeptBlocks
from stages.shared.vectors.held import Holder
from stages.shared.windows import WindowedEncoder

log = logging.getLogger("retrieve")
# Of the base alone: what a cut vocabulary does to the texts of benchmarks.
VOCABULARY_METRICS = Path("metrics/vocabulary.json")
MODEL_FOLDERS = {
    "base": lambda name: models.BASE,
    "trained": models.TRAINED.joinpath,
    "merged": models.MERGED.joinpath,
}


def main() -> None:
    kind = "".join(sys.argv[1:2])
    if kind not in MODEL_FOLDERS:
        raise UserError(f"{kind!r} is no kind of model: write {', '.join(MODEL_FOLDERS)}")
    name = member.name("retrieve", kind)
    settings, windows = read_retrieve(), read_windows()
    folder = MODEL_FOLDERS[kind](name)
    read = folders.load(folder, settings.batch_size, read_freeze())
    found = ranking.benchmarks()
    if kind == models.BASE_NAME:
        tables.write_json(cut_tokens(found), VOCABULARY_METRICS)
    kept = read if isinstance(read, KeptBlocks) else None
    together = read if kept or windows else _Together(read, found.values())
    model = WindowedEncoder(together, windows, str(folder), Holder(settings.memory) if kept else None)
    with tables.replacing(RUNS_FOLDER / name) as draft:
        for benchmark, t in found.items():
            # Nothing else holds a benchmark's vectors: they are gone before those of the next are made.
            run, relevant = ranking.rank(t, ranking.by_encoder(model, t), settings.depth)
            tables.write(run, draft / f"{benchmark}.run.parquet", RUN)
            tables.write(relevant, draft / f"{benchmark}.relevant.parquet", RUN)
            log.info(f"{name} on {benchmark}: {run['task'].n_unique()} tasks, {run.height:,} ranks")
        if told := model.record():
            tables.write_json(told, draft / RUN_RECORD)
    if kept:
        log.info(f"{name}: {kept.counts['encoded']:,} texts encoded in all, {kept.counts['kept']:,} were kept")


def cut_tokens(benchmarks: dict[str, Tables]) -> dict[str, dict[str, dict[str, float]]]:
    """Of a base whose vocabulary was cut, what that does to each benchmark's texts, by language (`pieces.shares`)."""
    if not (models.BASE / models.WHOLE_TOKENIZER).is_file():
        return {}
    from tokenizers import Tokenizer

    from stages.shared import pieces

    with models.loading(models.BASE):
        whole = Tokenizer.from_file(str(models.BASE / models.WHOLE_TOKENIZER))
        cut = Tokenizer.from_file(str(next(models.BASE.rglob("tokenizer.json"))))
    normal = query_normalizer.read(models.BASE) or list
    prompts = models.base_record()["prompts"]
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, benchmark in benchmarks.items():
        passages = [prompts["passage"] + text for text in benchmark.texts("passage")]
        queries = [prompts["query"] + text for text in normal(benchmark.texts("query"))]
        langs = pl.concat([benchmark.passages["lang"], benchmark.queries["lang"]])
        read = pl.DataFrame({"lang": langs, "text": [*passages, *queries]}).sort("lang", maintain_order=True)
        found[name] = {}
        for (lang,), own in read.group_by("lang", maintain_order=True):
            found[name][str(lang)] = told = pieces.shares(whole, cut, own["text"].to_list())
            if told["changed"]:
                log.warning(f"{name}, {lang}: base.vocabulary changes {told['changed']:.1%} of the tokens")
    return found


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


if __name__ == "__main__":
    errors.run(main)
