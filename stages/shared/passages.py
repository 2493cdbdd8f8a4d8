"""A passage as encoders read it."""

import polars as pl


def passage_text() -> pl.Expr:
    """What an encoder reads of a passage: its title, if it has one, then its text."""
    titled = pl.col("title") != ""
    return pl.when(titled).then(pl.col("title") + " " + pl.col("text")).otherwise(pl.col("text")).alias("text")


def by_language(texts: pl.DataFrame) -> dict[str, list[str]]:
    """The texts of each language of a table with the columns lang and text."""
    return {str(lang): own["text"].to_list() for (lang,), own in texts.group_by("lang", maintain_order=True)}
