"""ranking: runs as trec_eval would order them, relevant ranks however deep, candidates alone where they are listed."""

import numpy as np
import polars as pl
import pytest

from stages.schemas.benchmarks import BENCHMARK_PASSAGES, BENCHMARK_QRELS, BENCHMARK_QUERIES, IDENTICAL, POOLED, RERANK
from stages.schemas.runs import RUN
from stages.shared import ranking


def frame(rows, schema):
    return pl.DataFrame(list(rows), schema=schema, orient="row").sort(list(schema)[:2])


def ranked(passages, passage_vectors, queries, query_vectors, qrels, depth, rerank=None, identical=()):
    listed = pl.DataFrame(schema=RERANK) if rerank is None else rerank
    themselves = frame(identical, IDENTICAL)
    made = ranking.Tables(passages, queries, qrels, listed, by_label=False, identical=themselves)
    return ranking.rank(made, ranking.by_vectors(passage_vectors, query_vectors), depth)


def case(seed, passages=30, queries=8):
    """Passages and queries with vectors of small whole numbers, so that scores tie and are exact."""
    rng = np.random.default_rng(seed)
    texts = [(f"p{i}", lang, "", f"{i} {lang}") for i in range(passages) for lang in ("en", "ko")]
    asked = [(f"q{i}", lang, f"{i} {lang}") for i in range(queries) for lang in ("en", "ko")]
    judged = [
        (f"q{i}", f"p{p}", lang, 1)
        for i in range(queries)
        for p in rng.choice(passages, 2, replace=False)
        for lang in ("en", "ko")
    ]
    return (
        frame(texts, BENCHMARK_PASSAGES),
        rng.integers(-1, 2, (2 * passages, 3)).astype(np.float32),
        frame(asked, BENCHMARK_QUERIES),
        rng.integers(-1, 2, (2 * queries, 3)).astype(np.float32),
        frame(judged, BENCHMARK_QRELS),
    )


def expected(passages, passage_vectors, queries, query_vectors, query_lang, corpus_lang):
    """{query: [(passage, lang, score), ...]}: by score, ties by descending document id as trec_eval breaks them."""
    found = {}
    for i, (query, lang, _) in enumerate(queries.iter_rows()):
        if lang != query_lang:
            continue
        scored = [
            (float(query_vectors[i] @ passage_vectors[j]), f"{name}.{own}", name, own)
            for j, (name, own, *_) in enumerate(passages.iter_rows())
            if corpus_lang in ("*", own)
        ]
        found[query] = [(name, own, score) for score, _, name, own in sorted(scored, reverse=True)]
    return found


TASKS = [(q, c) for q in ("en", "ko") for c in ("en", "ko", "*")]


@pytest.mark.parametrize("depth", [1, 7, 100])
@pytest.mark.parametrize("seed", [0, 1])
def test_runs_are_ordered_as_trec_eval_orders_them(seed, depth):
    made = case(seed)
    run, _ = ranked(*made, depth)
    assert dict(run.schema) == RUN
    assert run["task"].unique(maintain_order=True).to_list() == [f"{q}-{c}" for q, c in TASKS]
    for query_lang, corpus_lang in TASKS:
        wanted = expected(*made[:4], query_lang, corpus_lang)
        own = run.filter(task=f"{query_lang}-{corpus_lang}")
        for query, order in wanted.items():
            rows = own.filter(query=query)
            assert rows["rank"].to_list() == list(range(1, min(depth, len(order)) + 1))
            assert rows.select("passage", "lang", "score").rows() == order[:depth]


def test_relevant_ranks_are_exact_beyond_the_depth():
    made = case(2)
    _, relevant = ranked(*made, 3)
    qrels = made[4]
    assert relevant["task"].unique().sort().to_list() == ["en-*", "ko-*"]
    assert relevant.height == 2 * qrels.height
    assert relevant["rank"].max() > 3
    for query_lang in ("en", "ko"):
        wanted = expected(*made[:4], query_lang, "*")
        for _, query, passage, lang, place, score in relevant.filter(task=f"{query_lang}-*").iter_rows():
            assert wanted[query][place - 1] == (passage, lang, score)


def test_a_pool_of_each_document_in_one_language_is_searched_alone():
    made = case(2)
    pooled = frame([(f"p{i}", "ko" if i % 3 else "en") for i in range(30)], POOLED)
    tables = ranking.Tables(*made[::2], pl.DataFrame(schema=RERANK), by_label=False, pool=pooled)
    run, relevant = ranking.rank(tables, ranking.by_vectors(made[1], made[3]), 5)
    assert relevant.is_empty()
    allowed = set(pooled.iter_rows())
    whole, _ = ranked(*made, 100)
    for query_lang in ("en", "ko"):
        wanted = expected(*made[:4], query_lang, "*")
        for query in set(run["query"]):
            rows = run.filter(task=f"{query_lang}-*", query=query).select("passage", "lang", "score").rows()
            assert rows == [row for row in wanted[query] if row[:2] in allowed][:5]
        mono = run.filter(task=f"{query_lang}-en")
        assert mono.equals(whole.filter(pl.col("rank") <= 5, task=f"{query_lang}-en"))


def test_one_corpus_language_has_no_pool():
    passages, vectors, queries, query_vectors, qrels = case(3)
    english = (passages["lang"] == "en").to_numpy()
    run, relevant = ranked(
        passages.filter(lang="en"), vectors[english], queries, query_vectors, qrels.filter(lang="en"), 5
    )
    assert run["task"].unique(maintain_order=True).to_list() == ["en-en", "ko-en"]
    assert relevant.is_empty()
    assert dict(relevant.schema) == RUN


def listed(seed, passages=30, queries=8):
    """Candidates of all queries but the last, at random."""
    rng = np.random.default_rng(seed)
    rows = [(f"q{i}", f"p{p}") for i in range(queries - 1) for p in rng.choice(passages, 9, replace=False)]
    return frame(rows, RERANK)


@pytest.mark.parametrize("depth", [4, 100])
def test_candidates_are_ranked_and_nothing_else(depth):
    made, rerank = case(4), listed(4)
    run, relevant = ranked(*made, depth, rerank)
    allowed = rerank.group_by("query").agg("passage")
    allowed = {query: set(names) for query, names in allowed.iter_rows()}
    assert run["task"].unique(maintain_order=True).to_list() == [f"{q}-{c}" for q, c in TASKS]
    for query_lang, corpus_lang in TASKS:
        wanted = expected(*made[:4], query_lang, corpus_lang)
        own = run.filter(task=f"{query_lang}-{corpus_lang}")
        assert set(own["query"]) == set(allowed)
        for query, names in allowed.items():
            rows, order = own.filter(query=query), [row for row in wanted[query] if row[0] in names]
            assert rows["rank"].to_list() == list(range(1, min(depth, len(order)) + 1))
            assert rows.select("passage", "lang", "score").rows() == order[:depth]
            if corpus_lang == "*":
                judged = made[4].filter(pl.col("query") == query)["passage"].to_list()
                ranks = relevant.filter(task=f"{query_lang}-*", query=query)
                places = [i for i, row in enumerate(order, 1) if row[0] in judged]
                assert ranks["rank"].to_list() == places


@pytest.mark.parametrize("depth", [4, 100])
@pytest.mark.parametrize("candidates", [False, True])
def test_a_query_that_is_a_passage_does_not_find_itself(depth, candidates):
    made, rerank = case(8), listed(8) if candidates else None
    judged = dict(made[4].filter(lang="en").select("query", "passage").iter_rows())
    best = {name: [row for row in order if row[0] != judged[name]] for name, order in by_query(made, "en", "*").items()}
    # What each finds first, in whatever language, and of one query another passage too.
    pairs = [(f"q{i}", best[f"q{i}"][0][0]) for i in range(4)] + [("q0", best["q0"][-1][0])]
    run, relevant = ranked(*made, depth, rerank, set(pairs))
    allowed = None if rerank is None else set(rerank.iter_rows())
    for query_lang, corpus_lang in TASKS:
        for query, order in by_query(made, query_lang, corpus_lang).items():
            stays = [row for row in order if (query, row[0]) not in pairs]
            if allowed is not None:
                stays = [row for row in stays if (query, row[0]) in allowed]
            rows = run.filter(task=f"{query_lang}-{corpus_lang}", query=query)
            assert rows.select("passage", "lang", "score").rows() == stays[:depth]
            assert rows["rank"].to_list() == list(range(1, rows.height + 1))
            if corpus_lang == "*":
                own = relevant.filter(task=f"{query_lang}-*", query=query)
                for passage, lang, place in own.select("passage", "lang", "rank").iter_rows():
                    assert stays[place - 1][:2] == (passage, lang)


def by_query(made, query_lang, corpus_lang):
    return expected(*made[:4], query_lang, corpus_lang)


def test_no_candidates_at_all_search_everything():
    made = case(5)
    plain = ranked(*made, 5)
    empty = ranked(*made, 5, pl.DataFrame(schema=RERANK))
    assert plain[0].equals(empty[0]) and plain[1].equals(empty[1])


def test_queries_are_ranked_where_they_are_judged():
    *made, qrels = case(6)
    qrels = qrels.filter((pl.col("lang") == "en") | (pl.col("query") == "q3"))
    run, _ = ranked(*made, qrels, 5)
    assert set(run.filter(task="en-en")["query"]) == {f"q{i}" for i in range(8)}
    assert set(run.filter(task="en-ko")["query"]) == {"q3"}
    assert set(run.filter(task="ko-*")["query"]) == {f"q{i}" for i in range(8)}


def test_queries_that_nothing_answers_are_ranked_where_others_are():
    passages, vectors, queries, asked, qrels = case(3)
    # q0 is judged nowhere, and nothing in Korean is.
    judged = qrels.filter(pl.col("query") != "q0", lang="en")
    run, _ = ranked(passages, vectors, queries, asked, judged, 5)
    for query_lang, corpus_lang in TASKS:
        own = run.filter(task=f"{query_lang}-{corpus_lang}")
        if corpus_lang == "ko":
            assert own.is_empty()
            continue
        wanted = expected(passages, vectors, queries, asked, query_lang, corpus_lang)
        assert own["query"].unique(maintain_order=True).to_list() == [*wanted]
        assert own.filter(query="q0").select("passage", "lang", "score").rows() == wanted["q0"][:5]
