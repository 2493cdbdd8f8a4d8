"""Where the labels of a scatter plot go: near their markers, over as little as can be."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

from stages.report.geometry import Box

# Width of a letter and height of a line of chart labels, in viewBox units; on the wide side of common system fonts.
LETTER, LINE = 6.6, 14.0
BOLD = 1.12
# Half the size of a marker, and of one with a ring around it.
MARKER, RINGED = 6.0, 10.0
# How often a label is placed at most, and what a place costs that need not be bettered.
PASSES, NEAR = 4, 12.0


class PlacedLabel(NamedTuple):
    text: str
    x: float  # of the text's middle
    y: float  # of its baseline
    leader: tuple[float, float, float, float] | None  # a line to the marker, where the label stands off


def place_labels(
    places: list[tuple[float, float]],
    texts: list[str],
    chosen: list[bool],
    frame: Box,
    line: list[tuple[float, float]],
) -> list[PlacedLabel]:
    """A label for each place where it covers least of the other labels, the markers and `line`.

    Labels are placed in turn, those with the most neighbours first, then each is moved again in view of all others.
    """
    radii = [RINGED if ringed else MARKER for ringed in chosen]
    markers = [Box(x - r, y - r, x + r, y + r) for (x, y), r in zip(places, radii, strict=True)]
    # The line is one of level and upright steps, so that each is a thin box.
    drawn = [
        Box(min(x0, x1) - 1, min(y0, y1) - 1, max(x0, x1) + 1, max(y0, y1) + 1) for (x0, y0), (x1, y1) in pairwise(line)
    ]
    crowd = [sum(abs(x - u) < 60 and abs(y - v) < 30 for u, v in places) for x, y in places]
    order = sorted(range(len(places)), key=lambda i: (-crowd[i], i))
    boxes: dict[int, Box] = {}
    leaders: dict[int, list[Box]] = {}
    costs: dict[int, float] = {}
    for i in order * PASSES:
        if costs.get(i, math.inf) < NEAR:
            continue
        labels = [box for j, box in boxes.items() if j != i]
        lines = [*drawn, *(box for j, path in leaders.items() if j != i for box in path)]
        others = [marker for j, marker in enumerate(markers) if j != i]
        width = len(texts[i]) * LETTER * (BOLD if chosen[i] else 1)
        costs[i] = math.inf
        for distance, box in _candidates(places[i], width, radii[i]):
            # Nearest first: from here on none can cost less than the distance alone.
            if distance >= costs[i]:
                break
            cost = distance + 10 * box.outside(frame) + 5 * box.covers(labels) + 3 * box.covers(markers)
            if cost >= costs[i]:
                continue
            path = _path(places[i], box)
            cost += box.covers(lines) + sum(2 * step.covers(labels) + step.covers(others) for step in path)
            if cost < costs[i]:
                costs[i], boxes[i], leaders[i] = cost, box, path
    return [
        PlacedLabel(
            text,
            round((boxes[i].left + boxes[i].right) / 2, 1),
            round(boxes[i].bottom - 3.5, 1),
            _leader(places[i], boxes[i]) if leaders[i] else None,
        )
        for i, text in enumerate(texts)
    ]


def _candidates(place: tuple[float, float], width: float, radius: float) -> list[tuple[float, Box]]:
    """Boxes for a label around `place`, each with its distance, nearest first."""
    x, y = place
    found = []
    for ring in range(9):
        distance = 2.0 + 7.0 * ring
        for turn in range(16):
            angle = math.tau * turn / 16
            # Middle of a box that touches, in this direction, a circle around the marker.
            u = x + math.cos(angle) * (radius + distance + width / 2)
            v = y + math.sin(angle) * (radius + distance + LINE / 2)
            # Beside or straight above and below is easier to read than askew.
            askew = 0.0 if turn % 4 == 0 else 2.0
            found.append((distance + askew, Box(u - width / 2, v - LINE / 2, u + width / 2, v + LINE / 2)))
    return sorted(found)


def _leader(place: tuple[float, float], box: Box) -> tuple[float, float, float, float]:
    """From the marker to the nearest point of the label."""
    x, y = place
    nearest = (min(max(x, box.left), box.right), min(max(y, box.top), box.bottom))
    return (x, y, round(nearest[0], 1), round(nearest[1], 1))


def _path(place: tuple[float, float], box: Box) -> list[Box]:
    """Small boxes along the line that joins a marker and its label; none if the label is so near that it needs none."""
    x0, y0, x1, y1 = _leader(place, box)
    length = math.dist((x0, y0), (x1, y1))
    if length <= 2 * MARKER:
        return []
    count = int(length / 6)
    middles = [(x0 + (x1 - x0) * (i + 0.5) / count, y0 + (y1 - y0) * (i + 0.5) / count) for i in range(count)]
    return [Box(x - 3, y - 3, x + 3, y + 3) for x, y in middles]
