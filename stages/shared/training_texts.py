"""The texts of the training split: what lexicons are made of, and measured on.

Nothing of dev and test is read: a lexicon that had seen them would know their words.
"""

from __future__ import annotations

import polars as pl

from stages.schemas.collected import COLLECTED_FOLDER, COLLECTED_PASSAGES, COLLECTED_QUERIES
from stages.shared import tables


def passages() -> pl.DataFrame:
    """COLLECTED_PASSAGES."""
    return tables.read(COLLECTED_FOLDER / "passages.parquet", COLLECTED_PASSAGES).filter(split="train")


def queries() -> pl.DataFrame:
    """COLLECTED_QUERIES."""
    return tables.read(COLLECTED_FOLDER / "queries.parquet", COLLECTED_QUERIES).filter(split="train")


def of(lang: str) -> list[str]:
    """All texts of a language, titles included."""
    own = passages().filter(lang=lang)
    return [*own["title"], *own["text"], *queries().filter(lang=lang)["text"]]
