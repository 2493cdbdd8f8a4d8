"""Which models are best: the front, and the choice."""

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


def test_one_kind_of_task_alone_decides_where_there_is_no_other():
    for mono, cross in ((None, 1.0), (1.0, None)):
        level = {"a": 0.5, "b": 0.7, "c": 0.7, "d": 0.1}
        rows = [(n, mono and mono * value, cross and cross * value) for n, value in level.items()]
        table = worth(rows).cast({"mono": pl.Float64, "cross": pl.Float64})
        assert choice.choose(table, "dev", list(level)) == "b"
        assert choice.choose(table, "dev", ["d", "a"]) == "a"
        assert choice.pareto(table) == {"b", "c"}
