"""A passage as encoders read it."""

import polars as pl


def passage_text() -> pl.Expr:
    """What an encoder reads of a passage: its title, if it has one, then its text."""
    titled = pl.col("title") != ""
    return pl.when(titled).then(pl.col("title") + " " + pl.col("text")).otherwise(pl.col("text")).alias("text")
