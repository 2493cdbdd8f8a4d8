"""What sources have found, as the tables of a lexicon."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import polars as pl
import regex

from stages.schemas.lexicons import LEXICON
from stages.schemas.types import Schema
from stages.settings.lexicons import Lexicon
from stages.shared.stems import lookups
from stages.shared.words import spans

# What a source has found for each ordered pair of languages; and why it left something out, how often.
ENTRIES: Schema = {"word": pl.String, "translation": pl.String, "score": pl.Float64}
Pairs = dict[tuple[str, str], pl.DataFrame]
Dropped = Counter[str]
SCORE_DIGITS = 5  # of scores: beyond them the order of a sum shows
BY_STEM = ", by its stem"
LETTERED = regex.compile(r"\p{L}")


def key(phrase: str, lang: str) -> str:
    """The words of `phrase` as they are looked up, in lower case and NFC, parted by one blank; '' if it has none, or
    only numbers."""
    words = [lookups(phrase[begin:end], lang)[0] for begin, end in spans(phrase, lang)]
    return " ".join(words) if LETTERED.search(phrase) else ""


def both_ways(rows: Iterable[tuple[str, str, float | None]], source: str, target: str, dropped: Dropped) -> Pairs:
    """The tables (ENTRIES) of `rows`: a phrase of `source`, its translation into `target` and a score, if one is given;
    else a translation's score is its share of the rows of the word. What lacks words is counted in `dropped`."""
    kept: list[tuple[str, str, str, str, float | None]] = []
    for phrase, translation, score in rows:
        if not phrase.strip() or not translation.strip():
            dropped["with an empty side"] += 1
        elif (word := key(phrase, source)) and (their := key(translation, target)):
            kept.append((word, translation.strip(), their, phrase.strip(), score))
        else:
            dropped["without a word on a side"] += 1
    schema = {"word": pl.String, "translation": pl.String, "their": pl.String, "phrase": pl.String, "score": pl.Float64}
    forth = pl.DataFrame(kept, schema=schema, orient="row")
    back = forth.rename({"word": "their", "translation": "phrase", "their": "word", "phrase": "translation"})
    share = pl.len() / pl.col("rows").first()
    return {
        way: table.with_columns(rows=pl.len().over("word"))
        .group_by("word", "translation")
        .agg(score=pl.coalesce(pl.col("score").max(), share))
        for way, table in (((source, target), forth), ((target, source), back))
    }


def table(found: pl.DataFrame, source: str, lexicon: Lexicon) -> pl.DataFrame:
    """The table (LEXICON) of what was `found` (ENTRIES) for words of `source`: with each word's best translations, at
    least as good as the threshold."""
    best = _best(found.with_columns(origin=pl.lit(lexicon.source)), lexicon)
    if lexicon.stems:
        words = {*best["word"]}
        stems = {word: lookups(word, source)[-1] for word in words if " " not in word}
        new = {word: stem for word, stem in stems.items() if stem not in words}
        by_stem = best.filter(pl.col("word").is_in([*new])).with_columns(
            word=pl.col("word").replace(new), origin=pl.col("origin") + BY_STEM
        )
        best = pl.concat([best, _best(by_stem, lexicon)])
    return best.select(*LEXICON).sort("word", "score", "translation", descending=[False, True, False])


def _best(entries: pl.DataFrame, lexicon: Lexicon) -> pl.DataFrame:
    ordered = (
        entries.with_columns(pl.col("score").round(SCORE_DIGITS))
        .filter(pl.col("score") >= lexicon.threshold)
        .sort("word", "score", "translation", descending=[False, True, False])
        .unique(["word", "translation"], keep="first", maintain_order=True)
    )
    return ordered if lexicon.most is None else ordered.group_by("word", maintain_order=True).head(lexicon.most)
