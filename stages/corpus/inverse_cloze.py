"""Queries out of passages that came without, by the inverse cloze task (Lee et al. 2019, arXiv 1906.00300, section 4):
a sentence asks for the passage that it was taken from. Here it is always the lead sentence, with the title."""

from __future__ import annotations

import polars as pl

from stages.shared import sentences


def hold_out(passages: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """`passages` (PASSAGES), and their queries and qrels.

    A passage's title and first sentence become its query in each language and leave the passage, so that the query is
    no copy of what it must find. Passages that are one sentence in some language get no query; no passage keeps its
    title, or those without a query would stand out.
    """
    split = passages.with_columns(sentences=pl.col("text").map_elements(sentences.split, pl.List(pl.String)))
    askable = pl.col("sentences").list.len().min().over("passage") > 1
    lead = pl.concat_str([pl.col("title"), pl.col("sentences").list.first()], separator=" ").str.strip_chars()
    queries = split.filter(askable).select(query=pl.col("passage") + "#lead", lang="lang", text=lead)
    qrels = (
        split.filter(askable)
        .unique("passage", maintain_order=True)
        .select(query=pl.col("passage") + "#lead", passage="passage", relevance=pl.lit(1, pl.Int32))
    )
    rest = pl.when(askable).then(pl.col("sentences").list.slice(1).list.join(" ")).otherwise(pl.col("text"))
    return split.with_columns(title=pl.lit(""), text=rest).drop("sentences"), queries, qrels
