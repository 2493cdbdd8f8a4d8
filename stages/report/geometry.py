"""Boxes and axes: from values to positions in an SVG's viewBox."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple


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
