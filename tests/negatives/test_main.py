"""The stage on a knowledge base: its languages, and what is chosen beside what is random."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from stages.schemas.candidates import CANDIDATE_POOL, CANDIDATES
from stages.schemas.negatives import NEGATIVES
from stages.schemas.similarity import SIMILARITY
from stages.schemas.texts import QUERIES
from stages.shared import tables
from stages.shared.errors import UserError

NAMES = ["a/x", "a/y", "b/w", "b/z", "c"]
POOL = [f"p{i:02}" for i in range(30)]
LABEL = {name: NAMES[i % 5] for i, name in enumerate(POOL)}
LABEL_OF_QUERY = {f"q{i:02}": NAMES[i % 5] for i in range(20)}
PATH = {"similarity": {"path": 1.0}}
MIXED = {"k": 3, "random": 1, "pick": "weighted", "labels": PATH}


def knowledge_base(workspace, strategies, languages=("hi-Latn",), ranked=()):
    """Passages in English; queries in `languages`, q00 and q01 in English too."""
    workspace.edit(
        languages=["en", "ko", "hi-Latn"],
        corpus__source="labelled",
        corpus__columns=None,
        corpus__labelled={
            "language": "en",
            "index": 0.5,
            "tables": {
                "kb": {"role": "entries", "columns": {"text": "text", "label": "label"}},
                "labels": {"role": "labels", "columns": {"description": "about", "label": "label"}},
            },
        },
        synthesize__queries__per_passage=0,
        negatives=strategies,
        recipes={"only": {"compositions": ["hi-Latn-en-en"], "negatives": next(iter(strategies))}},
        merges={},
    )
    asked = [(name, lang, f"{name}|{lang}") for name in LABEL_OF_QUERY for lang in languages]
    asked += [(name, "en", f"{name}|en") for name in ("q00", "q01", "dev") if "en" not in languages]
    labelled = [("passage", name, label, "labelled", "train") for name, label in LABEL.items()]
    labelled += [("query", name, label, "labelled", "train") for name, label in LABEL_OF_QUERY.items()]
    workspace.tables(
        "corpus",
        [(name, "en", "", f"{name}|en", "", "train") for name in POOL],
        asked,
        labelled=[*labelled, ("query", "dev", "c", "labelled", "dev")],
        labels=[(name, "") for name in NAMES],
    )
    workspace.tables("synthetic")
    tables.write(pl.DataFrame({"passage": POOL}), "data/candidates/pool.parquet", CANDIDATE_POOL)
    similarity = pl.DataFrame(
        [("centroids", name, np.eye(5)[i].tolist()) for i, name in enumerate(NAMES)], SIMILARITY, orient="row"
    )
    tables.write(similarity, "data/candidates/similarity.parquet", SIMILARITY)
    table = pl.DataFrame(list(ranked), schema=CANDIDATES, orient="row")
    tables.write(table, "data/candidates/ranked.parquet", CANDIDATES)
    return workspace


def kept(name):
    table = tables.read(f"data/negatives/{name}.parquet", NEGATIVES)
    return {(q, f"{ql}-{cl}"): found for q, ql, cl, found in table.iter_rows()}


def report(name):
    return json.loads(Path("metrics/negatives.json").read_text())[name]["directions"]


RANDOM = {"k": 3, "random": 3}


def test_choices_are_shared_by_the_query_s_languages(workspace):
    knowledge_base(workspace, {"mixed": MIXED, "random": RANDOM}).run("negatives")
    for name in ("mixed", "random"):
        found = kept(name)
        assert {ways for _, ways in found} == {"hi-Latn-en", "en-en"}
        assert {q for q, ways in found if ways == "hi-Latn-en"} == set(LABEL_OF_QUERY)
        assert {q for q, ways in found if ways == "en-en"} == {"q00", "q01"}
        assert found["q01", "en-en"] == found["q01", "hi-Latn-en"]
        for (query, _), passages in found.items():
            assert len(set(passages)) == 3
            assert LABEL_OF_QUERY[query] not in [LABEL[p] for p in passages]
    # The same query draws the same random ones beside others, unless these are among the chosen.
    assert report("random") == {"en-en": {"queries": 2}, "hi-Latn-en": {"queries": 20}}


def test_similarity_is_reported_beside_that_at_random(workspace):
    top = {"k": 6, "pick": "top", "labels": PATH}
    knowledge_base(workspace, {"hardest": top, "hard": {**top, "pick": "weighted"}}).run("negatives")
    for query, label in LABEL_OF_QUERY.items():
        siblings = {p for p in POOL if LABEL[p][0] == label[0] and LABEL[p] != label}
        if siblings:
            assert set(kept("hardest")[query, "hi-Latn-en"]) == siblings
    # Of labels a/x, a/y, b/w, b/z the sibling is similar by 1/3; c by 1/4 to all; else 1/5. Each has 6 passages.
    counts = report("hardest")["hi-Latn-en"]
    assert counts["similarity"] == pytest.approx((4 * (1 / 3) + 1 / 4) / 5, abs=1e-5)
    mean = (4 * (1 / 3 + 1 / 5 + 1 / 5 + 1 / 4) / 4 + 1 / 4) / 5
    assert counts["similarity_at_random"] == pytest.approx(mean, abs=1e-5)
    assert counts["queries"] == 20
    assert counts["unlabelled"] == 0
    assert mean < report("hard")["hi-Latn-en"]["similarity"] < counts["similarity"]


def test_a_direction_takes_the_queries_that_ask_in_it(workspace):
    knowledge_base(workspace, {"mixed": MIXED, "of": {**MIXED, "direction": "en-en"}}).run("negatives")
    whole = kept("mixed")
    assert kept("of") == {key: found for key, found in whole.items() if key[0] in ("q00", "q01")}
    assert list(report("of")) == ["en-en"]
    workspace.edit(negatives={"of": {**MIXED, "direction": "en-ko"}}, recipes__only__negatives="of")
    with pytest.raises(UserError, match=r"negatives\.of\.direction is .en-ko., but en is searched: write each"):
        workspace.run("check")
    with pytest.raises(UserError, match=r"negatives\.of leaves no query 3 negatives: set its direction to each"):
        workspace.run("negatives")


def test_a_choice_depends_on_no_other_query(workspace):
    knowledge_base(workspace, {"mixed": MIXED}).run("negatives")
    before = kept("mixed")
    corpus = workspace.path / "data/corpus"
    queries = tables.read(corpus / "queries.parquet", QUERIES).filter(pl.col("query").is_in(["q07", "q13"]))
    tables.write(queries.reverse(), corpus / "queries.parquet", QUERIES)
    workspace.run("collect")
    workspace.run("negatives")
    assert kept("mixed") == {key: found for key, found in before.items() if key[0] in ("q07", "q13")}


def test_queries_without_a_label_are_left_out_where_labels_choose(workspace):
    """As of a passage without one, which no label draws either."""
    knowledge_base(workspace, {"mixed": MIXED}).run("negatives")
    before = kept("mixed")
    loose = [("loose", "en", "", "loose|en", "", "train")]
    free = [(name, "en", f"{name}|en") for name in ("free", "judged")]
    workspace.tables("synthetic", loose, free, [("free", "loose", 1), ("judged", "p03", 1)])
    tables.write(pl.DataFrame({"passage": ["loose", *POOL]}), "data/candidates/pool.parquet", CANDIDATE_POOL)
    most = {"k": 24, "pick": "weighted", "labels": PATH}
    workspace.edit(negatives={"mixed": MIXED, "random": RANDOM, "most": most}).run("negatives")
    # The others keep what labels choose for them.
    chosen = {key: found[:2] for key, found in kept("mixed").items() if key[0] not in ("free", "judged")}
    assert chosen == {key: found[:2] for key, found in before.items()}
    assert ("free", "en-en") not in kept("mixed")
    assert report("mixed")["en-en"]["unlabelled"] == 1
    assert report("mixed")["en-en"]["queries"] == 4
    assert len(kept("random")["free", "en-en"]) == 3
    for (query, _), found in kept("most").items():
        label = LABEL_OF_QUERY.get(query, LABEL["p03"])
        assert set(found) == {p for p in POOL if LABEL[p] != label}
    # What is judged is no random negative.
    tables.write(pl.DataFrame(schema=QUERIES), "data/corpus/queries.parquet", QUERIES)
    workspace.tables("synthetic", loose, free[:1], [("free", "loose", 1)])
    workspace.edit(negatives={"all": {"k": 30, "random": 30}}).run("negatives")
    assert set(kept("all")["free", "en-en"]) == {*POOL}


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ({"k": 25, "pick": "top", "labels": PATH}, r"negatives\.s wants 25 passages of labels like 'a/x', but only 24"),
        ({"k": 25, "random": 25}, r"wants 25 random passages, but only 24 .* 'q00' of the label 'a/x': lower k and"),
        ({"k": 25, "random": 1, "labels": PATH}, r"wants 1 random passages, but only 0 .* of the label 'a/x'"),
        ({**MIXED, "labels": {"similarity": {"centroids": 1.0}}}, "wants 2 passages of labels like 'a/x', but only 0"),
        ({**MIXED, "labels": {"similarity": {"descriptions": 1.0}}}, "names descriptions, .* has no description"),
    ],
)
def test_more_than_there_are_is_one_sentence(workspace, strategy, message):
    knowledge_base(workspace, {"s": strategy})
    with pytest.raises(UserError, match=message) as told:
        workspace.run("negatives")
    assert "\n" not in str(told.value)
    assert not (workspace.path / "data/negatives").exists()


def test_ranks_leave_out_the_label_and_join_random_ones(workspace):
    order = list(range(30))
    ranked = [(query, "hi-Latn", "en", 0.9, order, [1 - i / 40 for i in order]) for query in LABEL_OF_QUERY]
    window = {"k": 4, "random": 2, "rank_min": 1, "rank_max": 10, "pick": "top"}
    trip = {**window, "round_trip": 3}
    knowledge_base(workspace, {"window": window, "trip": trip}, ranked=ranked).run("negatives")
    found = kept("window")
    assert len(found) == 20
    for (query, _), passages in found.items():
        first = [p for p in POOL if LABEL[p] != LABEL_OF_QUERY[query]]
        assert passages[:2] == first[:2]
        assert len(set(passages)) == 4
        assert LABEL_OF_QUERY[query] not in [LABEL[p] for p in passages]
    assert list(report("window")) == ["hi-Latn-en"]
    assert report("window")["hi-Latn-en"]["relevant"] == 20 * 2
    # The first three ranked have the labels a/x, a/y and b/w.
    assert {LABEL[POOL[0]], LABEL[POOL[1]], LABEL[POOL[2]]} == {LABEL_OF_QUERY[q] for q, _ in kept("trip")}
    assert report("trip")["hi-Latn-en"]["round_trip"] == 8


def unlabelled(workspace, strategies, count=3_000):
    """Passages p00 to p29 and queries of p00, that the teacher gives scores of 0.1 to 0.5 and one of -0.1."""
    workspace.corpus([(name, "train") for name in POOL], [(f"q{i:04}", "p00") for i in range(count)])
    scores = [0.9, 0.5, 0.4, 0.3, 0.2, 0.1, -0.1]
    rows = [
        (f"q{i:04}", q, c, 0.9, list(range(7)), scores)
        for i in range(count)
        for q in ("en", "ko")
        for c in ("en", "ko")
    ]
    tables.write(pl.DataFrame({"passage": POOL}), "data/candidates/pool.parquet", CANDIDATE_POOL)
    table = pl.DataFrame(rows, CANDIDATES, orient="row")
    tables.write(table, "data/candidates/ranked.parquet", CANDIDATES)
    workspace.edit(
        negatives=strategies,
        recipes={"only": {"compositions": ["enenen"], "negatives": next(iter(strategies))}},
        merges={},
    ).run("negatives")
    return scores


def test_scores_weigh_ranked_negatives(workspace):
    weighted = {"k": 2, "rank_min": 1, "rank_max": 7, "pick": "weighted"}
    strategies = {
        "plain": weighted,
        "cold": {**weighted, "temperature": 0.5},
        "floored": {**weighted, "floor": 0.2},
        "mixed": {**weighted, "k": 3, "random": 1},
    }
    scores = np.array(unlabelled(workspace, strategies))[1:]
    for name, weights in (
        ("plain", np.maximum(scores, 0)),
        ("cold", np.maximum(scores, 0) ** 2),
        ("floored", np.maximum(scores, 0.2)),
    ):
        found = np.array([POOL.index(p[0]) for (_, ways), p in kept(name).items() if ways == "ko-en"])
        counts = np.bincount(found, minlength=7)[1:7]
        some = weights > 0
        assert counts.sum() == 3_000
        assert not counts[~some].any()
        assert stats.chisquare(counts[some], (weights / weights.sum())[some] * 3_000).pvalue > 0.001
    assert report("plain")["ko-en"]["zero_weight"] == 3_000
    assert report("floored")["ko-en"]["zero_weight"] == 0
    # The random one is of the whole pool, without the answer and the two that were chosen.
    found = [p for (_, ways), p in kept("mixed").items() if ways == "ko-en"]
    assert [p[:2] for p in found] == [p for (_, ways), p in kept("plain").items() if ways == "ko-en"]
    assert all(len(set(p)) == 3 for p in found)
    assert {p[2] for p in found} == {*POOL[1:]}


def test_random_alone_needs_no_labels(workspace):
    unlabelled(workspace, {"random": {"k": 2, "random": 2}}, count=2_000)
    found = kept("random")
    assert len(found) == 4 * 2_000
    assert all(found[q, "en-en"] == passages for (q, _), passages in found.items())
    counts = np.bincount(
        [POOL.index(p) for (_, ways), ps in found.items() if ways == "en-ko" for p in ps], minlength=30
    )
    assert counts[0] == 0
    assert stats.chisquare(counts[1:]).pvalue > 0.001
