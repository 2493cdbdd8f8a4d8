"""How long a step of training takes, beside the plain loss of sentence-transformers.

python benchmarks/training.py [--model models/base] [--rows data/trainsets/koenen] [--batch 32] [--freeze 8]
    [--max-length 64] [--steps 4] [--mini-batch 16] [--compile]

takes a built study's transformer and training set, and times forward and backward passes of the same batches, with its
prompts, by `MultipleNegativesRankingLoss` and by ours (`stages.shared.contrastive`), one after the other, in one
process; with --mini-batch, so many texts at once, `CachedMultipleNegativesRankingLoss` and ours with
`mini_batch_size`; with --compile, ours once more with a model that torch has compiled. Of the frozen layers nothing is
run, as when they are shared: the layers above them are given token vectors. Prints seconds a step, their ratio, and
what share of each one's tokens is padding.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python benchmarks/training.py")
    parser.add_argument("--model", type=Path, default=Path("models/base"))
    parser.add_argument("--rows", type=Path, default=Path("data/trainsets/koenen"))
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--freeze", type=int, default=8)
    parser.add_argument("--max-length", type=int, default=64)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--mini-batch", type=int)
    parser.add_argument("--compile", action="store_true")
    arguments = parser.parse_args()

    import copy

    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.losses import (
        CachedMultipleNegativesRankingLoss,
        MultipleNegativesRankingLoss,
    )

    from stages.shared import training_rows, trunk
    from stages.shared.contrastive import InfoNCE
    from stages.shared.roles import PROMPT_NAMES

    model = SentenceTransformer(str(arguments.model), device="cpu", local_files_only=True).float().train()
    trunk.set_dropout(model, 0.0)
    model.max_seq_length = arguments.max_length
    _, layers = trunk.layers(model)
    del layers[: arguments.freeze]
    trunk.embeddings(model)[1].requires_grad_(False)
    rows = training_rows.dataset(arguments.rows, None).shuffle(seed=1)
    names = [name for name in rows.column_names if name != "label"]
    prompts = {role: model.prompts.get(name) for role, name in PROMPT_NAMES.items()}
    counted = {"tokens": 0, "padded": 0}

    def count(_: Any, given: Any) -> None:
        mask = given[0]["attention_mask"]
        counted["tokens"] += int(mask.sum())
        counted["padded"] += mask.numel()

    model[0].register_forward_pre_hook(count)
    size = arguments.mini_batch
    theirs = (
        CachedMultipleNegativesRankingLoss(model, scale=50.0, mini_batch_size=size)
        if size
        else MultipleNegativesRankingLoss(model, scale=50.0)
    )
    losses = {"sentence-transformers": theirs, "isogloss": InfoNCE(model, 0.02, mini_batch_size=size)}
    if arguments.compile:
        compiled = copy.deepcopy(model)
        compiled[0].auto_model.compile(dynamic=True)
        losses["isogloss, compiled"] = InfoNCE(compiled, 0.02, mini_batch_size=size)
    spent, padding = dict.fromkeys(losses, 0.0), dict.fromkeys(losses, 0.0)
    for step in range(-1, arguments.steps):  # the first is not counted
        batch = rows[(step + 1) * arguments.batch : (step + 2) * arguments.batch]
        labels = torch.tensor(batch["label"])
        for name, loss in losses.items():
            features = [
                dict(model.preprocess(batch[column], prompt=prompts["query" if column == "query" else "passage"]))
                for column in names
            ]
            counted.update(tokens=0, padded=0)
            begun = time.perf_counter()
            loss(features, labels).backward()
            model.zero_grad()
            if step >= 0:
                spent[name] += time.perf_counter() - begun
                padding[name] += 1 - counted["tokens"] / counted["padded"]
    for name in losses:
        print(f"{name}: {spent[name] / arguments.steps:.2f} s a step, {padding[name] / arguments.steps:.0%} padding")
    print(f"{spent['sentence-transformers'] / spent['isogloss']:.2f} times as fast")


if __name__ == "__main__":
    main()
