"""What training data comes from: what was read and written, and what filters left of it."""

from __future__ import annotations

from typing import Any, NamedTuple

from stages.report.cells import DASH, Cell, Heading, Table, TableRow, column, count, merged_order, points
from stages.shared.languages import language_name


class CorpusFacts(NamedTuple):
    read: list[tuple[str, str]]  # source and rows
    left_out: list[tuple[str, str]]  # reason and rows
    noted: list[tuple[str, str]]
    languages: Table


def corpus(report: dict[str, Any]) -> CorpusFacts:
    """What was read, what was left out and why, and each language's passages by split."""
    groups = {
        "Texts": report.get("texts", {}),
        "Passages": report.get("passages", {}),
        "Characters of a passage": report.get("characters", {}),
        "Repeated texts": report.get("duplicates", {}),
    }
    keys = {title: merged_order(by_lang.values()) for title, by_lang in groups.items()}
    asked = report.get("queries", {})
    rows = [
        TableRow(
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
    return CorpusFacts(read, left_out, noted, Table(header, rows, headings))


def synthesis_table(report: dict[str, dict[str, dict[str, int]]]) -> Table:
    """What each job asked for and what the filters left of it; columns in the order in which filters apply."""
    jobs = {job: asked | report["filters"].get(job, {}) for job, asked in report["requests"].items()}
    keys = merged_order(jobs.values())
    rows = [TableRow(job, "", [], [Cell(count(counts.get(key))) for key in keys]) for job, counts in jobs.items()]
    return Table([key.replace("_", " ") for key in keys], rows, [])


def negatives_table(report: dict[str, dict[str, Any]]) -> Table:
    """What the filters left, for each strategy and direction; columns in the order in which filters apply."""
    cases = [(name, way, counts) for name, told in report.items() for way, counts in told["directions"].items()]
    keys = merged_order(counts for _, _, counts in cases)
    rows = [
        TableRow(s, "", [], [Cell(way), *(Cell(count(counts.get(key))) for key in keys)]) for s, way, counts in cases
    ]
    return Table(["Direction", *(key.replace("_", " ") for key in keys)], rows, [])


class Lexicons(NamedTuple):
    """What each lexicon translates, and how far it agrees with dictionaries; `notes`: what it lacks and left out."""

    table: Table
    notes: list[tuple[str, str]]  # lexicon and sentence


def lexicons(report: dict[str, dict[str, Any]]) -> Lexicons:
    """A row for each lexicon and pair of languages, and for each dictionary that it is measured against."""
    rows, notes = [], []
    for name, told in report.items():
        for pair, own in told["pairs"].items():
            sizes = [
                pair,
                told["source"],
                *(count(own[key]) for key in ("words", "entries")),
                _share(own["translated"]),
            ]
            for other, against in (own["dictionaries"] or {"": None}).items():
                measured = [DASH] * 4
                if against:
                    shares = [_share(against[key]) for key in ("coverage", "precision")]
                    measured = [other, count(against["words"]), *shares]
                rows.append(TableRow(name, "", [], [Cell(text) for text in (*sizes, *measured)]))
        if told["lacking"]:
            notes.append((name, f"has nothing of {', '.join(told['lacking'])}"))
        notes += [(name, f"left out: {reason} ({count(times)})") for reason, times in told["dropped"].items() if times]
    header = ["Pair", "source", "words", "translations", "words of the texts, %"]
    return Lexicons(Table([*header, "against", "its words", "coverage, %", "precision, %"], rows, []), notes)


def _share(value: float | None) -> str:
    return DASH if value is None else points(value)


class Codeswitched(NamedTuple):
    """The variants of the training texts with words in other languages, and texts of each before and after."""

    table: Table
    samples: list[tuple[str, str, str]]  # variant, before and after


def codeswitched(report: dict[str, dict[str, dict[str, Any]]]) -> Codeswitched:
    """What each variant's words became, in each language."""
    cases = [(name, lang, told) for name, own in report.items() for lang, told in own.items()]
    names = any("names" in told for *_, told in cases)
    shares = ["switched", "out_of_lexicon", *(["names"] if names else [])]
    rows = [
        TableRow(
            name,
            "",
            [],
            [Cell(language_name(lang)), *(Cell(count(told[key])) for key in ("texts", "words"))]
            + [Cell(points(told[key]) if key in told else DASH) for key in shares],
        )
        for name, lang, told in cases
    ]
    header = ["Language", "texts", "words", *(f"{key.replace('_', ' ')}, %" for key in shares)]
    return Codeswitched(Table(header, rows, []), [(name, *pair) for name, _, told in cases for pair in told["samples"]])


class TrainedQueries(NamedTuple):
    """What recipes train on: `every` and `some`, the queries that all of them and some of them have."""

    every: str
    some: str
    table: Table

    @property
    def same(self) -> bool:
        return self.every == self.some


def trained_queries(
    trainsets: dict[str, Any], negatives: dict[str, dict[str, Any]], strategies: dict[str, str]
) -> TrainedQueries:
    """The rows of each recipe and composition, why other queries have none, and the share of the negatives above the
    triple's own positive; `strategies` {recipe: strategy}."""
    cases = [(recipe, name, counts) for recipe, own in trainsets["recipes"].items() for name, counts in own.items()]
    above = {name: told.get("above_positive", {}) for name, told in negatives.items()}
    keys = [key for key in merged_order(counts for *_, counts in cases) if key != "over_share" or _any(cases, key)]
    header = ["Composition", *(key.replace("_", " ") for key in keys)]
    shares = [above.get(strategies[recipe], {}).get(name) for recipe, name, _ in cases]
    rows = [
        TableRow(recipe, "", [], [Cell(name), *(Cell(count(counts.get(key))) for key in keys)])
        for recipe, name, counts in cases
    ]
    if any(share is not None for share in shares):
        header.append("above positive, %")
        for row, cell in zip(rows, column(shares), strict=True):
            row.cells.append(Cell(cell.text))
    queries = trainsets["queries"]
    return TrainedQueries(count(queries["every_recipe"]), count(queries["any_recipe"]), Table(header, rows, []))


def _any(cases: list[tuple[str, str, dict[str, int]]], key: str) -> bool:
    return any(counts[key] for *_, counts in cases)
