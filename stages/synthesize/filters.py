"""Filters on texts that a language model wrote: which are left out, each for the first reason that holds.

A filter sees only what those before it left: each text is counted once, and one that is left out makes no other a
duplicate. Texts that are `given` are there to be compared with and always stay. Neither chance nor the order of the
rows plays a part.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import polars as pl
import regex
from langcodes import Language
from py3langid.langid import MODEL_FILE, LanguageIdentifier
from rapidfuzz import fuzz

from stages.settings.synthesize import Filters
from stages.shared import duplicates, letters, tables, untranslated
from stages.shared.errors import UserError
from stages.shared.label_names import LABEL_SEPARATOR
from stages.shared.languages import language_name, related, scripts

# `item` names a parallel group: the same text in several languages. `passage` is the text of the passage that a query
# is for, in the query's language; `label` what it belongs to and `description` what that means; "" where there is none.
JUDGED_TEXTS: tables.Schema = dict.fromkeys(
    ["item", "lang", "kind", "text", "passage", "label", "description"], pl.String
)
JUDGED_TEXTS |= {"given": pl.Boolean, "held_out": pl.Boolean}
FAILED_TEXTS: tables.Schema = dict.fromkeys(["item", "lang", "kind", "filter", "detail"], pl.String)
BOILERPLATE = Path(__file__).with_name("boilerplate.txt")

DESCRIBED = 0.9  # share of a query's words that its label's description has too, in order
_LABEL_WORD = regex.compile(r"\p{Lu}?[^\W_\p{Lu}]+|\p{Lu}+(?!\p{Ll})", regex.V1)  # of card_lost, card-lost and CardLost

# What is wrong with each text, None where nothing is; None for all of them: the filter is off.
Details = Sequence[str | None] | None


def judge(texts: pl.DataFrame, filters: Filters) -> pl.DataFrame:
    """Of JUDGED_TEXTS those that fail, with the first filter that each fails and what the filter saw (FAILED_TEXTS)."""
    left = texts.select(list(JUDGED_TEXTS)).sort(
        # Of two that are alike the first stays: what is measured on is not lost to what is trained on.
        ~pl.col("given"),
        ~pl.col("held_out"),
        "item",
        "lang",
        "kind",
        "text",
    )
    plain = pl.Series([duplicates.plain(text) for text in left["text"]], dtype=pl.String)
    left = left.with_columns(nfkc=pl.col("text").str.normalize("NFKC"), plain=plain)
    failed = [pl.DataFrame(schema=FAILED_TEXTS)]
    for name, check in CHECKS.items():
        details = check(left, filters)
        if details is None:
            continue
        left = left.with_columns(pl.Series("detail", details, pl.String), filter=pl.lit(name))
        fails = pl.col("detail").is_not_null() & ~pl.col("given")
        failed.append(left.filter(fails).select(list(FAILED_TEXTS)))
        left = left.filter(~fails)
    return pl.concat(failed).sort("item", "lang", "kind")


def counts(failed: pl.DataFrame) -> dict[str, int]:
    """How many texts each filter left out, in the filters' order."""
    found = dict(failed["filter"].value_counts().iter_rows())
    return {name: found.get(name, 0) for name in CHECKS}


def _script(texts: pl.DataFrame, filters: Filters) -> Details:
    if filters.script is None:
        return None
    written = {lang: scripts(lang) for lang in texts["lang"].unique()}
    names = {lang: " or ".join(Language.make(script=s).script_name() for s in own) for lang, own in written.items()}
    share = pl.lit(1.0)
    for lang, own in written.items():
        share = pl.when(lang=lang).then(letters.share(own, pl.col("nfkc")) if own else 1.0).otherwise(share)
    details: list[str | None] = []
    for lang, found in texts.select("lang", share=share).iter_rows():
        few = "no letters" if found is None else f"{names[lang]} {found:.0%} of the letters"
        details.append(few if found is None or found < filters.script else None)
    return details


def _language(texts: pl.DataFrame, filters: Filters) -> Details:
    """Of the study's languages in the same script only: a short text tells a few languages apart, not 140.

    Romanised languages (hi-Latn) are no candidates and are not judged: the identifier never saw them.
    """
    if filters.language is None:
        return None
    tags = {tag: Language.get(tag).language or "" for tag in texts["lang"].unique()}
    tags = {tag: language for tag, language in tags.items() if scripts(tag) == scripts(language)}
    details = pl.Series([None] * len(texts), dtype=pl.String)
    for tag, own in tags.items():
        rivals = {language for other, language in tags.items() if set(scripts(tag)) & set(scripts(other))}
        if len(rivals) > 1 and own in (known := rivals & _identifier()[1]) and len(known) > 1:
            rows = (texts["lang"] == tag).arg_true()
            identifier = _identifier()[0]
            identifier.set_languages(known)
            found = [_other(identifier, text, own, filters.language) for text in texts["text"].gather(rows)]
            details = details.scatter(rows, found)
    return details.to_list()


def _other(identifier: LanguageIdentifier, text: str, own: str, least: float) -> str | None:
    best, probability = next(pair for pair in identifier.rank(text) if pair[0] != own)
    return f"{language_name(best)} ({probability:.2f})" if probability >= least else None


@cache
def _identifier() -> tuple[LanguageIdentifier, frozenset[str]]:
    """The identifier, and the languages that it knows."""
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    return identifier, frozenset(identifier.labels)


def _too_short(texts: pl.DataFrame, filters: Filters) -> Details:
    return _length(texts, filters, lambda n, least, _: f"{n} characters, fewer than {least}" if n < least else None)


def _too_long(texts: pl.DataFrame, filters: Filters) -> Details:
    return _length(texts, filters, lambda n, _, most: f"{n} characters, more than {most}" if n > most else None)


def _length(texts: pl.DataFrame, filters: Filters, detail: Callable[[int, int, int], str | None]) -> Details:
    bounds = {"query": filters.query_chars, "passage": filters.passage_chars}
    lengths = texts.select("kind", letters.weighed_length(pl.col("text").str.strip_chars()))
    return [detail(length, *bound) if (bound := bounds[kind]) else None for kind, length in lengths.iter_rows()]


def _boilerplate(texts: pl.DataFrame, filters: Filters) -> Details:
    if not filters.boilerplate:
        return None
    # Pattern by pattern: the engine looks for a pattern's plain parts first, which it cannot do for all in one.
    phrases = (pl.col("nfkc").str.extract(pattern, 0) for pattern in _patterns())
    found = texts.select(pl.coalesce(pl.lit(None, pl.String), *phrases)).to_series()
    return [None if phrase is None else f'says "{phrase.strip()}"' for phrase in found]


def _patterns() -> list[str]:
    """The patterns of BOILERPLATE; raises `UserError` for one that cannot be used."""
    patterns = []
    for number, line in enumerate(BOILERPLATE.read_text(encoding="utf-8").splitlines(), 1):
        # NFC as the texts are NFKC: the two take the same letters apart (क़).
        pattern = unicodedata.normalize("NFC", line.strip())
        if not pattern or pattern.startswith("#"):
            continue
        place = f"{BOILERPLATE}:{number}"
        try:
            if pl.Series([""]).str.contains(pattern).item():
                raise UserError(f"{place} also fits an empty text, and so every text: {pattern}")
        except pl.exceptions.ComputeError:
            raise UserError(f"{place} is no regular expression (Rust's, without look-around): {pattern}") from None
        patterns.append(f"(?i){pattern}")
    return patterns


def _copied(texts: pl.DataFrame, filters: Filters) -> Details:
    if filters.copied is None:
        return None
    pairs = texts.select("text", "passage").iter_rows()
    copies = (duplicates.copied(text, passage, filters.copied) for text, passage in pairs)
    return [copy and f"copies {copy[0]} of {copy[1]} words" for copy in copies]


def _label_leak(texts: pl.DataFrame, filters: Filters) -> Details:
    if not filters.label_leak:
        return None
    return [
        _leak(text, label, description) if kind == "query" else None
        for kind, text, label, description in texts.select("kind", "nfkc", "label", "description").iter_rows()
    ]


def _leak(text: str, label: str, description: str) -> str | None:
    leaf = label.rpartition(LABEL_SEPARATOR)[2]
    for name in (label, leaf):
        # A label of one word, such as refund, is a word that honest queries have.
        if len(_label_words(name)) > 1 and name.casefold() in text.casefold():
            return f"names its label {name}"
    words = _label_words(leaf)
    if len(words) > 1 and f" {' '.join(words)} " in f" {' '.join(_label_words(text))} ":
        return f'names its label: "{" ".join(words)}"'
    copy = duplicates.copied(text, description, DESCRIBED)
    return copy and f"copies {copy[0]} of {copy[1]} words from its label's description"


def _label_words(text: str) -> list[str]:
    return [word.casefold() for word in _LABEL_WORD.findall(text)]


def _untranslated(texts: pl.DataFrame, filters: Filters) -> Details:
    """Against the item's text in the languages before it, given ones first; what names, code and short texts, or
    related languages have in common is let be."""
    if filters.untranslated is None:
        return None
    details: list[str | None] = []
    before: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    columns = ("item", "kind", "lang", "text", "plain", "given")
    for item, kind, lang, text, plain, given in texts.select(columns).iter_rows():
        similarity, like = max(
            (
                (fuzz.ratio(plain, other) / 100, other_lang)
                for other_lang, other in before[item, kind]
                if not related(lang, other_lang)
            ),
            default=(0.0, ""),
        )
        fails = similarity >= filters.untranslated and untranslated.translatable(text)
        details.append(f"like the text in {language_name(like)} ({similarity:.2f})" if fails else None)
        if given or not fails:
            before[item, kind].append((lang, plain))
    return details


def _duplicate(texts: pl.DataFrame, filters: Filters) -> Details:
    if not filters.duplicates:
        return None
    first: dict[tuple[str, str, str], str] = {}
    rows = texts.select("item", "kind", "lang", "plain").iter_rows()
    found = [(item, first.setdefault((kind, lang, plain), item)) for item, kind, lang, plain in rows]
    return [f"the same as {same}" if same != item else None for item, same in found]


def _near_duplicate(texts: pl.DataFrame, filters: Filters) -> Details:
    if filters.near_duplicates is None:
        return None
    details: list[str | None] = [None] * len(texts)
    for _, group in texts.with_row_index("row").group_by("kind", "lang"):
        rows, items = group["row"].to_list(), group["item"].to_list()
        found = duplicates.near(group["plain"].to_list(), filters.near_duplicates, fixed=int(group["given"].sum()))
        for row, near in zip(rows, found, strict=True):
            details[row] = near and f"like {items[near[0]]} ({near[1]:.2f})"
    return details


# In the order in which they are asked.
CHECKS: dict[str, Callable[[pl.DataFrame, Filters], Details]] = {
    "script": _script,
    "language": _language,
    "too_short": _too_short,
    "too_long": _too_long,
    "boilerplate": _boilerplate,
    "copied": _copied,
    "label_leak": _label_leak,
    "untranslated": _untranslated,
    "duplicate": _duplicate,
    "near_duplicate": _near_duplicate,
}
