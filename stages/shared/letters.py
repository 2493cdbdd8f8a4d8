"""How much a character says: scripts that write a syllable or a word with one say more with it than an alphabet."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

# Letters of an alphabet that say as much as one character: a Hangul syllable is written with two or three.
WEIGHTS = {"Hang": 3, "Hani": 3, "Hira": 2, "Kana": 2}
# The most letters that a Latin word counts as where Latin is foreign: it is a name, as good as a syllable however long,
# so that "React DOM 서버" is Korean.
NAME = 3


def weighed_length(text: pl.Expr) -> pl.Expr:
    """The length of texts in characters of an alphabet."""
    more = {weight: [s for s, w in WEIGHTS.items() if w == weight] for weight in sorted({*WEIGHTS.values()})}
    extra = ((weight - 1) * text.str.count_matches(f"[{_named(some)}]") for weight, some in more.items())
    return pl.sum_horizontal(text.str.len_chars(), *extra)


def share(own: tuple[str, ...], nfkc: pl.Expr) -> pl.Expr:
    """The share of the letters of texts in NFKC, weighed, that are of the scripts `own`; null without letters."""
    text = nfkc
    if "Latn" not in own:
        text = text.str.replace_all(rf"(\p{{sc=Latn}}{{{NAME}}})\p{{sc=Latn}}+", "$1")

    def letters(some: tuple[str, ...]) -> pl.Expr:
        # Vowel signs of Indic scripts are marks.
        found = {s: text.str.count_matches(rf"[\p{{sc={s}}}&&[\p{{L}}\p{{M}}]]") for s in some}
        return pl.sum_horizontal(WEIGHTS.get(script, 1) * count for script, count in found.items())

    others = tuple(script for script in WEIGHTS if script not in own)
    # Zyyy and Zinh belong to no script, such as the kana's ー.
    all_letters = (
        letters(own)
        + letters(others)
        + text.str.count_matches(rf"[\p{{L}}--[{_named((*own, *others, 'Zyyy', 'Zinh'))}]]")
    )
    return pl.when(all_letters > 0).then(letters(own) / all_letters)


def half(own: tuple[str, ...], text: pl.Expr) -> pl.Expr:
    """Whether half of a text's letters, unweighed, are of the scripts `own`: ten times as quick as `share`."""
    ours, letters = (text.str.replace_all(rf"[^{some}]+", "").str.len_chars() for some in (_named(own), r"\p{L}"))
    return 2 * ours >= letters


def _named(some: Sequence[str]) -> str:
    return "".join(rf"\p{{sc={script}}}" for script in some)
