"""Rows in one normal form, and what speaks against each."""

from __future__ import annotations

import polars as pl

from stages.settings.corpus import Corpus

# Controls and formats that show nothing, but not white space, the joiners of scripts and emoji, Mongolian's vowel
# separator, signs that enclose the digits after them, and the tags of flags.
INVISIBLE = r"[\p{Cc}\p{Cf}--[\s\u{200C}\u{200D}\u{180E}\p{Prepended_Concatenation_Mark}\u{E0020}-\u{E007F}]]"
# What decoders write for bytes and half surrogates that are no character.
UNREADABLE = "\N{REPLACEMENT CHARACTER}"


def clean(rows: pl.DataFrame, languages: list[str], settings: Corpus) -> pl.DataFrame:
    """The rows of a `batches.Batch` without nulls, with `reason`, why a row is of no use (null: it is), and the
    booleans `invisible` (control characters are gone) and `unreadable` (U+FFFD is in it)."""
    texts = [f"text_{lang}" for lang in languages]
    written = [*(f"title_{lang}" for lang in languages), *texts]
    rows = rows.with_columns(pl.col("id", "stratum", *written).fill_null("")).with_columns(
        _spaced(pl.col("id", "stratum")),
        _spaced(_normal(pl.col(written).str.replace_all(INVISIBLE, ""), settings.normalize)),
        invisible=pl.any_horizontal(pl.col(written).str.contains(INVISIBLE)),
        unreadable=pl.any_horizontal(pl.col(written).str.contains(UNREADABLE, literal=True)),
    )
    least, most = settings.chars
    lengths = [pl.col(text).str.len_chars() for text in texts]
    reasons = {
        "without id": pl.col("id") == "",
        "without text in every language": pl.any_horizontal(pl.col(texts) == ""),
        f"shorter than {least:,} characters": pl.any_horizontal(length < least for length in lengths),
        f"longer than {most:,} characters": pl.any_horizontal(length > most for length in lengths),
    }
    return rows.with_columns(reason=pl.coalesce(pl.when(found).then(pl.lit(name)) for name, found in reasons.items()))


def _normal(text: pl.Expr, form: str | None) -> pl.Expr:
    return text.str.normalize(form) if form else text  # type: ignore[arg-type]


def _spaced(text: pl.Expr) -> pl.Expr:
    return text.str.replace_all(r"\s\s+|[\s--\x20]", " ").str.strip_chars()
