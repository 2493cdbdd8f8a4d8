"""Texts that are no translation: the same as in another language, or not in their own language's script.

Sites and catalogues show the original until somebody translates it. Measured across languages, such a text finds
itself.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
import regex
from rapidfuzz import fuzz, process

from stages.shared import letters, sketches
from stages.shared.languages import related, scripts

log = logging.getLogger("untranslated")
ALIKE = 0.95  # rapidfuzz's similarity of two texts, but for case, width, punctuation and spaces: the same text
# The least share of a text's letters that are of its language's script: prose about software is full of Latin names.
OWN_LETTERS = 0.2
# Above this share of a language's texts it is told as a warning.
MANY_UNTRANSLATED = 0.03

# A word of prose, without the marks around it: letters, perhaps joined by hyphens and apostrophes.
PROSE_WORD = regex.compile(r"[\p{L}\p{M}]+(?:['’-][\p{L}\p{M}]+)*")
CAMEL = regex.compile(r"\p{Ll}\p{Lu}")  # useState
AROUND_WORDS = ".,:;!?…\"'()[]«»“”‘’„"
UNSPACED_LETTER = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")


def judge(texts: Mapping[str, pl.Series]) -> dict[str, np.ndarray]:
    """For each language which of its texts (String, [n]; null or "" where there is none) are no translation: bool, [n].

    Texts at one place are the same in all languages. Of two languages that have the same text, the later in order lacks
    the translation, unless the earlier's is not in its own script. Short texts, names and code are let be.
    """
    found: dict[str, np.ndarray] = {}
    plain: dict[str, list[str]] = {}
    for lang, own in texts.items():
        own = own.fill_null("")
        frame = own.to_frame("text")
        plain[lang] = frame.select(sketches.plain(pl.col("text"))).to_series().to_list()
        same = np.zeros(len(own), bool)
        for other, failed in found.items():
            if not related(lang, other):
                scores = process.cpdist(
                    plain[lang], plain[other], scorer=fuzz.ratio, score_cutoff=100 * ALIKE, dtype=np.uint8, workers=1
                )
                same |= (scores > 0) & ~failed
        proposed = np.flatnonzero((same | _foreign(lang, frame)) & (own != "").to_numpy())
        found[lang] = np.zeros(len(own), bool)
        found[lang][proposed] = [translatable(text) for text in own[proposed]]
    return found


def _foreign(lang: str, texts: pl.DataFrame) -> np.ndarray:
    """Which of the column `text` have letters, but too few of the language's own script: bool, [n]."""
    own = scripts(lang)
    found = np.zeros(texts.height, bool)
    if own:
        doubtful = texts.select((~letters.half(own, pl.col("text"))).arg_true()).to_series()
        few = letters.share(own, pl.col("text").str.normalize("NFKC")) < OWN_LETTERS
        found[doubtful.to_numpy()] = texts[doubtful].select(few.fill_null(False)).to_series().to_numpy()
    return found


def rows(table: pl.DataFrame, item: str, languages: Sequence[str]) -> pl.Series:
    """`judge` of a table with the columns `item`, lang and text, of which a pair of item and lang has one row: bool,
    [rows]. Languages that `languages` does not name come last."""
    numbered = table.select(item, "lang", "text").with_row_index("row")
    order = [lang for lang in [*languages, *sorted({*table["lang"]} - {*languages})] if lang in table["lang"]]
    items = numbered.select(item).unique(maintain_order=True)
    sides = {lang: items.join(numbered.filter(lang=lang), on=item, how="left", maintain_order="left") for lang in order}
    found = np.zeros(table.height, bool)
    for lang, failed in judge({lang: side["text"] for lang, side in sides.items()}).items():
        found[sides[lang]["row"].filter(pl.Series(failed)).to_numpy()] = True
    return pl.Series(found)


def without(
    table: pl.DataFrame, item: str, languages: Sequence[str], name: str, group: str
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rows of `table` (as `rows` takes it) that are translations, and for each language how many others it had,
    which is said (`warn`)."""
    failed = rows(table, item, languages)
    counts = {
        str(lang): (int(own["failed"].sum()), own.height)
        for (lang,), own in table.select("lang", failed=failed).group_by("lang", maintain_order=True)
    }
    warn(name, counts, group)
    return table.filter(~failed), {lang: few for lang, (few, _) in counts.items() if few}


def warn(name: str, counts: Mapping[str, tuple[int, int]], group: str) -> None:
    """Say of each language how many of how many texts are no translation, as a warning if they are many; `group` has
    the key that keeps them."""
    for lang, (few, of) in counts.items():
        if few:
            level = logging.WARNING if few > MANY_UNTRANSLATED * of else logging.INFO
            log.log(
                level,
                f"{name}: {few:,} of {of:,} texts in {lang} ({few / of:.1%}) are not translated (the same as in "
                f"another language, or not in its script), and left out; {group}.keep_untranslated keeps them",
            )


def translatable(text: str) -> bool:
    """Whether `text` says something that another language would say otherwise: three words, or two of twelve letters,
    that are more than its numbers, code and addresses, and not all of them names; of scripts without spaces twelve
    characters."""
    if len(UNSPACED_LETTER.findall(text)) >= 12:
        return True
    tokens = [token.strip(AROUND_WORDS) for token in text.split()]
    words = [token for token in tokens if PROSE_WORD.fullmatch(token) and not CAMEL.search(token)]
    if 2 * len(words) <= len(tokens) or all(word[0].isupper() for word in words):
        return False
    return len(words) >= 3 or (len(words) == 2 and sum(map(len, words)) >= 12)
