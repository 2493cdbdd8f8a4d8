"""What the models come from: the corpus, the encoders and their prompts, and what training holds of the benchmarks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from stages.report.cells import NONE, Cell, Heading, Row, Table, count, merged_order
from stages.shared.languages import language_name
from stages.shared.params import Encoder

HIGH = 0.01  # a share of a benchmark that is worth a warning
KINDS = ("queries", "passages")
TRAITS = ("revision", "pooling", "max_length", "dtype", "attention", "padding", "dimension")

# {benchmark: {recipe: {language, or * for any of them: {count: share}}}}
Shares = Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]


class Corpus(NamedTuple):
    read: list[tuple[str, str]]  # source and rows
    left_out: list[tuple[str, str]]  # reason and rows
    noted: list[tuple[str, str]]
    languages: Table


class Shown(NamedTuple):
    """An encoder as it was run."""

    role: str  # base or teacher
    name: str
    traits: list[tuple[str, str]]
    prompts: list[tuple[str, str]]  # those that are not empty
    note: str  # why there are no prompts
    doubtful: bool  # that none are used may be a mistake


class Held(NamedTuple):
    """The greatest shares of a benchmark that are in training sets."""

    queries: str
    passages: str
    high: bool


def corpus(report: dict[str, Any]) -> Corpus:
    """What was read, what was left out and why, and each language's passages by split."""
    groups = {
        "Passages": report.get("passages", {}),
        "Characters of a passage": report.get("characters", {}),
        "Repeated texts": report.get("duplicates", {}),
    }
    keys = {title: merged_order(by_lang.values()) for title, by_lang in groups.items()}
    asked = report.get("queries", {})
    rows = [
        Row(
            lang,
            language_name(lang),
            [],
            [Cell(count(groups[title].get(lang, {}).get(key))) for title, own in keys.items() for key in own]
            + ([Cell(count(asked.get(lang)))] if asked else []),
        )
        for lang in groups["Passages"]
    ]
    header = [key for own in keys.values() for key in own] + (["queries"] if asked else [])
    headings = [Heading(title, len(own)) for title, own in keys.items() if own] + ([Heading("", 1)] if asked else [])
    read, left_out, noted = (
        [(name, count(number)) for name, number in report.get(key, {}).items()] for key in ("read", "left_out", "noted")
    )
    return Corpus(read, left_out, noted, Table(header, rows, headings))


def encoder(role: str, settings: Encoder, record: dict[str, Any]) -> Shown:
    """`record` says how the encoder that `settings` name was run; the teacher's may say that it is the base."""
    if role == "teacher" and record.get("name") == "base":
        return Shown(role, "the base", [], [], "", False)
    prompts = [(name, text) for name, text in (record.get("prompts") or {}).items() if text]
    traits = [(trait.replace("_", " "), str(record[trait])) for trait in TRAITS if record.get(trait) is not None]
    if settings.trust_remote_code:
        traits.append(("code", "of the model's authors"))
    note, doubtful = ("", False) if prompts else _silence(role, settings, record)
    return Shown(role, str(record.get("name", settings.name)), traits, prompts, note, doubtful)


def _silence(role: str, settings: Encoder, record: dict[str, Any]) -> tuple[str, bool]:
    """Why an encoder is run without prompts, and whether that may be a mistake."""
    if settings.name == "static":
        return "it was trained without", False
    if settings.prompts is not None:
        return f"{role}.prompts says so", True
    if record.get("preset"):
        return f"{record['preset']} needs none", False
    return (
        f"the model states none, and is not known to need none; if it was trained with some, its scores are too low: "
        f"set {role}.prompts",
        True,
    )


def contamination(shares: Shares, recipes: list[str]) -> Table:
    """Of each benchmark, in per cent, what each recipe trains on: the most over languages."""
    headings = [Heading(benchmark, 3) for benchmark in shares]
    rows = [
        Row(recipe, "recipe", [], [cell for by_recipe in shares.values() for cell in _held(by_recipe[recipe])])
        for recipe in recipes
    ]
    return Table(["queries", "passages", "as negatives"] * len(shares), rows, headings)


def _held(by_lang: Mapping[str, Mapping[str, float]]) -> list[Cell]:
    most = [_most([by_lang], key) for key in (*KINDS, "passages_negative")]
    return [Cell(percent(value), high=value is not None and value > HIGH) for value in most[:2]] + [
        Cell(percent(most[2]))
    ]


def held(by_recipe: Mapping[str, Mapping[str, Mapping[str, float]]], recipes: Iterable[str]) -> Held:
    """The most that any of `recipes` trains on."""
    own = [by_recipe[recipe] for recipe in recipes]
    queries, passages = (_most(own, key) for key in KINDS)
    return Held(percent(queries), percent(passages), max(queries or 0, passages or 0) > HIGH)


def _most(cases: Iterable[Mapping[str, Mapping[str, float]]], key: str) -> float | None:
    found = [shares[key] for by_lang in cases for shares in by_lang.values() if key in shares]
    return max(found, default=None)


def percent(share: float | None) -> str:
    """0, or two decimals, but never 0.00."""
    if not share:
        return NONE if share is None else "0"
    return f"{100 * share:.2f}" if share >= 0.00005 else "< 0.01"
