"""What an export loses, and how much faster it is: both against the model as it is, on the benchmark that chose it."""

from __future__ import annotations

import time
from pathlib import Path

from stages.shared import ranking, scoring
from stages.shared.ranking import DocumentEncoder, Tables

# Passages that are timed, at most, and how often: the fastest time counts, the others had company.
TIMED, TIMES = 500, 3


def means(encoder: DocumentEncoder, benchmark: Tables, metric: str, depth: int) -> dict[str, float]:
    """{mono, cross or multi: mean of the group's tasks}, as `score` has them."""
    run, _ = ranking.rank(benchmark, ranking.by_encoder(encoder, benchmark), depth)
    values = scoring.per_query(run, benchmark.queries, benchmark.qrels, [metric])
    return scoring.of_groups(values, benchmark.queries, benchmark.passages, metric)


def seconds(encoder: DocumentEncoder, benchmark: Tables) -> float:
    """The time that some passages take to encode."""
    texts = benchmark.texts("passage")[:TIMED]
    encoder.encode(texts[:8], "passage")
    spent = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        encoder.encode(texts, "passage")
        spent.append(time.perf_counter() - begun)
    return min(spent)


def megabytes(path: Path) -> float:
    """The size of an export: a folder, or a file with what has its name beside it (weights of OpenVINO)."""
    files = path.rglob("*") if path.is_dir() else path.parent.glob(f"{path.stem}.*")
    return round(sum(file.stat().st_size for file in files if file.is_file()) / 1e6, 2)
