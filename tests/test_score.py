"""score: trec_eval's values, missing queries as 0, language bias, means."""

import json
import math
import random

import polars as pl
import pytest
import pytrec_eval

from stages.schemas.benchmarks import BENCHMARK_QRELS, BENCHMARK_QUERIES, POOLED
from stages.schemas.runs import RUN
from stages.schemas.scores import QUERY_SCORES
from stages.shared import scoring, tables
from stages.shared.tasks import task_groups
from tests.conftest import Workspace

METRICS = ["ndcg@10", "ndcg@3", "mrr@10", "mrr@3", "map@5", "recall@1", "recall@10", "accuracy@1", "accuracy@4"]


def evaluated(run, qrels, metrics):
    """{query: {metric: value}}"""
    found = {}
    for query, metric, value in scoring.evaluate(run, qrels, metrics).iter_rows():
        found.setdefault(query, {})[metric] = value
    return found


def table(rows, schema):
    return pl.DataFrame(rows, schema=schema, orient="row")


def run_of(rows):
    return table([("en-en", q, p, "en", 0, s) for q, p, s in rows], RUN)


def qrels_of(rows):
    return table([(q, p, "en", r) for q, p, r in rows], BENCHMARK_QRELS)


def by_hand(ranking, relevance, metric):
    """`ranking`: documents, best first; `relevance`: {document: grade above 0}."""
    kind, k = metric.split("@")
    k = int(k)
    hits = [i for i, name in enumerate(ranking, 1) if name in relevance]
    if kind == "mrr":
        return 1 / hits[0] if hits and hits[0] <= k else 0.0
    if kind == "accuracy":
        return float(any(h <= k for h in hits))
    if kind == "recall":
        return sum(h <= k for h in hits) / len(relevance)
    if kind == "map":
        return sum((i + 1) / h for i, h in enumerate(hits) if h <= k) / len(relevance)
    gain = sum(relevance[name] / math.log2(i + 1) for i, name in enumerate(ranking[:k], 1) if name in relevance)
    best = sum(g / math.log2(i + 1) for i, g in enumerate(sorted(relevance.values(), reverse=True)[:k], 1))
    return gain / best


@pytest.mark.parametrize("seed", range(8))
def test_values_are_those_of_the_definitions_with_ties_by_descending_id(seed):
    rng = random.Random(seed)
    run, judged = [], []
    for q in range(6):
        names = rng.sample([f"d{i}" for i in range(30)], 15)
        run += [(f"q{q}", name, rng.randint(0, 5) / 4) for name in names]
        judged += [(f"q{q}", name, rng.randint(1, 3)) for name in rng.sample(names, 2)]
        judged.append((f"q{q}", f"e{q}", 1))
    found = evaluated(run_of(run), qrels_of(judged), METRICS)
    assert sorted(found) == [f"q{q}" for q in range(6)]
    for query, values in found.items():
        ordered = sorted(((s, f"{d}.en", d) for q, d, s in run if q == query), reverse=True)
        relevance = {d: r for q, d, r in judged if q == query}
        for metric in METRICS:
            wanted = by_hand([d for _, _, d in ordered], relevance, metric)
            assert values[metric] == pytest.approx(wanted, abs=1e-6), metric


@pytest.mark.parametrize("scores", [3, 10**6])
def test_values_are_pytrec_evals_own_to_the_last_bit(scores):
    rng = random.Random(scores)
    run = [(f"q{q}", f"d{i}", rng.randrange(scores) / 7) for q in range(40) for i in rng.sample(range(150), 120)]
    judged = [(f"q{q}", f"d{d}", rng.randint(0, 3)) for q in range(2, 42) for d in rng.sample(range(150), q % 13 + 1)]
    found = evaluated(run_of(run), qrels_of(judged), METRICS)
    documents = {}
    for q, d, r in judged:
        documents.setdefault(q, {})[f"{d}.en"] = r
    nested = {}
    for q, d, s in run_of(run).select("query", "passage", "score").iter_rows():
        nested.setdefault(q, {})[f"{d}.en"] = s
    names = {"ndcg": "ndcg_cut", "map": "map_cut", "recall": "recall", "accuracy": "success"}
    measures = {f"{names[kind]}.{k}" for kind, k in (metric.split("@") for metric in METRICS) if kind in names}
    wanted = pytrec_eval.RelevanceEvaluator(documents, measures | {"recip_rank"}).evaluate(nested)
    assert len(wanted) == 38 and len(found) == 40
    for query, values in wanted.items():
        for metric in METRICS:
            kind, k = metric.split("@")
            if kind == "mrr":
                first = values["recip_rank"]
                assert found[query][metric] == (first if first >= 1 / int(k) else 0.0)
            else:
                assert found[query][metric] == values[f"{names[kind]}_{k}"], metric


def test_a_judged_query_that_the_run_lacks_counts_as_nothing():
    found = evaluated(run_of([("q1", "a", 1.0)]), qrels_of([("q1", "a", 1), ("q2", "a", 1)]), METRICS)
    assert set(found["q1"].values()) == {1.0}
    assert set(found["q2"].values()) == {0.0}
    assert list(found["q2"]) == METRICS


def test_reciprocal_ranks_are_cut_at_k():
    run = run_of([("q", f"d{i:02}", -float(i)) for i in range(1, 13)])
    for place, at10, at3 in [(1, 1, 1), (3, 1 / 3, 1 / 3), (4, 1 / 4, 0), (10, 1 / 10, 0), (11, 0, 0)]:
        found = evaluated(run, qrels_of([("q", f"d{place:02}", 1)]), ["mrr@10", "mrr@3"])["q"]
        assert found == pytest.approx({"mrr@10": at10, "mrr@3": at3})


def test_a_pool_tells_a_passages_languages_apart():
    run = table(
        [("en-*", "q", "p", lang, 0, s) for lang, s in (("en", 0.9), ("ko", 0.1))]
        + [("en-*", "q", "r", lang, 0, s) for lang, s in (("en", 0.5), ("ko", 0.4))],
        RUN,
    )
    qrels = table([("q", "p", "en", 1), ("q", "p", "ko", 1)], BENCHMARK_QRELS)
    assert evaluated(run, qrels, ["recall@1", "map@5"])["q"] == pytest.approx(
        {"recall@1": 0.5, "map@5": (1 + 2 / 4) / 2}
    )


def test_a_query_counts_in_the_tasks_it_is_asked_and_judged_in():
    queries = table([("q", "en", "x"), ("q", "ko", "y"), ("s", "ko", "z")], BENCHMARK_QUERIES)
    qrels = table([("q", "p", "en", 1), ("q", "p", "ko", 1), ("s", "p", "ko", 1)], BENCHMARK_QRELS)
    run = table([(f"{a}-{c}", "q", "p", c, 1, 1.0) for a in ("en", "ko") for c in ("en", "ko")], RUN)
    found = scoring.per_query(run, queries, qrels, ["recall@1"])
    assert found.rows() == [
        ("en-en", "q", "recall@1", 1.0),
        ("en-ko", "q", "recall@1", 1.0),
        ("en-*", "q", "recall@1", 0.0),
        ("ko-en", "q", "recall@1", 1.0),
        ("ko-ko", "q", "recall@1", 1.0),
        ("ko-ko", "s", "recall@1", 0.0),
        ("ko-*", "q", "recall@1", 0.0),
        ("ko-*", "s", "recall@1", 0.0),
    ]


def test_bias_is_of_parallel_passages():
    """Two passages far apart are no bias if each is as near in both languages; sentences of other ids are parallel if
    there is one in each language."""
    ranks = [("q", "a", "en", 1), ("q", "a", "ko", 2), ("q", "b", "en", 101), ("q", "b", "ko", 104)]
    ranks += [("s", "a.1", "en", 5), ("s", "a.2", "ko", 9)]
    found = scoring.bias(table([("en-*", *row, 0.5) for row in ranks], RUN))
    assert found.select("query", "value").rows() == [("q", 2.0), ("s", 4.0)]


def test_bias_is_the_gap_between_a_querys_best_and_worst_answer():
    relevant = table(
        [
            ("en-*", "q", "p", "en", 2, 0.9),
            ("en-*", "q", "p", "ko", 41, 0.1),
            ("en-*", "q", "r", "ko", 7, 0.2),
            ("en-*", "one", "p", "en", 3, 0.9),
            ("en-*", "one", "r", "en", 9, 0.9),
            ("ko-*", "q", "p", "en", 2, 0.9),
            ("ko-*", "q", "p", "ko", 1, 0.9),
        ],
        RUN,
    )
    assert scoring.bias(relevant).rows() == [
        ("en-*", "q", "language_bias", 39.0),
        ("ko-*", "q", "language_bias", 1.0),
    ]


def values_of(rows):
    return table([("b", t, q, m, v) for t, q, m, v in rows], QUERY_SCORES)


def test_means_are_over_queries_then_over_tasks():
    values = values_of(
        [
            # Three queries in one task, one in the other: tasks count alike.
            *[("en-ko", f"q{i}", "mrr@10", v) for i, v in enumerate([0.0, 0.5, 1.0])],
            ("ko-en", "q0", "mrr@10", 0.1),
            ("en-en", "q0", "mrr@10", 0.9),
            ("en-*", "q0", "mrr@10", 0.2),
            ("en-*", "q0", "language_bias", 3.0),
            ("en-*", "q1", "language_bias", 5.0),
            ("en-*", "q2", "language_bias", 100.0),
            ("ko-*", "q0", "language_bias", 1.0),
            ("ko-*", "q0", "mrr@10", 0.4),
        ]
    )
    assert scoring.summary(values, task_groups(["en", "ko"])) == {
        "b": {
            "en-ko": {"mrr@10": 0.5},
            "ko-en": {"mrr@10": 0.1},
            "en-en": {"mrr@10": 0.9},
            "en-*": {"mrr@10": 0.2},
            "ko-*": {"mrr@10": 0.4},
            "mono": {"mrr@10": 0.9},
            "cross": {"mrr@10": 0.3},
            "multi": {"mrr@10": 0.3},
            # (3 + 5 + 100) / 3 and 1; the medians 5 and 1.
            "language_bias": 18.5,
            "language_bias_median": 3.0,
        }
    }


def test_what_the_pool_shows_of_languages_stands_apart_from_the_tasks():
    values = values_of(
        [
            ("en-*", "q", "mrr@10", 0.5),
            ("ko-*", "q", "mrr@10", 0.5),
            *[("en-*", "q", m, v) for m, v in (("peer", 0.2), ("preference.en", 0.3), ("preference.ko", -0.3))],
            *[("ko-*", q, "peer", v) for q, v in (("q", 0.4), ("r", 1.0))],
            *[("ko-*", "q", m, v) for m, v in (("preference.en", 0.1), ("preference.ko", -0.1))],
            ("ko-*", "q", "rank_correlation", 0.6),
        ]
    )
    told = scoring.summary(values, task_groups(["en", "ko"]))["b"]
    assert told["multi"] == told["en-*"] == {"mrr@10": 0.5}
    assert told["languages"] == {
        "peer": 0.45,
        "own_language": 0.1,
        "rank_correlation": 0.6,
        "preference": {"en-*": {"en": 0.3, "ko": -0.3}, "ko-*": {"en": 0.1, "ko": -0.1}},
    }


def test_queries_without_an_answer_in_the_pool_count_in_no_task_against_it():
    queries = table([("q", "en", "x"), ("r", "en", "y")], BENCHMARK_QUERIES)
    qrels = table([(q, q, lang, 1) for q in "qr" for lang in ("en", "ko")], BENCHMARK_QRELS)
    found = scoring.per_query(run_of([]), queries, qrels, ["recall@1"], table([("q", "ko")], POOLED))
    assert [(task, query) for task, query, _, _ in found.rows()] == [
        *[(f"en-{corpus}", query) for corpus in ("en", "ko") for query in "qr"],
        ("en-*", "q"),
    ]


def test_without_parallel_answers_there_is_no_bias():
    told = scoring.summary(values_of([("en-en", "q", "mrr@10", 1.0)]), task_groups(["en"]))["b"]
    assert set(told) == {"en-en", "mono"}


def test_a_tie_in_the_last_digit_is_told_in_decimals():
    """366.515 is a little less in binary, or a little more, as it was added up."""
    gaps = [("en-*", f"q{i}", "language_bias", gap) for i, gap in enumerate([299.0, 299.0, 299.71])]
    gaps += [("ko-*", "q0", "language_bias", 433.79333333333335)]
    told = scoring.summary(values_of(gaps), task_groups(["en", "ko"]))["b"]
    assert told["language_bias"] == 366.52


def prepared(workspace: Workspace):
    """One benchmark, the base and one recipe: the base finds q's passage first, the recipe second."""
    workspace.edit(
        recipes={"r": {"compositions": ["enenen"], "negatives": "window"}},
        merges={},
        references={"words": {"bm25": {}}},
        fusions={"both": {"of": ["words", "r"]}},
        languages=["en"],
        benchmarks={"dev": {"source": "held-out", "path": "data/collected", "split": "dev"}},
    )
    folder = "data/benchmarks/dev"
    tables.write(table([("q", "en", "x")], BENCHMARK_QUERIES), f"{folder}/queries.parquet", BENCHMARK_QUERIES)
    tables.write(table([("q", "a", "en", 1)], BENCHMARK_QRELS), f"{folder}/qrels.parquet", BENCHMARK_QRELS)
    tables.write(table([], POOLED), f"{folder}/pool.parquet", POOLED)
    rows = {"runs/base": (2.0, 1.0), "runs/r": (1.0, 2.0), "runs/words": (3.0, 2.0), "fused/both": (0.1, 0.2)}
    for row, scores in rows.items():
        run = table([("en-en", "q", p, "en", 1, s) for p, s in zip("ab", scores, strict=True)], RUN)
        tables.write(run, f"data/{row}/dev.run.parquet", RUN)
        tables.write(run.clear(), f"data/{row}/dev.relevant.parquet", RUN)
    tables.write_json({"name": "BM25", "k1": 0.9}, "data/runs/words/about.json")
    tables.write_json({"both": {"name": "fusion", "k": 60}}, "data/fused/about.json")


def test_every_model_is_scored_and_the_stale_are_left_out(workspace, caplog):
    prepared(workspace)
    (workspace.path / "data/runs/old").mkdir()
    workspace.run("score")
    assert "data/runs/old is of no model" in caplog.text
    found = {f.stem: json.loads(f.read_text()) for f in (workspace.path / "metrics/models").iterdir()}
    assert set(found) == {"base", "r", "words", "both"}
    assert (found["words"]["dev"]["mono"]["mrr@10"], found["both"]["dev"]["mono"]["mrr@10"]) == (1.0, 0.5)
    records = json.loads((workspace.path / "metrics/references.json").read_text())
    assert records == {"words": {"name": "BM25", "k1": 0.9}, "both": {"name": "fusion", "k": 60}}
    assert found["base"]["dev"]["mono"]["mrr@10"] == 1.0
    assert found["r"]["dev"]["mono"]["mrr@10"] == 0.5
    stored = tables.read("data/scores/r.parquet", QUERY_SCORES)
    assert ("dev", "en-en", "q", "ndcg@10", pytest.approx(1 / math.log2(3), abs=1e-6)) in stored.rows()


def scored(seed, queries=12, passages=40):
    """Runs with ties, grades and judged queries that find nothing; scores are exact in single precision."""
    rng = random.Random(seed)
    run, judged = [], []
    for q in range(queries):
        names = rng.sample([f"d{i}" for i in range(passages)], 25)
        if q % 5:
            run += [(f"q{q}", name, rng.randint(0, 6) / 8) for name in names]
        judged += [(f"q{q}", name, rng.randint(1, 3)) for name in rng.sample(names, rng.randint(1, 6))]
    return run_of(run), qrels_of(judged)


KINDS = {"ndcg": "ndcg", "map": "map", "recall": "recall", "mrr": "mrr", "accuracy": "hit_rate"}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_values_are_those_of_mteb(seed):
    theirs = pytest.importorskip("mteb._evaluators.retrieval_metrics", reason="mteb is not installed")
    run, qrels = scored(seed)
    cuts = [1, 3, 10, 20]
    found = evaluated(run, qrels, [f"{kind}@{k}" for kind in KINDS for k in cuts])
    nested = {"run": {}, "qrels": {}}
    for q, d, s in run.select("query", "passage", "score").iter_rows():
        nested["run"].setdefault(q, {})[f"{d}.en"] = s
    for q, d, r in qrels.select("query", "passage", "relevance").iter_rows():
        nested["qrels"].setdefault(q, {})[f"{d}.en"] = r
    # MTEB's means are over the queries that the run has.
    values = theirs.calculate_retrieval_scores(nested["run"], nested["qrels"], cuts)
    missing = set(nested["qrels"]) - set(nested["run"])
    assert len(missing) == 3
    for kind, field in KINDS.items():
        for name, mean in getattr(values, field).items():
            cut = int(name.split("@")[-1].split("_")[-1])
            own = {query: row[f"{kind}@{cut}"] for query, row in found.items()}
            assert sum(own.values()) / len(nested["run"]) == pytest.approx(mean, abs=2e-5), name  # mteb rounds to 5
            assert all(own[query] == 0 for query in missing)


def test_accuracy_is_that_of_the_nearest_neighbours_label():
    """The passages of a query's label are relevant, so accuracy@1 is the share of nearest neighbours that have it."""
    rng = random.Random(3)
    labels = {f"d{i}": rng.choice("abc") for i in range(30)}
    asked = {f"q{i}": rng.choice("abc") for i in range(40)}
    run = [(q, d, rng.randint(0, 900) / 1024) for q in asked for d in labels]
    qrels = [(q, d, 1) for q, label in asked.items() for d, own in labels.items() if own == label]
    found = evaluated(run_of(run), qrels_of(qrels), ["accuracy@1", "accuracy@3"])
    for q, label in asked.items():
        order = [d for _, d in sorted(((s, d) for name, d, s in run if name == q), key=lambda p: (p[0], f"{p[1]}.en"))][
            ::-1
        ]
        assert found[q]["accuracy@1"] == float(labels[order[0]] == label)
        assert found[q]["accuracy@3"] == float(label in {labels[d] for d in order[:3]})
    assert 0 < sum(v["accuracy@1"] for v in found.values()) < 40
