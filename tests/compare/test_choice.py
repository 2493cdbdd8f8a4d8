"""Which models are best: the front, and the choice."""

import math
import statistics

import polars as pl

from stages.compare import choice


def worth(rows, benchmark="dev"):
    return pl.DataFrame(
        [(benchmark, *row) for row in rows], schema=["benchmark", "model", "mono", "cross"], orient="row"
    )


def test_the_front_holds_those_that_no_other_beats():
    points = [("a", 0.9, 0.1), ("b", 0.5, 0.5), ("c", 0.5, 0.4), ("d", 0.1, 0.9), ("e", 0.4, 0.5), ("f", 0.5, 0.5)]
    assert choice.pareto(worth(points)) == {"a", "b", "d", "f"}
    assert choice.pareto(worth([("a", 0.5, None), ("b", 0.6, None)])) == {"b"}


def test_the_choice_looks_at_its_benchmark_and_names_alone():
    rows = pl.concat(
        [
            worth([("a", 0.9, 0.1), ("b", 0.6, 0.6), ("c", 0.7, 0.7), ("d", 0.7, 0.7)]),
            worth([("a", 1.0, 1.0), ("b", 0.0, 0.0), ("c", 0.0, 0.0), ("d", 0.1, 0.1)], "test"),
        ]
    )
    assert choice.choose(rows, "dev", ["a", "b", "c", "d"]) == "c"
    assert choice.choose(rows, "dev", ["a", "b"]) == "b"
    assert choice.choose(rows, "test", ["a", "b", "c"]) == "a"


def asked(rows):
    schema = {"group": pl.String, "model": pl.String, "query": pl.String, "value": pl.Float64}
    return pl.DataFrame(rows, schema, orient="row")


def test_the_lead_is_over_the_next_with_the_error_of_paired_queries():
    table = worth([("a", 0.5, 0.5), ("b", 0.7, 0.5), ("c", 0.7, 0.6), ("d", 0.9, 0.9)])
    ahead = {"q": (0.1, 0.3), "r": (-0.1, 0.1), "s": (0.0, 0.0)}  # of c in mono and in cross
    values = asked(
        [
            (group, model, query, 0.5 + (gap if model == "c" else 0.0))
            for query, gaps in ahead.items()
            for group, gap in (*zip(("mono", "cross"), gaps, strict=True), ("multi", 9.0))
            for model in "bc"
        ]
    )
    # The queries' means are 0.2, 0 and 0.
    error = statistics.stdev([0.2, 0.0, 0.0]) / math.sqrt(3)
    assert choice.lead(table, values, "dev", ["a", "b", "c"]) == {
        "over": "b",
        "lead": 0.05,
        "standard_error": round(error, 5),
    }
    assert choice.lead(table, values, "dev", ["c"]) is None
    alone = choice.lead(table, values.filter(query="q"), "dev", ["b", "c"])
    assert alone["standard_error"] is None and alone["lead"] == 0.05


def test_one_kind_of_task_alone_decides_where_there_is_no_other():
    for mono, cross in ((None, 1.0), (1.0, None)):
        level = {"a": 0.5, "b": 0.7, "c": 0.7, "d": 0.1}
        rows = [(n, mono and mono * value, cross and cross * value) for n, value in level.items()]
        table = worth(rows).cast({"mono": pl.Float64, "cross": pl.Float64})
        assert choice.choose(table, "dev", list(level)) == "b"
        assert choice.choose(table, "dev", ["d", "a"]) == "a"
        assert choice.pareto(table) == {"b", "c"}
