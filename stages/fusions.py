"""fusions: rows that are others' runs, fused by rank (reciprocal rank fusion; Cormack, Clarke and Buettcher 2009).

A passage's score is the sum of 1 / (k + rank) over the runs that hold it: a run that does not gives nothing, and runs
are `retrieve.depth` deep. The fused list is all that any run holds, cut at that depth again.

So the rank of a passage that no run holds is not known. Language bias needs the ranks of all relevant passages in the
pool: where runs hold them all, they are those in the whole fused list; where not, the fusion has no language bias on
that benchmark, and the record says how many passages it lacks. A run as deep as the pool holds them all.
"""

import logging

import polars as pl

from stages.schemas.runs import DOCUMENT_ID, FUSED_FOLDER, RUN, RUN_RECORD, RUNS_FOLDER
from stages.settings.fusions import read_fusions
from stages.settings.retrieve import read_retrieve
from stages.shared import errors, tables
from stages.shared.errors import UserError

log = logging.getLogger("fusions")
DOCUMENT = ["task", "query", "passage", "lang"]


def main() -> None:
    fusions, depth = read_fusions(), read_retrieve().depth
    records: dict[str, dict] = {}
    with tables.replacing(FUSED_FOLDER) as draft:
        for name, fusion in fusions.items():
            unknown = {}
            for benchmark in _benchmarks(fusion.of[0]):
                parts = [tables.read(RUNS_FOLDER / part / f"{benchmark}.run.parquet", RUN) for part in fusion.of]
                wanted = tables.read(RUNS_FOLDER / fusion.of[0] / f"{benchmark}.relevant.parquet", RUN)
                whole = fused(parts, fusion.k)
                known = whole.join(wanted, on=DOCUMENT, how="semi", maintain_order="left")
                if missing := wanted.height - known.height:
                    unknown[benchmark] = missing
                    log.warning(
                        f"{name} on {benchmark}: {missing:,} of {wanted.height:,} relevant passages in the pool are in "
                        f"none of its runs, so it has no language bias: raise retrieve.depth, which is {depth}"
                    )
                    known = known.clear()
                folder = draft / name
                tables.write(whole.filter(pl.col("rank") <= depth), folder / f"{benchmark}.run.parquet", RUN)
                tables.write(known, folder / f"{benchmark}.relevant.parquet", RUN)
            records[name] = {"name": "fusion", **fusion.model_dump(), "ranks_unknown": unknown}
        tables.write_json(records, draft / RUN_RECORD)
    log.info(f"{len(fusions)} fusions" if fusions else "no fusion is named")


def _benchmarks(row: str) -> list[str]:
    """The benchmarks that `row` has runs of; raises `UserError` if there are none."""
    end = ".run.parquet"
    if not (found := sorted(file.name.removesuffix(end) for file in (RUNS_FOLDER / row).glob(f"*{end}"))):
        raise UserError(f"{RUNS_FOLDER / row} has no runs: run `dvc repro`")
    return found


def fused(runs: list[pl.DataFrame], k: int) -> pl.DataFrame:
    """All that the `runs` (RUN) hold, ranked by the sum of their reciprocal ranks (RUN); of equals the higher document
    id first, as in trec_eval."""
    # In the order of the runs, so that sums are the same bytes.
    summed = (
        pl.concat(runs)
        .group_by(DOCUMENT, maintain_order=True)
        .agg(score=(1 / (k + pl.col("rank").cast(pl.Float64))).sum().cast(pl.Float32))
    )
    ordered = summed.sort("task", "query", "score", DOCUMENT_ID, descending=[False, False, True, True])
    ranks = pl.int_range(1, pl.len() + 1).over("task", "query").cast(pl.UInt32)
    return ordered.with_columns(rank=ranks).select(*RUN)


if __name__ == "__main__":
    errors.run(main)
