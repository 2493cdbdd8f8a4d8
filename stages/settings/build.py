"""`build`: how stages are built side by side. `tools.repro` reads it, and no stage."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from stages.settings.reading import meant, value
from stages.settings.types import Count, Group, Positive

# As dvc.yaml has them, which no stage depends on.
STAGES = (
    *("check", "fetch", "corpus", "synthesize", "collect", "lexicons", "coverage", "base", "candidates", "negatives"),
    *(
        "triples",
        "codeswitch",
        "trainsets",
        "train",
        "rerankers",
        "plans",
        "merge",
        "benchmarks",
        "contamination",
        "validation",
    ),
    *("retrieve-base", "retrieve-trained", "retrieve-merged", "references", "translated", "fusions", "rerank"),
    *("score", "labels", "compare", "report", "chosen", "index"),
)


def _stage(name: str) -> str:
    if name not in STAGES:
        raise ValueError(
            f"there is no stage {name!r}{meant(name, list(STAGES))}: write a name of dvc.yaml, before any @"
        )
    return name


def _whole_or_share(gpus: float) -> float:
    if gpus > 1 and gpus != int(gpus):
        raise ValueError(f"{gpus} is neither a number of GPUs nor a share of one: write 2, 1 or 0.5")
    return gpus


NamedStage = Annotated[str, AfterValidator(_stage)]
Gpus = Annotated[float, Field(ge=0), AfterValidator(_whole_or_share)]


class Build(Group):
    """What each stage takes: threads, GPUs or a share of one, and memory in GB."""

    jobs: Count | None
    threads: dict[NamedStage, Count]
    gpus: dict[NamedStage, Gpus]
    memory: dict[NamedStage, Positive]


def read_build() -> Build:
    return value("build", Build)
