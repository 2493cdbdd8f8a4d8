"""Rows in one normal form, and what speaks against each."""

from __future__ import annotations

from itertools import chain

import numpy as np
import polars as pl

from stages.settings.corpus import Corpus
from stages.shared import untranslated
from stages.shared.errors import UserError
from stages.shared.letters import weighed_length
from stages.shared.sentences import BLOCK_END

# Controls and formats that show nothing, but not white space, the joiners of scripts and emoji, Mongolian's vowel
# separator, signs that enclose the digits after them, and the tags of flags.
INVISIBLE = r"[\p{Cc}\p{Cf}--[\s\u{200C}\u{200D}\u{180E}\p{Prepended_Concatenation_Mark}\u{E0020}-\u{E007F}]]"
# What decoders write for bytes and half surrogates that are no character.
UNREADABLE = "\N{REPLACEMENT CHARACTER}"
NO_TRANSLATION = "untranslated"


def clean(rows: pl.DataFrame, languages: list[str], settings: Corpus) -> pl.DataFrame:
    """The rows of a `batches.Batch` without nulls, with `reason`, why a row is of no use (null: it is), and for each
    language reason_<lang>, what its text adds to that; and with the booleans `invisible` (control characters are gone)
    and `unreadable` (U+FFFD is in it). A blank line within a text has become a `BLOCK_END`."""
    texts = [f"text_{lang}" for lang in languages]
    titles = [f"title_{lang}" for lang in languages]
    rows = rows.with_columns(pl.col("id", "stratum", *titles, *texts).fill_null("")).with_columns(
        _spaced(pl.col("id", "stratum")),
        _spaced(_normal(pl.col(titles).str.replace_all(INVISIBLE, ""), settings.normalize)),
        _spaced(_blocks(_normal(pl.col(texts).str.replace_all(INVISIBLE, ""), settings.normalize))),
        invisible=pl.any_horizontal(pl.col(titles + texts).str.contains(INVISIBLE)),
        unreadable=pl.any_horizontal(pl.col(titles + texts).str.contains(UNREADABLE, literal=True)),
    )
    failed = (
        {} if settings.keep_untranslated else untranslated.judge({lang: rows[f"text_{lang}"] for lang in languages})
    )
    kinds = zip(*(_reasons(lang, settings, failed.get(lang)) for lang in languages), strict=True)
    of_row = [("without id", pl.col("id") == ""), *chain.from_iterable(kinds)]
    return rows.with_columns(
        _first(of_row).alias("reason"),
        *(_first(_reasons(lang, settings, failed.get(lang))).alias(f"reason_{lang}") for lang in languages),
    )


def _reasons(lang: str, settings: Corpus, failed: np.ndarray | None) -> list[tuple[str, pl.Expr]]:
    """What may speak against a row's text in `lang`, by its name."""
    text = pl.col(f"text_{lang}")
    if isinstance(settings.chars, dict):
        if lang not in settings.chars:
            raise UserError(f"corpus.chars has no limits for {lang}: add them, or write one pair for all languages")
        limits, length = settings.chars[lang], text.str.len_chars()
    else:
        limits, length = settings.chars, weighed_length(text)
    return [
        ("without text in every language", text == ""),
        (f"shorter than {limits[0]:,} characters", length < limits[0]),
        (f"longer than {limits[1]:,} characters", length > limits[1]),
        (NO_TRANSLATION, pl.lit(False) if failed is None else pl.lit(pl.Series(failed))),
    ]


def _first(reasons: list[tuple[str, pl.Expr]]) -> pl.Expr:
    return pl.coalesce(pl.when(found).then(pl.lit(name)) for name, found in reasons)


def _normal(text: pl.Expr, form: str | None) -> pl.Expr:
    return text.str.normalize(form) if form else text  # type: ignore[arg-type]


def _spaced(text: pl.Expr) -> pl.Expr:
    return text.str.replace_all(r"\s\s+|[\s--[\x20\x{2029}]]", " ").str.strip_chars()


def _blocks(text: pl.Expr) -> pl.Expr:
    return text.str.replace_all(r"\s*(?:\n[^\S\n]*\n|\x{2029})\s*", BLOCK_END)
