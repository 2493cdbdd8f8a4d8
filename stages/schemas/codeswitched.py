"""Code-switched variants of the training texts."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from stages.schemas.types import Schema

# <variant>.parquet
CODESWITCHED_FOLDER = Path("data/codeswitched")
CODESWITCH_METRICS = Path("metrics/codeswitch.json")

# A text with words in other languages, as encoders read it: `side` is query or passage, `id` its name in the
# collection, `lang` the language that it was in, `draw` which of the variant's draws it is, from 0; sorted by these.
CODESWITCHED: Schema = {
    "side": pl.String,
    "id": pl.String,
    "lang": pl.String,
    "draw": pl.UInt32,
    "text": pl.String,
}
