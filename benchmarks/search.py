"""Mining hard negatives from vectors: time and peak memory of search and selection, ours beside sentence-transformers'.

python benchmarks/search.py [--queries 20000] [--passages 100000] [--dimension 128] [--ways isogloss library-faiss
library]

makes random unit vectors, of which each query is near one passage, and picks 7 of the ranks 50 to 300 for each query:
with `stages.shared.search` and `stages.negatives`, and with `mine_hard_negatives`, whose model gives the same vectors,
with and without FAISS. Each is a process of its own, of which are printed the seconds of processor time, which other
work on the machine changes less than those on the clock, these, and the peak of memory (Linux), imports and vectors
included.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DEPTH, FIRST, KEPT = 300, 50, 7

COMMON = """
import re, sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
import numpy as np
queries, corpus, answers = (np.load({folder!r} + f"/{{name}}.npy") for name in ("queries", "corpus", "answers"))
def now():
    return np.array([time.process_time(), time.perf_counter()])
def told(**seconds):
    status = Path("/proc/self/status").read_text()
    peak = int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) / 2**20
    parts = [f"{{name}} {{taken[0]:.2f}} s, on the clock {{taken[1]:.2f}} s" for name, taken in seconds.items()]
    print("RESULT", ", ".join([*parts, f"peak {{peak:.2f}} GiB"]))
"""
WAYS = {
    "isogloss": """
import polars as pl
from stages.candidates import positive_scores, ranked
from stages.shared import search
from stages.negatives import ranks
from stages.negatives.answers import Answers
from stages.schemas.collected import COLLECTED_PASSAGES, COLLECTED_QRELS, COLLECTED_QUERIES, GROUP_LABELS
from stages.settings.negatives import Negatives
from stages.shared.collection import Collection
names = pl.Series("passage", [f"p{{row:08}}" for row in range(len(corpus))])
asked = pl.Series("query", [f"q{{row:08}}" for row in range(len(queries))])
passages = pl.DataFrame({{"passage": names, "group": names, "text": names}}).with_columns(
    lang=pl.lit("en"), title=pl.lit(""), split=pl.lit("train")
)
qrels = pl.DataFrame({{"query": asked, "group": names.gather(answers)}})
empty = (pl.DataFrame(schema=schema) for schema in (COLLECTED_QUERIES, GROUP_LABELS))
stored = Collection(passages.select(*COLLECTED_PASSAGES), next(empty), qrels, qrels.clear(), next(empty))
of_pool = Answers(stored, names)
began = now()
table = ranked(asked, *search.top_k(queries, corpus, {depth}))
positives = positive_scores(queries, corpus, asked, qrels, names)
table = table.with_columns(positives, query_lang=pl.lit("en"), corpus_lang=pl.lit("en"))
searched = now() - began
strategy = Negatives(k={kept}, rank_min={first}, rank_max={depth})
began = now()
picked, counts = ranks.pick(table, of_pool, stored.not_relevant, strategy, 1)
selected = now() - began
assert picked.height == len(queries) and set(picked["negatives"].list.len()) == {{{kept}}}
told(search=searched, selection=selected)
""",
    "library": """
import torch
from datasets import Dataset
from sentence_transformers import util
class Known:
    device = torch.device("cpu")
    similarity = staticmethod(util.cos_sim)
    similarity_pairwise = staticmethod(util.pairwise_cos_sim)
    def get_embedding_dimension(self):
        return corpus.shape[1]
    def encode_document(self, texts, **how):
        return corpus[[int(text[1:]) for text in texts]]
    def encode_query(self, texts, **how):
        return queries[[int(text[1:]) for text in texts]]
texts = [f"p{{row:08}}" for row in range(len(corpus))]
pairs = Dataset.from_dict({{
    "anchor": [f"q{{row:08}}" for row in range(len(queries))], "positive": [texts[row] for row in answers]
}})
began = now()
mined = util.mine_hard_negatives(
    pairs, Known(), corpus=texts, range_min={first}, range_max={depth}, num_negatives={kept},
    sampling_strategy="random", output_format="n-tuple", use_faiss={faiss}, verbose=False
)
whole = now() - began
assert len(mined) == len(queries)
told(all=whole)
""",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("queries", 20_000), ("passages", 100_000), ("dimension", 128)):
        parser.add_argument(f"--{name}", type=lambda text: int(float(text)), default=default)
    parser.add_argument("--ways", nargs="+", default=["isogloss", "library-faiss", "library"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), given.queries, given.passages, given.dimension)
        for way in given.ways:
            print(f"{way:<15} {measured(way, folder)}", flush=True)


def make(folder: Path, queries: int, passages: int, dimension: int) -> None:
    """Write queries.npy, corpus.npy and answers.npy, the passage that each query is near."""
    import numpy as np

    rng = np.random.default_rng(0)
    corpus = np.lib.format.open_memmap(folder / "corpus.npy", "w+", np.float32, (passages, dimension))
    for begin in range(0, passages, 2**18):
        part = corpus[begin : begin + 2**18]
        rng.standard_normal(out=part, dtype=np.float32)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    answers = rng.integers(passages, size=queries)
    near = corpus[answers] + rng.standard_normal((queries, dimension), np.float32) / dimension**0.5
    np.save(folder / "queries.npy", near / np.linalg.norm(near, axis=1, keepdims=True))
    np.save(folder / "answers.npy", answers)


def measured(way: str, folder: str) -> str:
    kind, _, faiss = way.partition("-")
    code = (COMMON + WAYS[kind]).format(
        root=str(ROOT), folder=folder, depth=DEPTH, first=FIRST, kept=KEPT, faiss=bool(faiss)
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    found = re.search(r"RESULT (.*)", done.stdout)
    return found[1] if found else f"failed with {done.returncode}: {done.stderr.strip()[-2000:]}"


if __name__ == "__main__":
    main()
