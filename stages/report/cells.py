"""Tables as the templates show them: every cell is text already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

NONE = "–"


class Cell(NamedTuple):
    text: str
    best: bool = False
    heat: int = 0  # per cent of the heat colour
    high: bool = False  # more than is good


class Row(NamedTuple):
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
    rows: list[Row]
    headings: list[Heading]


def count(value: float | None) -> str:
    if value is None:
        return NONE
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
