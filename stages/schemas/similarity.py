"""How similar labels are."""

from __future__ import annotations

import polars as pl

from stages.schemas.types import Schema

# A row a label and measure (`kind`: descriptions, centroids or given), with its similarity to each label in the order
# of their names.
SIMILARITY: Schema = {"kind": pl.String, "label": pl.String, "values": pl.List(pl.Float32)}
