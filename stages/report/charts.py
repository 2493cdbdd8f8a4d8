"""The charts as the templates draw them: every position is one in an SVG's viewBox.

Charts are laid out for a viewBox as wide as a phone and scaled up from there, so that their text is readable on both.
"""

from __future__ import annotations

from typing import NamedTuple

from stages.report.geometry import Axis, Box, Tick, axis
from stages.report.placement import PlacedLabel, place_labels


class Point(NamedTuple):
    """A point to draw: its values, its label and its marker's shape."""

    label: str
    x: float
    y: float
    shape: str
    front: bool
    chosen: bool


class Mark(NamedTuple):
    x: float
    y: float
    shape: str
    chosen: bool
    label: PlacedLabel
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
    """A scatter plot with each point labelled, and the front as the stairs below which everything is beaten: of the
    points that are on one, those that none of them beats in both x and y."""
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
        if any((u, v) != (x, y) and u >= x and v <= y for u, v in places):  # y goes down
            continue
        # From the last step's right edge down to this one's height; the first comes from the frame's left.
        steps += [(steps[-1][0] if steps else frame.left, y), (x, y)]
    return [*steps, (steps[-1][0], frame.bottom)] if steps else []


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
