"""Queries out of passages that came without, by the inverse cloze task (Lee et al. 2019, arXiv 1906.00300, section 4):
a sentence asks for the passage that it was taken from. Here it is always the lead sentence, with the title."""

from __future__ import annotations

from collections import Counter

import polars as pl

from stages.shared import sentences, untranslated
from stages.shared.sentences import BLOCK_END

ONE_SENTENCE = "of one sentence, so without a query"
OTHER_BLOCKS = "whose languages have other blocks, so without a query"
UNTRANSLATED_LEAD = "whose lead sentence is untranslated, so without a query"


def hold_out(
    passages: pl.DataFrame, languages: list[str], keep_untranslated: bool, noted: Counter[str]
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """`passages` (PASSAGES), and their queries and qrels; passages without a query are counted in `noted`.

    A passage's title and first sentence become its query in each language and leave the passage, so that the query is
    no copy of what it must find. The sentence is of the first block in each language: passages that have not as many
    blocks in all, are one sentence in some, or whose sentence is untranslated get no query. No passage keeps its title,
    or those without a query would stand out.
    """
    split = passages.with_columns(sentences=pl.col("text").map_elements(sentences.split, pl.List(pl.String)))
    split = split.with_columns(lead=pl.col("sentences").list.first())
    if keep_untranslated:
        failed = pl.repeat(False, split.height, eager=True)
    else:
        failed = untranslated.rows(split.select("passage", "lang", text="lead"), "passage", languages)
    split = split.with_columns(failed=failed)
    without = {
        ONE_SENTENCE: pl.col("sentences").list.len().min().over("passage") < 2,
        OTHER_BLOCKS: pl.col("text").str.count_matches(BLOCK_END, literal=True).n_unique().over("passage") > 1,
        UNTRANSLATED_LEAD: pl.col("failed").any().over("passage"),
    }
    reason = pl.coalesce(pl.when(found).then(pl.lit(name)) for name, found in without.items())
    split = split.with_columns(reason=reason)
    first = split.unique("passage", maintain_order=True)
    noted.update(first["reason"].drop_nulls().to_list())
    asked = pl.col("reason").is_null()
    query = pl.concat_str([pl.col("title"), pl.col("lead")], separator=" ").str.strip_chars()
    queries = split.filter(asked).select(query=pl.col("passage") + "#lead", lang="lang", text=query)
    qrels = first.filter(asked).select(
        query=pl.col("passage") + "#lead", passage="passage", relevance=pl.lit(1, pl.Int32)
    )
    rest = pl.when(asked).then(pl.col("text").str.slice(pl.col("lead").str.len_chars()).str.strip_chars())
    split = split.with_columns(title=pl.lit(""), text=rest.otherwise(pl.col("text")))
    return split.drop("sentences", "lead", "failed", "reason"), queries, qrels
