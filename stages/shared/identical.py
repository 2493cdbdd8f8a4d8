"""Queries that are passages themselves, as in ArguAna and Quora: a search would find them first."""

from __future__ import annotations

import polars as pl

from stages.shared.passages import passage_text

QUERY_PASSAGE = ["query", "passage"]
# What may end a question in one place and not in another.
MARKS = " .,;:!?…。！？؟।"
BEGINNING = 24


def by_id(queries: pl.DataFrame, passages: pl.DataFrame) -> pl.DataFrame:
    """Columns query and passage: those of one id, in whatever language; sorted."""
    names = passages.select("passage").unique().sort("passage").with_columns(query="passage")
    return names.join(queries, on="query", how="semi", maintain_order="left").select(QUERY_PASSAGE)


def by_text(queries: pl.DataFrame, passages: pl.DataFrame) -> pl.DataFrame:
    """Columns query and passage: those of one text but for case and the marks at its end, in whatever language, be the
    passage's title read before it or not; sorted."""
    asked = queries.select("query", "text", bare=_bare(pl.col("text"))).filter(pl.col("bare") != "")
    heads = asked.select(head=_bare(pl.col("text").str.head(BEGINNING))).unique()
    found = [pl.DataFrame(schema=dict.fromkeys(QUERY_PASSAGE, pl.String))]
    for table, text in ((passages, pl.col("text")), (passages.filter(pl.col("title") != ""), passage_text())):
        # Few texts begin as a query does: only these are read to their ends.
        near = table.select("passage", text=text).with_columns(head=_bare(pl.col("text").str.head(BEGINNING)))
        near = near.join(heads, on="head", how="semi").select("passage", bare=_bare(pl.col("text")))
        found.append(near.join(asked, on="bare").select(QUERY_PASSAGE))
    return pl.concat(found).unique().sort(QUERY_PASSAGE)


def of_training(queries: pl.DataFrame, passages: pl.DataFrame, by_label: bool) -> pl.DataFrame:
    """Columns query and passage: the passages that are a training query's own text, in any language and under any id;
    those of its id too, unless queries and passages are labelled, and each have ids of their own."""
    asked = queries.filter(split="train")
    found = [by_text(asked, passages)]
    if not by_label:
        found.append(by_id(asked, passages))
    return pl.concat(found).unique().sort(QUERY_PASSAGE)


def _bare(text: pl.Expr) -> pl.Expr:
    return text.str.to_lowercase().str.strip_chars_end(MARKS)
