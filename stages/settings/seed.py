"""`seed`: of the split, the sampling, the batches and the initial weights."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stages.settings.reading import value

Seed = Annotated[int, Field(ge=0, lt=2**32)]


def read_seed() -> int:
    return value("seed", Seed)
