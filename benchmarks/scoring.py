"""Scoring a run: ours (`stages.shared.scoring`), beside pytrec_eval and ranx, each in a process of its own.

python benchmarks/scoring.py [--queries 20000] [--depth 100] [--ranx PYTHON]

writes a run of random scores, and qrels of one to three relevant passages a query, as Parquet, and prints the seconds
from the start of each process to its means, which must agree, and how long the processor worked; of "forked" from the
fork of a process that has imported what it needs, which is how `make repro` starts a stage. `--ranx` is a Python that
has ranx, which is not among the project's libraries; it compiles what it runs first, so it runs twice.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
METRICS = ["ndcg@10", "mrr@10", "map@100", "recall@1", "recall@5", "recall@10", "recall@100"]
IMPORTED = """
import sys
sys.path.insert(0, {root!r})
import numpy
import polars as pl
from stages.shared.scoring import evaluate
"""
EVALUATED = """
run, qrels = (pl.read_parquet(f"{folder}/{{name}}.parquet") for name in ("run", "qrels"))
found = evaluate(run, qrels, {metrics})
print(found.filter(metric="ndcg@10")["value"].mean(), flush=True)
"""
FORKED = """
import os, time
began, before = time.perf_counter(), os.times()
if (child := os.fork()) == 0:
    exec({evaluated!r})
    os._exit(0)
os.waitpid(child, 0)
now = os.times()
worked = now.children_user + now.children_system - before.children_user - before.children_system
print(time.perf_counter() - began, worked)
"""
WAYS = {
    "isogloss": IMPORTED + EVALUATED,
    "forked": IMPORTED + FORKED,
    "pytrec_eval": """
import polars as pl, pytrec_eval
def nested(name, value):
    table = pl.read_parquet(f"{folder}/{{name}}.parquet")
    table = table.select("query", document=pl.col("passage") + "." + pl.col("lang"), value=value)
    grouped = table.group_by("query", maintain_order=True).agg("document", "value")
    return {{query: dict(zip(names, values)) for query, names, values in grouped.iter_rows()}}
measures = {{"ndcg_cut.10", "map_cut.100", "recall.1,5,10,100", "recip_rank"}}
found = pytrec_eval.RelevanceEvaluator(nested("qrels", "relevance"), measures).evaluate(nested("run", "score"))
print(sum(values["ndcg_cut_10"] for values in found.values()) / len(found))
""",
    "ranx": """
import json
from ranx import Qrels, Run, evaluate
qrels, run = (kind(json.load(open(f"{folder}/{{name}}.json"))) for kind, name in ((Qrels, "qrels"), (Run, "run")))
print(evaluate(qrels, run, {metrics})["ndcg@10"])
""",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--depth", type=int, default=100)
    parser.add_argument("--ranx", metavar="PYTHON", help="a Python that has ranx")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), given.queries, given.depth, bool(given.ranx))
        for way in ["isogloss", "forked", "pytrec_eval", *["ranx", "ranx"] * bool(given.ranx)]:
            told = {"root": str(ROOT), "folder": folder, "metrics": METRICS}
            code = WAYS[way].format(**told, evaluated=EVALUATED.format(**told))
            began, before = time.perf_counter(), used()
            command = [given.ranx if way == "ranx" else sys.executable, "-c", code]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            taken, worked = time.perf_counter() - began, used() - before
            if done.returncode:
                sys.exit(f"{way}: {done.stderr.strip()[-500:]}")
            found, *own = map(float, done.stdout.split())
            taken, worked = own or (taken, worked)
            print(f"{way:<12} {taken:.2f} s, of the processor {worked:.2f} s, nDCG@10 {found:.6f}", flush=True)


def used() -> float:
    """Seconds of processor time of the children that have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def make(folder: Path, queries: int, depth: int, nested: bool) -> None:
    """Write run.parquet and qrels.parquet, and both as JSON if they are wanted `nested`."""
    import json

    import numpy as np
    import polars as pl

    rng = np.random.default_rng(0)
    asked = np.repeat(np.arange(queries), depth)
    # Among ten times as many as are listed, in an order of their own for each query: no passage is listed twice.
    passages = (np.tile(np.arange(depth) * 10, queries) + rng.integers(10, size=queries * depth)).reshape(queries, -1)
    passages = rng.permuted(passages, axis=1).reshape(-1)
    # As search gives them, best first; where there are ties, they are sorted by document id.
    steps = 0.001 + rng.random((queries, depth), np.float32) / depth
    scores = (1 - np.cumsum(steps, axis=1)).reshape(-1)
    ranks = np.tile(np.arange(1, depth + 1, dtype=np.uint32), queries)
    columns = {
        "task": "en-en",
        "query": "q" + pl.Series(asked).cast(str),
        "passage": "p" + pl.Series(passages).cast(str),
    }
    run = pl.DataFrame(columns | {"lang": "en", "rank": ranks, "score": scores})
    judged = np.repeat(np.arange(queries), rng.integers(1, 4, size=queries))
    relevant = passages.reshape(queries, -1)[judged, rng.integers(depth, size=len(judged))]
    qrels = pl.DataFrame(
        {"query": "q" + pl.Series(judged).cast(str), "passage": "p" + pl.Series(relevant).cast(str), "lang": "en"}
    ).unique(maintain_order=True)
    qrels = qrels.with_columns(relevance=pl.lit(1, pl.Int64))
    for name, table, value in (("run", run, "score"), ("qrels", qrels, "relevance")):
        table.write_parquet(folder / f"{name}.parquet")
        if nested:
            tree: dict[str, dict[str, float]] = {}
            for query, passage, number in table.select("query", pl.col("passage") + ".en", value).iter_rows():
                tree.setdefault(query, {})[passage] = number
            (folder / f"{name}.json").write_text(json.dumps(tree))


if __name__ == "__main__":
    main()
