"""Which models are best: the front, and the choice by its rule."""

import math
import statistics

import polars as pl
import pytest

from stages.compare import choice
from stages.settings.compare import Compare
from stages.settings.merges import Merge
from stages.shared.errors import UserError

GROUPS = ("mono", "cross", "multi", "language_bias")
MERGES = {
    "m": Merge(method="linear", weights={"a": 1.0, "b": 1.0}),
    "mm": Merge(method="linear", weights={"m": 1.0, "a": 1.0, "c": 1.0}),
    "wise": Merge(method="linear", weights={"base": 1.0, "a": 1.0}),
}
HALF = {"a": {"mono": 0.5, "cross": 0.5}, "b": {"mono": 0.7, "cross": 0.5}}


def settings(weights=(1.0, 1.0, 0.0, 0.0), constraints=None, ties="none"):
    named = dict(zip(("mono", "cross", "multi", "bias"), weights, strict=True))
    rule = {"weights": named, "constraints": constraints or {}, "ties": ties}
    own = {"metric": "ndcg@10", "select_on": "dev", "confidence": 0.95, "resamples": 500, "correction": "holm"}
    return Compare.model_validate({**own, "choose": rule, "contrasts": {}})


def selecting(level, given, gaps=None):
    """Models of the means `level` {model: {group: mean}} over queries which all have that value, but for `gaps`
    {model: {group: what each query has more}}, which add up to 0."""
    schema = {"benchmark": pl.String, "model": pl.String, **dict.fromkeys(GROUPS, pl.Float64)}
    rows = [("dev", model, *(own.get(group) for group in GROUPS)) for model, own in level.items()]
    longest = max((len(more) for own in (gaps or {}).values() for more in own.values()), default=3)
    asked = [
        (group, model, f"q{i}", mean + more)
        for model, own in level.items()
        for group, mean in own.items()
        for i, more in enumerate((gaps or {}).get(model, {}).get(group, [0.0] * longest))
    ]
    values = pl.DataFrame(asked, ["group", "model", "query", "value"], orient="row").sort("group", "model", "query")
    return choice.selecting(pl.DataFrame(rows, schema, orient="row"), values, given)


def chosen(level, given, gaps=None, merges=MERGES):
    return choice.choose(selecting(level, given, gaps), list(level), merges, given, seed=1)


def test_the_front_holds_those_that_no_other_beats_in_any_of_four():
    points = {
        "a": (0.9, 0.1, 0.5, 5.0),
        "b": (0.5, 0.5, 0.5, 5.0),
        "less mono": (0.4, 0.5, 0.5, 5.0),
        "more multi": (0.4, 0.4, 0.6, 5.0),
        "less bias": (0.4, 0.4, 0.4, 4.0),
        "equal": (0.5, 0.5, 0.5, 5.0),
    }
    table = pl.DataFrame([(name, *own) for name, own in points.items()], ["model", *GROUPS], orient="row")
    assert choice.pareto(table) == {"a", "b", "equal", "more multi", "less bias"}
    alone = table.with_columns(pl.lit(None, pl.Float64).alias(group) for group in GROUPS[1:])
    assert choice.pareto(alone) == {"a"}


def test_the_objective_is_the_weighted_mean_less_so_much_a_rank():
    level = {
        "a": {"mono": 0.8, "cross": 0.5, "multi": 0.5, "language_bias": 300.0},
        "b": {"mono": 0.6, "cross": 0.6, "multi": 0.6, "language_bias": 100.0},
    }
    assert chosen(level, settings())[0] == "a"
    # (2 x 0.8 + 0.5 + 0.5) / 4 = 0.65, of b 0.6; with the bias 0.62 and 0.59, then 0.35 and 0.5.
    assert chosen(level, settings((2.0, 1.0, 1.0, 0.0001)))[1]["objective"] == {"a": 0.62, "b": 0.59}
    name, how = chosen(level, settings((2.0, 1.0, 1.0, 0.001)))
    assert (name, how["objective"]) == ("b", {"b": 0.5, "a": 0.35})


def test_equals_are_as_they_come_and_only_those_named_count():
    on = selecting({**HALF, "c": {"mono": 0.7, "cross": 0.5}}, settings())
    assert list(on.ranked(["a", "b", "c"])) == ["b", "c", "a"]
    assert list(on.ranked(["a"])) == ["a"]


def test_what_a_benchmark_lacks_is_left_out_of_the_objective():
    level = {"a": {"cross": 0.5}, "b": {"cross": 0.7}}
    assert chosen(level, settings((9.0, 1.0, 1.0, 1.0)))[1]["objective"] == {"b": 0.7, "a": 0.5}
    with pytest.raises(
        UserError, match=r"dev has cross tasks alone, to which compare\.choose\.weights gives no weight"
    ):
        chosen(level, settings((1.0, 0.0, 1.0, 1.0)))


def test_a_constraint_within_the_interval_drops_what_is_surely_worse():
    level = {"base": {"mono": 0.7, "cross": 0.1}, "a": {"mono": 0.6, "cross": 0.9}, "b": {"mono": 0.6, "cross": 0.8}}
    # The differences of a from the base are -0.1 in each query; of b they are -0.6 to 0.4.
    gaps = {"base": {"mono": [0.0] * 6}, "a": {"mono": [0.0] * 6}, "b": {"mono": [-0.5, 0.5] * 3}}
    gaps = {name: {**own, "cross": [0.0] * 6} for name, own in gaps.items()}
    within = {"mono": {"of": "base", "within": "interval"}}
    name, how = chosen(level, settings(constraints=within), gaps)
    assert (name, how["dropped"]) == ("b", {"mono": ["a"]})
    assert how["objective"]["a"] > how["objective"]["b"]


def test_a_constraint_within_a_number_and_on_bias():
    level = {
        "base": {"mono": 0.7, "cross": 0.1, "language_bias": 20.0},
        "a": {"mono": 0.69, "cross": 0.9, "language_bias": 25.0},
        "b": {"mono": 0.68, "cross": 0.99, "language_bias": 10.0},
    }
    within = {"mono": {"of": "base", "within": 0.01}}
    assert chosen(level, settings(constraints=within))[0] == "a"
    within["bias"] = {"of": "base", "within": 4.0}
    name, how = chosen(level, settings(constraints=within))
    assert (name, how["dropped"]) == ("base", {"mono": ["b"], "bias": ["a"]})
    within = {"mono": {"of": "base", "within": 0.0}, "cross": {"of": "b", "within": 0.0}}
    with pytest.raises(
        UserError, match=r"no model holds all .* on dev \(mono drops a, b; cross drops base, a\): loosen"
    ):
        chosen(level, settings(constraints=within))


def test_of_what_is_tied_the_cheapest_is_chosen():
    # The lead of m over a is 0.01 in the mean of both groups, over b 0.05. The queries' gaps have deviations of 0.02.
    level = {
        "m": {"mono": 0.75, "cross": 0.75},
        "a": {"mono": 0.74, "cross": 0.74},
        "b": {"mono": 0.7, "cross": 0.7},
        "base": {"mono": 0.1, "cross": 0.1},
    }
    spread = [-0.02, 0.0, 0.02]
    gaps = {name: dict.fromkeys(("mono", "cross"), spread if name == "m" else [0.0] * 3) for name in level}
    # The standard error is 0.02 / sqrt(3) = 0.0115.
    name, how = chosen(level, settings(ties="standard_error"), gaps)
    assert (name, how["best"], how["tied"]) == ("a", "m", ["a"])
    # t = 0.05 / 0.0115 = 4.3 of 2 degrees of freedom: p = 0.0496; that of 0.01 is greater.
    name, how = chosen(level, settings(ties="significance"), gaps)
    assert (name, how["tied"]) == ("a", ["a"])
    assert chosen(level, settings(), gaps)[0] == "m"


def test_what_is_cheap_is_what_fewer_recipes_are_trained_for():
    assert choice.trained("base", MERGES) == set()
    assert choice.trained("wise", MERGES) == choice.trained("a", MERGES) == {"a"}
    assert choice.trained("mm", MERGES) == {"a", "b", "c"}


def test_the_lead_is_over_the_next_with_the_error_of_paired_queries():
    level = {"a": {"mono": 0.5, "cross": 0.5, "multi": 9.0}, "b": {"mono": 0.7, "cross": 0.5, "multi": 9.0}}
    level["c"] = {"mono": 0.7, "cross": 0.6, "multi": 0.0}
    ahead = {"mono": [0.1, -0.1, 0.0], "cross": [0.2, 0.0, -0.2]}
    on = selecting(level, settings(), {"c": ahead})
    # What the queries add is 0.15, -0.05 and -0.1, and 0.05 of cross.
    error = statistics.stdev([0.15, -0.05, -0.1]) / math.sqrt(3)
    assert choice.lead(on, "c", ["a", "b", "c"]) == {"over": "b", "lead": 0.05, "standard_error": round(error, 5)}
    assert choice.lead(on, "b", ["a", "b", "c"])["lead"] == -0.05
    assert choice.lead(on, "c", ["c"]) is None
    alone = choice.lead(on._replace(asked=on.asked.filter(query="q1")), "c", ["b", "c"])
    assert alone["standard_error"] is None and alone["lead"] == 0.05


def test_a_query_that_one_group_alone_asks_counts_there_alone():
    on = selecting(HALF, settings())
    on = on._replace(asked=on.asked.filter((pl.col("group") == "mono") | (pl.col("query") == "q0")))
    # Half of mono is 0.1 a query; of cross nothing differs.
    assert on.gaps("b", "a").tolist() == pytest.approx([0.1, 0.1, 0.1])
    swapped = on._replace(
        asked=on.asked.with_columns(group=pl.col("group").replace({"mono": "cross", "cross": "mono"}))
    )
    assert swapped.gaps("b", "a").mean() == pytest.approx(0.1)
