"""How rankings of the pool treat languages: values by hand, and of scipy."""

import math

import polars as pl
import pytest
from scipy import stats

from stages.schemas.benchmarks import BENCHMARK_QRELS
from stages.schemas.runs import RUN
from stages.shared import pool


def run(**ranked):
    """`ranked` {task: its one query's passages, `id.lang`, best first}."""
    rows = [
        (f"{task}-*", "q", *found.split("."), rank, 0.0)
        for task, passages in ranked.items()
        for rank, found in enumerate(passages.split(), 1)
    ]
    return pl.DataFrame(rows, RUN, orient="row")


def values(table):
    return {(task, metric): value for task, _, metric, value in table.select("task", "query", "metric", "value").rows()}


def test_equal_expected_ranks_are_tested_by_kruskal_and_wallis():
    """By hand: of ranks 1, 2 (en) and 3, 4 (ko) H = 12 / (4 x 5) x 2 x (1 + 1) = 2.4, whose p is erfc(sqrt(1.2))."""
    apart = values(pool.peer(run(en="a.en b.en a.ko b.ko", ko="a.en a.ko b.ko b.en"), ["en", "ko"]))
    assert apart["en-*", "peer"] == pytest.approx(math.erfc(math.sqrt(1.2)))
    assert apart["ko-*", "peer"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("found", "samples"),
    [
        # Two in Korean and three in German tie behind three in English: at (4 + 8) / 2.
        ("a.en a.ko b.en c.en", ([1, 3, 4], [2, 6.5, 6.5], [6.5 + 0.5] * 3)),
        ("a.en b.en", ([1, 2], [4.5, 4.5], [4.5, 4.5])),
        ("a.de b.ko c.en b.de a.en c.ko", ([3, 5], [2, 6], [1, 4])),
    ],
)
def test_what_is_not_found_ties_behind_what_is(found, samples):
    # Nine passages of which four are found: the other five share the ranks 5 to 9.
    size = max(map(len, samples))
    number = sum(len(passages) for passages in samples)
    behind = number - len(found.split())
    tied = len(found.split()) + (behind + 1) / 2
    by_hand = [[r if r <= len(found.split()) else tied for r in own] for own in samples]
    assert {len(own) for own in by_hand} == {size}
    wanted = stats.kruskal(*by_hand).pvalue
    assert values(pool.peer(run(en=found), ["de", "en", "ko"]))["en-*", "peer"] == pytest.approx(wanted)


def test_a_language_is_preferred_beyond_its_share_of_the_relevant():
    qrels = pl.DataFrame([("q", "a", "en", 1), ("q", "a", "ko", 1)], BENCHMARK_QRELS, orient="row")
    found = values(pool.preference(run(en="a.en b.en c.en a.ko", ko="a.ko a.en"), qrels, ["en", "ko"]))
    assert found == {
        ("en-*", "preference.en"): 0.25,
        ("en-*", "preference.ko"): -0.25,
        ("ko-*", "preference.en"): 0.0,
        ("ko-*", "preference.ko"): 0.0,
    }


def test_rankings_of_parallel_queries_correlate():
    """en and ko swap the first two of three: Spearman's 1 - 6 x 2 / (3 x 8) = 0.5. de finds one of them and another:
    its ranks of a, b, c, d are 1, 3.5, 3.5, 2, against 1, 2, 3, 4 and 2, 1, 3, 4 with d behind the others."""
    ranked = run(en="a.en b.en c.en", ko="b.en a.en c.en", de="a.en d.en")
    found = values(pool.rank_correlation(ranked))
    with_en = stats.pearsonr([1, 3.5, 3.5, 2], [1, 2, 3, 4]).statistic
    with_ko = stats.pearsonr([1, 3.5, 3.5, 2], [2, 1, 3, 4]).statistic
    assert found == pytest.approx(
        {
            ("de-*", "rank_correlation"): (with_en + with_ko) / 2,
            ("en-*", "rank_correlation"): (0.5 + with_en) / 2,
            ("ko-*", "rank_correlation"): (0.5 + with_ko) / 2,
        }
    )
    assert values(pool.rank_correlation(run(en="a.en", ko="a.en"))) == {
        ("en-*", "rank_correlation"): 1.0,
        ("ko-*", "rank_correlation"): 1.0,
    }


def test_queries_answered_in_one_language_are_left_out():
    qrels = pl.DataFrame([("q", "a", "en", 1), ("r", "a", "en", 1), ("r", "a", "ko", 1)], BENCHMARK_QRELS, orient="row")
    assert pool.measured(run(en="a.en a.ko", ko="a.ko a.en"), qrels).is_empty()
    both = pl.concat([qrels, pl.DataFrame([("q", "b", "ko", 1)], BENCHMARK_QRELS, orient="row")])
    found = pool.measured(run(en="a.en a.ko", ko="a.ko a.en"), both)
    assert set(found["metric"]) == {"peer", "rank_correlation", "preference.en", "preference.ko"}
