"""Geometry of the charts: from values to positions in an SVG's viewBox. The templates draw.

Charts are laid out for a viewBox as wide as a phone and scaled up from there, so that their text is readable on both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

# Width of a letter and height of a line of chart labels, in viewBox units; on the wide side of common system fonts.
LETTER, LINE = 6.6, 14.0
BOLD = 1.12
# Half the size of a marker, and of one with a ring around it.
MARK, RINGED = 6.0, 10.0
# How often a label is placed at most, and what a place costs that need not be bettered.
PASSES, NEAR = 4, 12.0


class Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def covers(self, others: list[Box]) -> float:
        """The area of `others` that this one covers."""
        # Spelt out, without calls: it is asked a million times for a chart of sixty models.
        left, top, right, bottom = self
        area = 0.0
        for a, b, c, d in others:
            if a < right and c > left and b < bottom and d > top:
                area += ((c if c < right else right) - (a if a > left else left)) * (
                    (d if d < bottom else bottom) - (b if b > top else top)
                )
        return area

    def outside(self, frame: Box) -> float:
        """The area that lies outside of `frame`."""
        return (self.right - self.left) * (self.bottom - self.top) - self.covers([frame])


class Tick(NamedTuple):
    at: float
    text: str


@dataclass(frozen=True)
class Axis:
    """A linear scale from the values low..high to the positions begin..end."""

    low: float
    high: float
    begin: float
    end: float

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.begin + share * (self.end - self.begin), 1)

    def ticks(self, count: int) -> list[Tick]:
        """About `count` ticks at round values."""
        step = _step((self.high - self.low) / count)
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [Tick(self.at(i * step), f"{i * step:.{digits}f}") for i in range(first, last + 1)]


def _step(least: float) -> float:
    """The smallest of 1, 2 or 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))


def axis(values: list[float], begin: float, end: float, margin: float = 0.08) -> Axis:
    """An axis that shows all `values` with some room at both ends."""
    low, high = min(values), max(values)
    room = (high - low) * margin or max(abs(high) * margin, 0.5)
    return Axis(low - room, high + room, begin, end)


class Point(NamedTuple):
    """A point to draw: its values, its label and its marker's shape."""

    label: str
    x: float
    y: float
    shape: str
    front: bool
    chosen: bool


class Label(NamedTuple):
    text: str
    x: float  # of the text's middle
    y: float  # of its baseline
    leader: tuple[float, float, float, float] | None  # a line to the marker, where the label stands off


class Mark(NamedTuple):
    x: float
    y: float
    shape: str
    chosen: bool
    label: Label
    title: str


class Scatter(NamedTuple):
    width: int
    height: int
    frame: Box
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    marks: list[Mark]
    front: str  # an SVG polyline's points


def scatter(points: list[Point], width: int = 380, height: int = 460) -> Scatter:
    """A scatter plot with each point labelled, and the front as the stairs below which everything is beaten."""
    frame = Box(40, 10, width - 8, height - 40)
    across = axis([p.x for p in points], frame.left, frame.right)
    up = axis([p.y for p in points], frame.bottom, frame.top)
    places = [(across.at(p.x), up.at(p.y)) for p in points]
    stairs = _stairs([place for place, p in zip(places, points, strict=True) if p.front], frame)
    labels = place_labels(places, [p.label for p in points], [p.chosen for p in points], frame, stairs)
    marks = [
        Mark(x, y, p.shape, p.chosen, label, f"{p.label}: Mono {p.x:.1f}, Cross {p.y:.1f}")
        for (x, y), p, label in zip(places, points, labels, strict=True)
    ]
    front = " ".join(f"{x:g},{y:g}" for x, y in stairs)
    return Scatter(width, height, frame, across.ticks(5), up.ticks(8), marks, front)


def _stairs(places: list[tuple[float, float]], frame: Box) -> list[tuple[float, float]]:
    steps: list[tuple[float, float]] = []
    for x, y in sorted(set(places)):
        # From the last step's right edge down to this one's height; the first comes from the frame's left.
        steps += [(steps[-1][0] if steps else frame.left, y), (x, y)]
    return [*steps, (steps[-1][0], frame.bottom)] if steps else []


def place_labels(
    places: list[tuple[float, float]],
    texts: list[str],
    chosen: list[bool],
    frame: Box,
    line: list[tuple[float, float]],
) -> list[Label]:
    """A label for each place where it covers least of the other labels, the markers and `line`.

    Labels are placed in turn, those with the most neighbours first, then each is moved again in view of all others.
    """
    radii = [RINGED if ringed else MARK for ringed in chosen]
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
        Label(
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
    if length <= 2 * MARK:
        return []
    count = int(length / 6)
    middles = [(x0 + (x1 - x0) * (i + 0.5) / count, y0 + (y1 - y0) * (i + 0.5) / count) for i in range(count)]
    return [Box(x - 3, y - 3, x + 3, y + 3) for x, y in middles]


class Curve(NamedTuple):
    name: str
    points: str  # an SVG polyline's points
    last: str
    last_at: tuple[float, float]


class Curves(NamedTuple):
    width: int
    height: int
    frame: Box
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    curves: list[Curve]


def curves(losses: dict[str, list[tuple[int, float]]], width: int = 200, height: int = 130) -> Curves | None:
    """A small chart for each series, all with the same axes, so that they compare; none if nothing was logged."""
    logged = {name: points for name, points in losses.items() if points}
    if not logged:
        return None
    frame = Box(30, 8, width - 8, height - 22)
    across = Axis(0, max(step for points in logged.values() for step, _ in points), frame.left, frame.right)
    top = max(loss for points in logged.values() for _, loss in points)
    up = Axis(0, top * 1.05 or 1.0, frame.bottom, frame.top)
    drawn = [
        Curve(
            name,
            " ".join(f"{across.at(step):g},{up.at(loss):g}" for step, loss in points),
            f"{points[-1][1]:.2f}",
            (across.at(points[-1][0]), up.at(points[-1][1])),
        )
        for name, points in logged.items()
    ]
    return Curves(width, height, frame, across.ticks(4), up.ticks(4), drawn)


class Reliability(NamedTuple):
    width: int
    height: int
    frame: Box
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    places: list[tuple[float, float]]
    line: str  # an SVG polyline's points


def reliability(points: list[tuple[float, float]], side: int = 260) -> Reliability | None:
    """Points of predicted and observed shares, 0 to 1, in a square on whose diagonal they are equal; None if none."""
    if not points:
        return None
    frame = Box(38, 8, side - 10, side - 40)
    across, up = Axis(0, 100, frame.left, frame.right), Axis(0, 100, frame.bottom, frame.top)
    places = [(across.at(100 * x), up.at(100 * y)) for x, y in points]
    line = " ".join(f"{x:g},{y:g}" for x, y in places)
    return Reliability(side, side, frame, across.ticks(5), up.ticks(5), places, line)
