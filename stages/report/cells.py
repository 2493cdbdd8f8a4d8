"""Tables as the templates show them: every cell is text already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

DASH = "–"
MINUS = "−"


class Cell(NamedTuple):
    text: str
    best: bool = False
    heat: int = 0  # per cent of the heat colour
    high: bool = False  # more than is good


class TableRow(NamedTuple):
    name: str
    kind: str
    marks: list[str]
    cells: list[Cell]


class Heading(NamedTuple):
    """A heading over `span` columns."""

    text: str
    span: int


class Table(NamedTuple):
    header: list[str]
    rows: list[TableRow]
    headings: list[Heading]


def column(
    numbers: list[float | None], plain: bool = False, low_is_best: bool = False, heat: bool = False
) -> list[Cell]:
    """A column's cells, `plain` or x 100, with a dash for what is missing.

    All cells that read like the best one are best: a difference that is not shown is no reason to prefer one.
    """
    texts = [DASH if n is None else f"{n:.1f}" if plain else points(n) for n in numbers]
    known = [n for n in numbers if n is not None]
    if not known:
        return [Cell(text) for text in texts]
    best = texts[numbers.index(min(known) if low_is_best else max(known))]
    low, spread = min(known), max(known) - min(known)
    return [
        Cell(text, text == best, round(50 * (n - low) / spread) if heat and spread and n is not None else 0)
        for n, text in zip(numbers, texts, strict=True)
    ]


def points(value: float, signed: bool = False) -> str:
    """A score x 100, to one decimal; with its sign if it is a difference."""
    return ranks(100 * value, signed)


def ranks(value: float, signed: bool = False) -> str:
    """A number as it is, such as one of ranks, to one decimal; with its sign if it is a difference."""
    text = f"{value:.1f}"
    # What rounds to zero has no sign.
    number = float(text) or 0.0
    return (f"{number:+.1f}" if signed and number else f"{number:.1f}").replace("-", MINUS)


def count(value: float | None) -> str:
    if value is None:
        return DASH
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def merged_order(mappings: Iterable[Mapping[str, object]]) -> list[str]:
    """The keys of all, in an order that keeps each one's own: strategies have different filters."""
    merged: list[str] = []
    for mapping in mappings:
        at = 0
        for key in mapping:
            if key in merged:
                at = merged.index(key) + 1
            else:
                merged.insert(at, key)
                at += 1
    return merged
