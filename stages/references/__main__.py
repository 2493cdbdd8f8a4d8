"""references: rank each benchmark's passages for each of its tasks with what the study's models are measured beside.

A reference is a published encoder, BM25 or an endpoint that embeds. It is ranked as the models are, and no stage trains
it, merges it or chooses it.
"""

import logging

from stages.references import opening
from stages.schemas.runs import RUN, RUN_RECORD, RUNS_FOLDER
from stages.settings.references import read_reference
from stages.settings.retrieve import read_retrieve
from stages.settings.windows import read_windows
from stages.shared import errors, member, pieces, ranking, tables

log = logging.getLogger("references")


def main() -> None:
    name = member.name("references")
    reference, settings = read_reference(name), read_retrieve()
    found = ranking.benchmarks()
    opened = opening.opened(reference, f"references.{name}", settings.batch_size, read_windows())
    unknown = None
    if opened.tokenizer:
        unknown = pieces.known(opened.tokenizer, ranking.texts_by_language(found.values()), f"references.{name}")
    with tables.replacing(RUNS_FOLDER / name) as draft:
        for benchmark, t in found.items():
            run, relevant = ranking.rank(t, opened.rankers(t), settings.depth)
            tables.write(run, draft / f"{benchmark}.run.parquet", RUN)
            tables.write(relevant, draft / f"{benchmark}.relevant.parquet", RUN)
            log.info(f"{name} on {benchmark}: {run['task'].n_unique()} tasks, {run.height:,} ranks")
        tables.write_json(opened.record() | ({"unknown": unknown} if unknown else {}), draft / RUN_RECORD)


if __name__ == "__main__":
    errors.run(main)
