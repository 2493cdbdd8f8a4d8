"""Markdown tables that also read in a terminal."""

from __future__ import annotations


def padded(lines: list[list[str]], left: int = 1) -> list[str]:
    """The lines of a table, its header first: the first `left` columns to the left, the rest to the right."""
    lines = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    widths = [max(2, *map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * width if i < left else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    return [
        "| "
        + " | ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in (lines[0], rule, *lines[1:])
    ]
