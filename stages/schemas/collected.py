"""The collection: what was read and what was written as one."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from stages.schemas.types import Schema

COLLECTED_FOLDER = Path("data/collected")

# The passages that share a `group` answer the same queries: one passage in its languages or, of a knowledge base, all
# passages of one label. Each passage is in every language.
COLLECTED_PASSAGES: Schema = {
    "passage": pl.String,
    "lang": pl.String,
    "group": pl.String,
    "title": pl.String,
    "text": pl.String,
    "split": pl.String,
}
# `origin`: given (by the source, be it translated by a model) or synthetic (thought of by a model).
COLLECTED_QUERIES: Schema = {
    "query": pl.String,
    "lang": pl.String,
    "text": pl.String,
    "split": pl.String,
    "origin": pl.String,
}
# Above 0: every passage of the group answers the query, in any language. 0: the group was judged not to.
COLLECTED_QRELS: Schema = {"query": pl.String, "group": pl.String, "relevance": pl.Int32}
# The groups that are labels, with what they are about ("" if nothing says it); without rows, none are.
GROUP_LABELS: Schema = {"group": pl.String, "description": pl.String}
# The training queries of a knowledge base, which are documents of it as its passages are; else without rows.
KNOWLEDGE_ENTRIES: Schema = {"query": pl.String, "lang": pl.String, "text": pl.String}
