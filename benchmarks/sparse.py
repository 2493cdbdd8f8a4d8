"""What `train.sparse_embeddings` saves: a step of training that updates the whole table, and one of its rows alone.

python benchmarks/sparse.py [--pieces 105879] [--dimension 1024] [--batch 64] [--negatives 5] [--words 60] [--steps 10]
python benchmarks/sparse.py --model models/base --rows data/trainsets/<recipe> [--max-length 64] [--batch 32]

trains a static table of so many pieces (those of sentence-transformers/static-similarity-mrl-multilingual-v1, unless
told otherwise) on texts of words drawn by Zipf's law, or a built study's base on the rows of a recipe, all layers and
embeddings; each way in a process of its own, with `stages.shared.training.fit`. Printed are the median seconds of a
step, the first two left out, and the peak of memory (Linux).
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("pieces", 105_879), ("dimension", 1024), ("batch", 64), ("negatives", 5), ("words", 60)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--max-length", type=int, default=64)
    parser.add_argument("--way", choices=["dense", "sparse"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        measure(given)
        return
    for way in ("dense", "sparse"):
        command = [sys.executable, __file__, *sys.argv[1:], "--way", way]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = re.search(r"^RESULT (.*)$", done.stdout, re.MULTILINE)
        print(f"{way:<7} {found[1] if found else done.stderr.strip()[-500:]}", flush=True)


def measure(given: argparse.Namespace) -> None:
    from stages.shared import training
    from stages.shared.contrastive import InfoNCE

    ends: list[float] = []
    before = training.Progress.on_step_end

    def on_step_end(self: Any, *told: Any, **more: Any) -> None:
        before(self, *told, **more)
        ends.append(time.perf_counter())

    training.Progress.on_step_end = on_step_end  # type: ignore[method-assign]
    model, rows = of_study(given) if given.model else static(given)
    with tempfile.TemporaryDirectory() as folder:
        training.fit(
            model,
            rows,
            InfoNCE(model, 0.05),
            f"{folder}/checkpoints",
            seed=1,
            steps=given.steps + 2,
            batch_size=given.batch,
            learning_rate=1e-5,
            sparse_embeddings=given.way == "sparse",
        )
    taken = statistics.median(later - earlier for earlier, later in pairwise(ends[1:]))
    status = Path("/proc/self/status").read_text()
    peak = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 2**20  # type: ignore[index]
    print(f"\nRESULT {taken:.3f} s a step, peak {peak:.2f} GiB")


def static(given: argparse.Namespace) -> tuple[Any, Any]:
    import numpy as np
    import torch
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    rng = np.random.default_rng(0)
    tokenizer = Tokenizer(models.WordLevel({f"w{number}": number for number in range(given.pieces)}, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    table = torch.randn(given.pieces, given.dimension) * 0.1
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=table)], device="cpu")
    count = given.batch * 4

    def texts() -> list[str]:
        drawn = np.minimum(rng.zipf(1.2, (count, given.words)), given.pieces - 1)
        return [" ".join(f"w{number}" for number in row) for row in drawn]

    columns = {name: texts() for name in ("query", "positive", *(f"negative_{n + 1}" for n in range(given.negatives)))}
    width = 1 + given.negatives
    labels = [list(range(row * width, (row + 1) * width)) for row in range(count)]
    return model, Dataset.from_dict(columns | {"label": labels})


def of_study(given: argparse.Namespace) -> tuple[Any, Any]:
    from sentence_transformers import SentenceTransformer

    from stages.shared import training_rows

    model = SentenceTransformer(str(given.model), device="cpu", local_files_only=True).float()
    model.max_seq_length = given.max_length
    return model, training_rows.dataset(given.rows, None)


if __name__ == "__main__":
    main()
