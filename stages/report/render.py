"""Templates to text: HTML is escaped by the template engine, Markdown by the `plain` filter."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jinja2

from stages.report.cells import DASH, Cell, Table
from stages.report.contrasts import TestedPair
from stages.report.measurement import Bar
from stages.report.page import Page
from stages.report.significance import Comparison, Headline, RerankedGroup, Significance


def text(template: str, page: Page) -> str:
    """The file that `template` (of this folder) makes of `page`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent, encoding="utf-8"),
        autoescape=lambda name: bool(name and name.endswith(".html.j2")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "plain": plain,
        "quoted": quoted,
        "markdown": markdown_table,
        "results": results,
        "tests": tests,
        "reranked": reranked,
        "contrasted": contrasted,
        "headlines": headlines,
        "biases": biases,
        "plainly": plainly,
        "own": own,
        "beside": beside,
        "named": named,
        "under": under,
        "answering": answering,
        "escaped": escaped,
    }
    return environment.get_template(template).render(page=page)


def plain(value: str) -> str:
    """`value` on one line of Markdown, with nothing in it that would be read as markup."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(value.split()))


def quoted(value: str) -> str:
    """`value` as a YAML string: JSON's quoting is also YAML's, and keeps the language `no` from being False."""
    return json.dumps(value, ensure_ascii=False)


def results(table: Table) -> list[list[Cell]]:
    """The rows of the results table."""
    return [[Cell(row.name), Cell(row.kind), Cell(", ".join(row.marks)), *row.cells] for row in table.rows]


def tests(compared: Significance) -> list[list[Cell]]:
    """A row for each group, reference and model."""
    return [
        [Cell(text) for text in (group.name, row.model, reference, *c)]
        for group in compared.groups
        for number, reference in enumerate(compared.references)
        for row in group.rows
        if (c := row.comparisons[number])
    ]


def reranked(groups: list[RerankedGroup]) -> list[list[Cell]]:
    """A row for each group and re-ranked row, beside its first stage."""
    return [
        [Cell(text) for text in (group.name, row.name, row.first_stage, row.before, row.after, *row.comparison)]
        for group in groups
        for row in group.rows
    ]


def contrasted(pairs: list[TestedPair]) -> list[list[Cell]]:
    """A row for each pair of models, domain and group."""
    return [[Cell(text) for text in (*pair[:-1], *pair.comparison)] for pair in pairs]


def headlines(rows: list[Headline]) -> list[list[Cell]]:
    """The chosen model beside the base and the best recipe."""
    return [
        [Cell(text) for text in (h.group, h.base, h.chosen, _against(h.against_base), _against(h.against_best))]
        for h in rows
    ]


def plainly(table: Table) -> list[list[Cell]]:
    """The rows, each after its name, as they are."""
    return [[Cell(row.name), *row.cells] for row in table.rows]


def biases(bars: list[Bar]) -> list[list[Cell]]:
    """A row for each model, the least biased first."""
    return [[Cell(text) for text in (bar.name, bar.text, bar.interval, bar.median)] for bar in bars]


def _against(comparison: Comparison | None) -> str:
    return f"{comparison.difference} ({comparison.interval})" if comparison else DASH


def own(table: Table, model: str) -> list[list[Cell]]:
    """One model's rows, where nothing is best."""
    return [[Cell(cell.text) for cell in row.cells] for row in table.rows if row.name == model]


def beside(table: Table, model: str) -> list[list[Cell]]:
    """The means and the bias of `model`, of the references and of what is re-ranked, each after its name; nothing is
    best."""
    rows = [row for row in table.rows if row.name == model or row.kind in ("reference", "re-ranked")]
    return [[Cell(row.name), *(Cell(cell.text) for cell in row.cells[:4])] for row in rows]


def named(table: Table) -> list[list[Cell]]:
    """The rows, each after its name; what is more than is good is made bold."""
    return [[Cell(row.name), *(cell._replace(best=cell.best or cell.high) for cell in row.cells)] for row in table.rows]


def under(table: Table) -> list[str]:
    """The header, each column with the heading that it stands under."""
    above = [heading.text for heading in table.headings for _ in range(heading.span)]
    return [": ".join(filter(None, pair)) for pair in zip(above, table.header, strict=True)]


def answering(page: Page) -> list[list[Cell]]:
    """What the chosen model answers on each benchmark by label that had no part in the choice, or on that one."""
    shown = [b for b in page.by_label if not b.selecting] or page.by_label
    return [row for b in shown for row in b.answering]


def escaped(rows: list[list[Cell]]) -> list[list[Cell]]:
    """The rows, with nothing in them that would be read as markup: of texts that users and their data give."""
    return [[cell._replace(text=plain(cell.text)) for cell in row] for row in rows]


def markdown_table(rows: list[list[Cell]], header: list[str]) -> str:
    """A Markdown table: the first column to the left, the others to the right, best values bold."""
    rule = ["---", *("---:" for _ in header[1:])]
    lines = [header, rule, *([f"**{c.text}**" if c.best else c.text for c in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
