"""What training data comes from: what was read and written, and what filters left of it."""

from __future__ import annotations

from typing import Any, NamedTuple

from stages.report.cells import Cell, Heading, Table, TableRow, count, merged_order
from stages.shared.languages import language_name


class CorpusFacts(NamedTuple):
    read: list[tuple[str, str]]  # source and rows
    left_out: list[tuple[str, str]]  # reason and rows
    noted: list[tuple[str, str]]
    languages: Table


def corpus(report: dict[str, Any]) -> CorpusFacts:
    """What was read, what was left out and why, and each language's passages by split."""
    groups = {
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


def negatives_table(report: dict[str, dict[str, dict[str, float]]]) -> Table:
    """What the filters left, for each strategy and direction; columns in the order in which filters apply."""
    cases = [(strategy, way, counts) for strategy, ways in report.items() for way, counts in ways.items()]
    keys = merged_order(counts for _, _, counts in cases)
    rows = [
        TableRow(s, "", [], [Cell(way), *(Cell(count(counts.get(key))) for key in keys)]) for s, way, counts in cases
    ]
    return Table(["Direction", *(key.replace("_", " ") for key in keys)], rows, [])
