"""Charts of what models are worth along a number: a weight between two models, or a setting that was swept."""

from __future__ import annotations

from html import escape

from stages.report.geometry import Box, axis
from stages.shared.tasks import BIAS

# What a chart shows, in what.
PANELS = {"mono": "Mono", "cross": "Cross", "multi": "Multi", BIAS: "Language bias, ranks"}
WIDTH, HEIGHT = 380, 240
STYLE = """svg { background: var(--page, #fcfbf8); color: #1b1e23; font: 12px system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { svg { background: #15181c; color: #e9e7e2; } }
text { fill: currentColor; } .tick { stroke: currentColor; opacity: .2; }
.path { fill: none; stroke: #1c7ac0; stroke-width: 2; } .point { fill: #1c7ac0; }
.beside { stroke: currentColor; stroke-dasharray: 4 3; opacity: .7; }"""
Measures = dict[str, float]


def svg(
    title: str, found: dict[float, Measures], marks: dict[float, str], lines: dict[str, Measures], shown: list[str]
) -> str:
    """A panel of each measure that is `shown`: what was `found` at each number, `lines` across it; `marks` are the
    words below some of the numbers."""
    rows = (len(shown) + 1) // 2
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {rows * HEIGHT}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
    ]
    for number, measure in enumerate(shown):
        drawn += _panel(measure, found, marks, lines, WIDTH * (number % 2), HEIGHT * (number // 2))
    return "\n".join([*drawn, "</svg>"]) + "\n"


def told(measure: str, value: float) -> str:
    return f"{value:.1f}" if measure == BIAS else f"{100 * value:.1f}"


def _panel(
    measure: str,
    found: dict[float, Measures],
    marks: dict[float, str],
    lines: dict[str, Measures],
    left: int,
    top: int,
) -> list[str]:
    frame = Box(left + 44, top + 26, left + WIDTH - 70, top + HEIGHT - 40)
    scale = 1 if measure == BIAS else 100
    values = {number: scale * measures[measure] for number, measures in found.items()}
    across = axis(list(values), frame.left, frame.right, margin=0.0)
    up = axis([*values.values(), *(scale * own[measure] for own in lines.values())], frame.bottom, frame.top)
    places = [(across.at(number), up.at(value)) for number, value in values.items()]
    drawn = [f'<text x="{frame.left}" y="{top + 16}" font-weight="600">{PANELS[measure]}</text>']
    for tick in up.ticks(5):
        drawn.append(f'<line class="tick" x1="{frame.left}" x2="{frame.right}" y1="{tick.at}" y2="{tick.at}"/>')
        drawn.append(f'<text x="{frame.left - 6}" y="{tick.at + 4}" text-anchor="end">{tick.text}</text>')
    for number, words in marks.items():
        x = across.at(number)
        drawn.append(f'<line class="tick" x1="{x}" x2="{x}" y1="{frame.top}" y2="{frame.bottom}"/>')
        drawn.append(f'<text x="{x}" y="{frame.bottom + 16}" text-anchor="middle">{escape(words)}</text>')
    for name, own in lines.items():
        y = up.at(scale * own[measure])
        drawn.append(f'<line class="beside" x1="{frame.left}" x2="{frame.right}" y1="{y}" y2="{y}"/>')
        drawn.append(f'<text x="{frame.right + 6}" y="{y + 4}">{escape(name)}</text>')
    drawn.append(f'<polyline class="path" points="{" ".join(f"{x:g},{y:g}" for x, y in places)}"/>')
    for (x, y), (number, value) in zip(places, values.items(), strict=True):
        words = escape(f"{number:g}: {told(measure, value / scale)}")
        drawn.append(f'<circle class="point" cx="{x}" cy="{y}" r="3"><title>{words}</title></circle>')
    return drawn
