"""rerank: the order within the depth and behind it, ranks of relevant passages, and what is scored again."""

import json
from pathlib import Path

import polars as pl
import pytest

from stages.rerank import __main__ as rerank
from stages.rerank import pairs
from stages.schemas.benchmarks import (
    BENCHMARK_LABELS,
    BENCHMARK_PASSAGES,
    BENCHMARK_QRELS,
    BENCHMARK_QUERIES,
    IDENTICAL,
    POOLED,
    RERANK,
)
from stages.schemas.runs import RUN
from stages.shared import query_normalizer, ranking, tables
from stages.shared.errors import UserError
from tests.fakes.checkpoints import save_record
from tests.test_fusions import ordered, table

FIRST = [("d", 9.0), ("c", 7.0), ("b", 5.0), ("a", 3.0), ("e", 1.0)]


def first_stage(task="en-en", lang="en"):
    return table([(task, "q", f"{name}.{lang}", rank, score) for rank, (name, score) in enumerate(FIRST, 1)])


def scored(scores, task="en-en"):
    rows = [(task, "q", *document.split("."), score) for document, score in scores.items()]
    return pl.DataFrame(rows, {name: RUN[name] for name in ("task", "query", "passage", "lang", "score")}, orient="row")


NOTHING = table([])


def test_the_depth_is_ordered_by_score_and_the_rest_stays_behind_it():
    run, relevant = rerank.reranked(scored({"d.en": -2.0, "c.en": 3.5, "b.en": 0.5}), first_stage(), NOTHING, 3)
    assert dict(run.schema) == RUN and relevant.is_empty() and dict(relevant.schema) == RUN
    assert ordered(run) == ["c.en", "b.en", "d.en", "a.en", "e.en"]
    assert run["rank"].to_list() == [1, 2, 3, 4, 5]
    # Metrics heed scores alone.
    assert run["score"].to_list() == [3.5, 0.5, -2.0, -3.0, -4.0]


def test_of_equal_scores_the_higher_document_id_comes_first():
    run, _ = rerank.reranked(scored({"d.en": 1.0, "c.en": 1.0, "b.en": 2.0}), first_stage(), NOTHING, 3)
    assert ordered(run)[:3] == ["b.en", "d.en", "c.en"]


def test_a_depth_beyond_the_run_orders_all_of_it():
    scores = {f"{name}.en": score for score, (name, _) in enumerate(FIRST)}
    run, _ = rerank.reranked(scored(scores), first_stage(), NOTHING, 50)
    assert ordered(run) == ["e.en", "a.en", "b.en", "c.en", "d.en"]


def test_relevant_passages_within_the_depth_have_new_ranks_and_others_their_own():
    relevant = table([("en-*", "q", "d.en", 1, 9.0), ("en-*", "q", "b.en", 3, 5.0), ("en-*", "q", "z.ko", 700, 0.1)])
    scores = scored({"d.en": -2.0, "c.en": 3.5, "b.en": 4.0}, "en-*")
    run, found = rerank.reranked(scores, first_stage("en-*"), relevant, 3)
    ranked = {f"{p}.{lang}": rank for p, lang, rank in found.select("passage", "lang", "rank").iter_rows()}
    assert ranked == {"b.en": 1, "d.en": 3, "z.ko": 700}
    within = run.join(found, on=["task", "query", "passage", "lang"], suffix="_found")
    assert within.height == 2 and (within["rank"] == within["rank_found"]).all()


def test_tasks_and_queries_are_ordered_by_themselves():
    run = pl.concat([first_stage(), first_stage("ko-en")])
    head = pl.concat([scored({"d.en": 0.0, "c.en": 1.0}), scored({"d.en": 5.0, "c.en": 1.0}, "ko-en")])
    found, _ = rerank.reranked(head, run, NOTHING, 2)
    assert ordered(found.filter(task="en-en"))[:2] == ["c.en", "d.en"]
    assert ordered(found.filter(task="ko-en"))[:2] == ["d.en", "c.en"]
    assert found.filter(task="ko-en")["score"].to_list() == [5.0, 1.0, 0.0, -1.0, -2.0]


# ── the stage ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Judge:
    """In the place of a cross-encoder: how many words the texts share, less how long they are together."""

    def __init__(self):
        self.read = []
        self.device = type("Device", (), {"type": "cpu"})
        self.max_seq_length = 512

    def tokenizer(self, queries, passages, **_):
        return {"input_ids": [f"{q} {p}".split() for q, p in zip(queries, passages, strict=True)]}

    def predict(self, asked, **_):
        self.read += asked
        return [len({*q.split()} & {*p.split()}) - len(f"{q} {p}") / 1000 for q, p in asked]


@pytest.fixture
def judge(monkeypatch):
    found = Judge()
    monkeypatch.setattr(pairs.KeptPairs, "model", found)
    monkeypatch.setattr(pairs, "MULTIPLE", 1)
    monkeypatch.setattr(pairs, "batch_tokens", lambda device: 1)  # one by one, without repeats
    return found


PASSAGES = {"a": "w1 w2", "b": "w2 w3 w4", "c": "w5", "d": "w1 w6 w7 w8"}
QUERIES = {"q": "w5", "r": "w1 w2"}


@pytest.fixture
def study(workspace):
    """A benchmark in two languages, whose texts differ by a word, and the runs of `words` on it."""
    folder = Path("data/benchmarks/dev")
    both = [(name, lang, text) for name, text in PASSAGES.items() for lang in ("en", "ko")]
    passages = [(name, lang, "", f"{text} {lang}") for name, lang, text in both]
    queries = [(name, lang, f"{text} {lang}") for name, text in QUERIES.items() for lang in ("en", "ko")]
    qrels = [(q, p, lang, 1) for q, p in (("q", "c"), ("r", "a")) for lang in ("en", "ko")]
    for name, rows, schema in (
        ("passages", passages, BENCHMARK_PASSAGES),
        ("queries", queries, BENCHMARK_QUERIES),
        ("qrels", qrels, BENCHMARK_QRELS),
        ("labels", [], BENCHMARK_LABELS),
        ("rerank", [], RERANK),
        ("identical", [], IDENTICAL),
        ("pool", [], POOLED),
    ):
        tables.write(pl.DataFrame(rows, schema, orient="row"), folder / f"{name}.parquet", schema)
    (folder / "about.json").write_text(json.dumps({"by_label": False}))
    runs, relevant = [], []
    for task, langs in (("en-en", ["en"]), ("ko-en", ["en"]), ("ko-*", ["en", "ko"])):
        for query, answer in (("q", "c"), ("r", "a")):
            documents = [f"{name}.{lang}" for name in PASSAGES for lang in langs]
            runs += [(task, query, document, rank, 1 / rank) for rank, document in enumerate(documents, 1)]
            if task == "ko-*":
                ranks = [(f"{answer}.{lang}", documents.index(f"{answer}.{lang}") + 1) for lang in langs]
                relevant += [(task, query, document, rank, 1 / rank) for document, rank in ranks]
    tables.write(table(runs), "data/runs/words/dev.run.parquet", RUN)
    tables.write(table(relevant), "data/runs/words/dev.relevant.parquet", RUN)
    save_record("models/rerankers/cross", max_length=512, kind="cross-encoder")
    return row(workspace, 4)


def row(workspace, depth, **more):
    first = {"reranker": "cross", "first_stage": "data/runs/words", "depth": depth}
    return workspace.edit(rerank={"better": first, **more})


def result(kind="run", name="better"):
    return tables.read(f"data/reranked/{name}/dev.{kind}.parquet", RUN)


def best(task, query):
    found = result().filter(task=task, query=query)
    return ordered(found)[0]


def test_each_task_asks_in_its_language(study, judge):
    study.run("rerank", "better")
    assert best("en-en", "q") == "c.en" and best("ko-en", "r") == "a.en"
    assert {query.split()[-1] for query, passage in judge.read if passage == "w5 en"} == {"en", "ko"}
    assert json.loads(Path("data/reranked/better/about.json").read_text()) == {
        **{"name": "re-ranker", "reranker": "cross", "first_stage": "words", "depth": 4},
        **{"max_length": 512, "dtype": "float32", "attention": None},
    }


def test_what_tasks_share_is_scored_once_and_a_greater_depth_scores_what_is_new(study, judge):
    study.run("rerank", "better")
    # Of each query in en-en and ko-en four, and of the pool's four two are in Korean.
    assert len(judge.read) == len(set(judge.read)) == 2 * (4 + 4 + 2)
    first = Path("data/reranked/better/dev.run.parquet").read_bytes()
    judge.read.clear()
    row(study, 8).run("rerank", "better")
    # The pool's other four of each query, two of which ko-en had.
    assert len(judge.read) == 2 * 2
    deeper = Path("data/reranked/better/dev.run.parquet").read_bytes()
    judge.read.clear()
    row(study, 4).run("rerank", "better")
    assert judge.read == [] and Path("data/reranked/better/dev.run.parquet").read_bytes() == first
    # Without what was kept the bytes are the same.
    for file in Path(".state").rglob("*.sqlite"):
        file.unlink()
    row(study, 8).run("rerank", "better")
    assert len(judge.read) == 24 and Path("data/reranked/better/dev.run.parquet").read_bytes() == deeper


def test_another_first_stage_and_other_weights(study, judge):
    study.run("rerank", "better")
    judge.read.clear()
    for kind in ("run", "relevant"):
        own = tables.read(f"data/runs/words/dev.{kind}.parquet", RUN)
        tables.write(own, f"data/fused/both/dev.{kind}.parquet", RUN)
    other = {"reranker": "cross", "first_stage": "data/fused/both", "depth": 4}
    row(study, 4, fused=other).run("rerank", "fused")
    assert judge.read == [] and result(name="fused").equals(result())
    Path("models/rerankers/cross/model.safetensors").write_bytes(b"another")
    study.run("rerank", "better")
    assert len(judge.read) == 20


def test_a_kill_loses_little(study, judge, monkeypatch):
    monkeypatch.setattr(pairs, "LOST", -1.0)
    predict = judge.predict

    def killed(asked, **settings):
        if len(judge.read) >= 5:
            raise KeyboardInterrupt
        return predict(asked, **settings)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(judge, "predict", killed)
        study.run("rerank", "better")
    done = list(judge.read)
    assert len(done) >= 5 and not Path("data/reranked/better").exists()
    study.run("rerank", "better")
    assert len(judge.read) == len(set(judge.read)) == 20


def test_queries_are_read_as_the_re_ranker_s_normalizer_makes_them(study, judge):
    learnt = query_normalizer.learn({"elongation": True, "script": False, "spelling": False}, [], [])
    tables.write_json(learnt, "models/rerankers/cross/normalizer.json")
    queries = tables.read("data/benchmarks/dev/queries.parquet", BENCHMARK_QUERIES)
    drawn_out = queries.with_columns(pl.col("text") + "!!!")
    tables.write(drawn_out, "data/benchmarks/dev/queries.parquet", BENCHMARK_QUERIES)
    study.run("rerank", "better")
    assert {query for query, _ in judge.read} == {
        f"{text} {lang}!" for text in QUERIES.values() for lang in ("en", "ko")
    }


def test_what_is_damaged_is_scored_again(study, judge, caplog):
    study.run("rerank", "better")
    (file,) = Path(".state").rglob("*.sqlite")
    file.write_bytes(b"no database" * 500)
    judge.read.clear()
    study.run("rerank", "better")
    assert len(judge.read) == 20 and "its pairs are scored again" in caplog.text


def test_language_bias_is_of_the_new_ranks(study, judge):
    row(study, 8).run("rerank", "better")
    found = result("relevant").filter(query="q").sort("rank")
    assert ordered(found) == ["c.ko", "c.en"] and found["rank"].to_list() == [1, 2]


def test_what_is_missing_is_one_sentence(study, judge):
    row(study, 4).edit(rerank={"better": {"reranker": "none", "first_stage": "data/runs/words", "depth": 4}})
    with pytest.raises(UserError, match=r"^models/rerankers/none/encoder\.json is missing: run `dvc repro`$"):
        study.run("rerank", "better")
    study.edit(rerank={"better": {"reranker": "cross", "first_stage": "data/runs/none", "depth": 4}})
    with pytest.raises(UserError, match=r"data/runs/none/dev\.run\.parquet is missing"):
        study.run("rerank", "better")
    assert not Path("data/reranked/better").exists()


def test_scores_that_are_no_numbers_are_refused(study, judge, monkeypatch):
    monkeypatch.setattr(judge, "predict", lambda asked, **_: [float("nan")] * len(asked))
    with pytest.raises(UserError, match=r"^cross gives scores that are no numbers"):
        study.run("rerank", "better")


def test_what_is_read_is_title_and_text(study):
    passages = tables.read("data/benchmarks/dev/passages.parquet", BENCHMARK_PASSAGES)
    titled = passages.with_columns(title=pl.lit("T"))
    tables.write(titled, "data/benchmarks/dev/passages.parquet", BENCHMARK_PASSAGES)
    run = tables.read("data/runs/words/dev.run.parquet", RUN)
    found = rerank.read(run, ranking.benchmarks()["dev"])
    assert found.height == run.height and found["text"].str.starts_with("T w").all()
