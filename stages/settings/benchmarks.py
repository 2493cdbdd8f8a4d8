"""`benchmarks`: what models are measured on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stages.settings.metrics import Metric
from stages.settings.reading import value
from stages.settings.tags import Language
from stages.settings.types import Count, Group, Name, Share


class IntentColumns(Group):
    text: str
    label: str
    id: str | None = None


class Benchmark(Group):
    source: Literal[
        "held-out",
        "beir",
        "belebele",
        "squad",
        "strategyqa",
        "xquad-r",
        "mlqa-r",
        "miracl",
        "mmarco",
        "mkqa",
        "feverous",
        "intents",
        "massive",
        "mtop",
        "hinglish-top",
    ]
    path: str
    # It stands in names of files.
    split: Annotated[str, Field(pattern=r"^[\w.-]+$")] | None = None
    languages: Annotated[list[Language], Field(min_length=1)] | None = None
    codes: dict[Language, str] = Field(default_factory=dict)
    columns: IntentColumns | None = None
    rerank: str | None = None
    queries: Count | None = None
    passages: Count | None = None
    keep_untranslated: bool = False
    pool: Literal["all", "one"] = "all"
    metric: Metric | None = None
    max_contamination: Share | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Benchmark:
        if self.source == "held-out" and self.split not in ("dev", "test"):
            raise ValueError("the source held-out needs a split, dev or test")
        if (self.source == "intents") != (self.columns is not None):
            raise ValueError("columns belong to the source intents, and only to it")
        return self


Benchmarks = Annotated[dict[Name, Benchmark], Field(min_length=1)]


def read_benchmark(name: str) -> Benchmark:
    return value(f"benchmarks.{name}", Benchmark)


def read_benchmarks() -> dict[str, Benchmark]:
    return value("benchmarks", Benchmarks)
