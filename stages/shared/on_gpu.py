"""Inner products on a GPU, in float32 as on the processor, where there are many of them. Their last bits may be others,
also of equal vectors in two blocks: what ties on the processor may not tie here."""

from __future__ import annotations

import shutil
from functools import lru_cache
from typing import Any

import numpy as np

# Scores at once, 1 GB.
SCORES = 2**28
# Multiplications, a second or so of a processor: for fewer, importing torch and moving vectors take longer.
WORTH = 2**37


def pays(queries: np.ndarray, corpus: np.ndarray) -> bool:
    """Whether all products of these vectors are to be computed on a GPU: there are many, and there is one."""
    return len(queries) * corpus.size >= WORTH and device() is not None


@lru_cache(maxsize=1)
def device() -> Any:
    """The GPU (torch.device), or None. torch, which takes long to import, is asked where there is NVIDIA's driver."""
    if not shutil.which("nvidia-smi"):
        return None
    import torch

    return torch.device("cuda") if torch.cuda.is_available() else None


def placed(vectors: np.ndarray) -> Any:
    """`vectors` as a tensor on the GPU, float32."""
    import torch

    return torch.tensor(np.asarray(vectors, np.float32), device=device())


def nearest(queries: np.ndarray, block: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """As `faiss.knn` by inner product: scores (float32) and rows (int64) of each query's k best, best first, equals in
    any order."""
    scores, rows = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
    passages, step = placed(block), max(1, SCORES // max(1, len(block)))
    for begin in range(0, len(queries), step):
        best = (placed(queries[begin : begin + step]) @ passages.T).topk(k)
        scores[begin : begin + step] = best.values.cpu().numpy()
        rows[begin : begin + step] = best.indices.cpu().numpy()
    return scores, rows
