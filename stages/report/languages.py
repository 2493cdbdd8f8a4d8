"""What a benchmark shows of languages: how rankings of the pool treat them, and tasks as a matrix of query and corpus
where there are too many for columns."""

from __future__ import annotations

from stages.report.cells import DASH, Cell, Table, TableRow, column, points
from stages.report.inputs import Results
from stages.schemas.scores import LANGUAGES
from stages.shared.pool import OWN_LANGUAGE, PEER, PREFERENCE, RANK_CORRELATION
from stages.shared.tasks import Task


def measures(results: Results, benchmark: str, names: list[str]) -> Table | None:
    """Every model's PEER, mean rank correlation and preference for the query's language; None if nothing is known."""
    found = {name: results.scores[name].get(benchmark, {}).get(LANGUAGES, {}) for name in names}
    if not any(found.values()):
        return None
    equal = [column([row.get(measure) for row in found.values()]) for measure in (PEER, RANK_CORRELATION)]
    own = [Cell(DASH if OWN_LANGUAGE not in row else points(row[OWN_LANGUAGE], signed=True)) for row in found.values()]
    rows = [TableRow(name, "", [], [cells[i] for cells in (*equal, own)]) for i, name in enumerate(found)]
    return Table(["PEER", "rank correlation", "own language"], rows, [])


def preferences(results: Results, benchmark: str, name: str) -> Table | None:
    """How far the model's first ten prefer each language, by the language that asks."""
    found = results.scores[name].get(benchmark, {}).get(LANGUAGES, {}).get(PREFERENCE, {})
    if not found:
        return None
    rows = [
        TableRow(task.rpartition("-")[0], "", [], [Cell(points(value, signed=True)) for value in row.values()])
        for task, row in found.items()
    ]
    return Table(list(next(iter(found.values()))), rows, [])


def matrix(values: dict[str, float], tasks: list[Task]) -> Table:
    """One model's `values` of tasks: a row for each language that asks, a column for each that is searched."""
    queries, corpora = (list(dict.fromkeys(getattr(task, side) for task in tasks)) for side in ("query", "corpus"))
    columns = [column([values.get(Task(q, corpus).name) for q in queries], heat=True) for corpus in corpora]
    rows = [
        TableRow(query, "", [], [cells[i]._replace(best=False) for cells in columns]) for i, query in enumerate(queries)
    ]
    return Table(corpora, rows, [])
