"""What is more of a benchmark than it allows: refused, with texts to look at, before anything is trained."""

import json
from pathlib import Path

import polars as pl
import pytest

from stages.contamination import limits
from stages.contamination.__main__ import ALLOWED
from stages.contamination.examples import EXAMPLES, EXAMPLES_FILE
from stages.settings.benchmarks import read_benchmarks
from stages.shared import tables
from stages.shared.errors import UserError
from tests.contamination.conftest import BUS, OTHER, QUESTION, train

RECIPES = ["koenko", "enenen"]
KEYS = {name: f"recipes.{name}" for name in RECIPES}


def check(workspace, shares, shown=(), **allowed):
    """Check `shares` {(benchmark, recipe, language): {count: share}}, else nothing, of which `shown` are examples."""
    clean = {"queries": 0.0, "queries_exact": 0.0, "passages": 0.0, "passages_exact": 0.0}
    report = {b: {r: {lang: dict(clean) for lang in ("en", "ko", "*")} for r in RECIPES} for b in ("dev", "test")}
    for (benchmark, recipe, lang), found in shares.items():
        report[benchmark][recipe][lang] |= found
    tables.write(pl.DataFrame(list(shown), schema=EXAMPLES, orient="row"), EXAMPLES_FILE, EXAMPLES)
    workspace.edit(**{f"benchmarks__{name}__max_contamination": limit for name, limit in allowed.items()})
    limits.check(report, read_benchmarks(), KEYS)


def row(name, lang, slot, match, text, trained):
    return ("test", "enenen", "passage", name, lang, slot, match, 1.0, text, trained)


def test_more_than_is_allowed_is_refused_with_what_is_most_and_texts_of_it(workspace):
    found = {
        ("test", "enenen", "ko"): {"queries": 0.01, "passages": 0.25},
        ("test", "enenen", "*"): {"queries": 0.01, "passages": 0.2},
        ("test", "koenko", "en"): {"passages": 0.21},
        ("dev", "enenen", "en"): {"queries": 1.0},
    }
    shown = [
        row("p1", "ko", "negative", "exact", "negatives are no ground", "negatives are no ground"),
        row("p2", "en", "positive", "exact", "another language", "another language"),
        ("test", "koenko", *row("p2", "ko", "positive", "exact", "another recipe", "another recipe")[2:]),
        row("p3", "ko", "positive", "near", "x" * 90, "trained\n on"),
    ]
    with pytest.raises(UserError) as error:
        check(workspace, found, shown, test=0.2)
    text = str(error.value)
    assert "recipes.enenen trains on 25 % of the passages of the benchmark test in ko" in text
    assert "benchmarks.test.max_contamination allows 20 %" in text and "1 more go beyond it" in text
    assert f"p3 {'x' * 79}…" in text.replace("'", "") and "as a positive 'trained on'" in text
    assert "raise the limit" in text
    assert "another" not in text and "no ground" not in text


@pytest.mark.parametrize("limit", [0.2, None, 1.0])
def test_the_limit_itself_is_allowed_and_null_allows_all(workspace, limit):
    check(workspace, {("test", "koenko", "*"): {"queries": 0.2}}, test=limit)


@pytest.mark.parametrize("limit", [0.19999, 0.0])
def test_a_little_more_than_the_limit_is_not(workspace, limit):
    with pytest.raises(UserError, match=r"in some language, .*contamination\.examples 0 keeps no examples"):
        check(workspace, {("test", "koenko", "*"): {"queries": 0.2}}, test=limit)


def test_passages_that_are_not_counted_are_not_limited(workspace):
    """Those of a benchmark by label are the knowledge base, which is trained on by right."""
    counts = {"queries": 0.01, "passages_known": 1.0}
    report = {"test": {recipe: {"en": counts | {"queries": 0.0}, "*": counts} for recipe in RECIPES}}
    benchmarks = {"test": read_benchmarks()["test"].model_copy(update={"max_contamination": 0.01})}
    limits.check(report, benchmarks, KEYS)
    tables.write(pl.DataFrame(schema=EXAMPLES), EXAMPLES_FILE, EXAMPLES)
    benchmarks = {"test": benchmarks["test"].model_copy(update={"max_contamination": 0.009})}
    with pytest.raises(UserError, match="trains on 1 % of the queries of the benchmark test"):
        limits.check(report, benchmarks, KEYS)


def test_the_stage_allows_training_within_the_limits_alone_and_tells_what_it_found_in_any_case(study):
    train("one", (QUESTION, BUS, [OTHER[0]]))
    study.edit(benchmarks__dev__max_contamination=0.49)
    with pytest.raises(
        UserError, match=r"recipes\.one trains on 50 % of the queries of the benchmark dev in en"
    ) as error:
        study.run("contamination")
    assert f"q1 {QUESTION!r} as a query" in str(error.value)
    assert not ALLOWED.exists()
    assert json.loads(limits.CONTAMINATION_METRICS.read_text())["dev"]["one"]["en"]["queries"] == 0.5
    assert tables.read(EXAMPLES_FILE, EXAMPLES)["name"].to_list() == ["p1", "q1"]
    study.edit(benchmarks__dev__max_contamination=0.5)
    study.run("contamination")
    assert Path("data/contamination/allowed").is_file()
