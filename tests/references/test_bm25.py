"""bm25: Lucene's scores, each corpus an index of its own, and nothing found without a common word."""

import math
from collections import Counter

import numpy as np
import polars as pl
import pytest

from stages.references import bm25
from stages.references.words import words
from stages.schemas.benchmarks import BENCHMARK_PASSAGES, BENCHMARK_QRELS, BENCHMARK_QUERIES, RERANK
from stages.settings.references import Bm25
from stages.shared import ranking

PASSAGES = [
    ("a", "en", "", "the cat sat on the mat"),
    ("a", "ko", "", "고양이가 매트에 앉았다"),
    ("b", "en", "Cats", "a cat and a cat"),
    ("b", "ko", "", "고양이와 고양이"),
    ("c", "en", "", "dogs bark at night and the cat runs far away from all of them"),
    ("c", "ko", "", "개가 밤에 짖는다 cat"),
    ("d", "en", "", "nothing of it"),
    ("d", "ko", "", "아무것도"),
]
QUERIES = [("q", "en", "Cat the cat"), ("q", "ko", "고양이 cat"), ("r", "en", "zebra")]


def frame(rows, schema):
    return pl.DataFrame(list(rows), schema=schema, orient="row").sort(list(schema)[:2])


def made(rerank=()):
    judged = [(query, name, lang, 1) for query in "qr" for name in "ab" for lang in ("en", "ko")]
    passages = frame(PASSAGES, BENCHMARK_PASSAGES)
    return ranking.Tables(
        passages,
        frame(QUERIES, BENCHMARK_QUERIES),
        frame(judged, BENCHMARK_QRELS),
        frame(rerank, RERANK),
        by_label=False,
    )


def lucene(query, documents, k1, b):
    """{document: score} by the formula of Lucene, of the documents that have a word of the query."""
    held = {name: Counter(words(text)) for name, text in documents.items()}
    length = sum(sum(counts.values()) for counts in held.values()) / len(held)
    scores = {}
    for name, counts in held.items():
        score = 0.0
        for word in filter(counts.get, words(query)):
            having = sum(word in other for other in held.values())
            idf = math.log(1 + (len(held) - having + 0.5) / (having + 0.5))
            score += idf * counts[word] / (counts[word] + k1 * (1 - b + b * sum(counts.values()) / length))
        if score:
            scores[name] = score
    return scores


@pytest.mark.parametrize("settings", [Bm25(), Bm25(k1=1.2, b=0.75), Bm25(k1=0.0, b=0.0)])
def test_scores_are_lucenes_within_each_corpus(settings):
    run, _ = ranking.rank(made(), bm25.rankers(settings, made()), 10)
    for task, corpus in (("en-en", ("en",)), ("en-ko", ("ko",)), ("ko-en", ("en",)), ("ko-*", ("en", "ko"))):
        query = next(text for name, lang, text in QUERIES if (name, lang) == ("q", task[:2]))
        documents = {f"{p}.{lang}": f"{title} {text}" for p, lang, title, text in PASSAGES if lang in corpus}
        wanted = lucene(query, documents, settings.k1, settings.b)
        own = run.filter(task=task, query="q")
        found = dict(own.select(pl.col("passage") + "." + pl.col("lang"), "score").iter_rows())
        assert found == pytest.approx(wanted, rel=1e-5)
        order = sorted(found, key=lambda name: (found[name], name), reverse=True)
        assert own.select(pl.col("passage") + "." + pl.col("lang")).to_series().to_list() == order
        assert own["rank"].to_list() == list(range(1, len(found) + 1))


def test_a_query_without_a_known_word_finds_nothing():
    run, relevant = ranking.rank(made(), bm25.rankers(Bm25(), made()), 10)
    assert "r" not in set(run["query"])
    # The ranks for language bias: all passages have the score 0, and the higher document id comes first.
    own = relevant.filter(task="en-*", query="r").sort("rank")
    assert own.select("passage", "lang", "rank", "score").rows() == [
        ("b", "ko", 5, 0.0),
        ("b", "en", 6, 0.0),
        ("a", "ko", 7, 0.0),
        ("a", "en", 8, 0.0),
    ]


def test_ranks_of_relevant_passages_go_on_after_what_is_found():
    run, relevant = ranking.rank(made(), bm25.rankers(Bm25(), made()), 1)
    assert run["rank"].max() == 1
    _, whole = ranking.rank(made(), bm25.rankers(Bm25(), made()), 10)
    assert relevant.equals(whole)
    ranks = relevant.filter(task="en-*", query="q").select("passage", "lang", "rank").rows()
    # c.en and c.ko are found between; d.ko and d.en come before what shares no word either.
    assert ranks == [("a", "en", 1), ("b", "en", 3), ("b", "ko", 7), ("a", "ko", 8)]


def test_only_candidates_are_ranked_where_they_are_listed():
    listed = made([("q", "c"), ("q", "d")])
    run, relevant = ranking.rank(listed, bm25.rankers(Bm25(), listed), 10)
    assert run.filter(task="en-en").select("query", "passage", "rank").rows() == [("q", "c", 1), ("q", "d", 2)]
    assert relevant.is_empty()


def test_a_corpus_without_words():
    empty = made()._replace(passages=frame([("a", "en", "", "!?")], BENCHMARK_PASSAGES))
    with np.errstate(all="ignore"):
        run, _ = ranking.rank(empty, bm25.rankers(Bm25(), empty), 10)
    assert run.is_empty()
