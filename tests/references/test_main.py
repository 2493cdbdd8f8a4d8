"""references: the stage writes runs as a model's, and the record of what was run."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from stages.references import endpoint as module
from stages.schemas.benchmarks import BENCHMARK_QRELS, BENCHMARK_QUERIES
from stages.schemas.runs import RUN
from stages.shared import scoring, tables
from stages.shared.errors import UserError
from tests.fakes.checkpoints import save_sentence_transformer
from tests.fakes.endpoint import Endpoint, embed
from tests.test_retrieve import benchmark

PASSAGES = [(f"p{i}", lang, "", f"w{i} w{20 + i}") for i in range(6) for lang in ("en", "ko")]
QUERIES = [("q", "en", "w1"), ("q", "ko", "w2")]
JUDGED = [("q", "p1", "en", 1), ("q", "p1", "ko", 1)]


@pytest.fixture
def study(workspace):
    benchmark("dev", PASSAGES, QUERIES, JUDGED)
    benchmark("labelled", PASSAGES, QUERIES, JUDGED, by_label=True)
    return workspace


def run(kind="run", name="dev", row="r"):
    return tables.read(f"data/runs/{row}/{name}.{kind}.parquet", RUN)


def record():
    return json.loads(Path("data/runs/r/about.json").read_text())


def content():
    return {file.name: file.read_bytes() for file in sorted(Path("data/runs/r").iterdir())}


def test_bm25(study):
    study.edit(references={"r": {"bm25": {"k1": 1.2}}}).run("references", "r")
    assert record() == {"name": "BM25", "k1": 1.2, "b": 0.4}
    assert run().filter(task="en-en").select("query", "passage", "rank").rows() == [("q", "p1", 1)]
    assert run().filter(task="ko-*").select("passage", "lang").rows() == [("p2", "ko"), ("p2", "en")]
    assert run("relevant").height == 4
    assert run("relevant", "labelled").is_empty() and not run(name="labelled").is_empty()
    first = content()
    study.run("references", "r")
    assert content() == first


def test_a_query_that_is_a_passage_finds_what_it_asks_for(study):
    """As in ArguAna, where BEIR's evaluation gives nDCG 1.0: without its own passage, the relevant one comes first."""
    judged = [("p1", "p2", lang, 1) for lang in ("en", "ko")]
    passages = [
        (name, lang, "", text) for name, text in (("p1", "a b c"), ("p2", "a b"), ("p3", "c")) for lang in ("en", "ko")
    ]
    for name, identical in (("own", [("p1", "p1")]), ("kept", [])):
        benchmark(name, passages, [("p1", "en", "a b c")], judged, identical=identical)
    study.edit(references={"r": {"bm25": {}}}).run("references", "r")
    queries = pl.DataFrame([("p1", "en", "a b c")], BENCHMARK_QUERIES, orient="row")
    qrels = pl.DataFrame(judged, BENCHMARK_QRELS, orient="row")

    def ndcg(name):
        values = scoring.per_query(run(name=name), queries, qrels, ["ndcg@10"])
        return dict(values.select("task", "value").iter_rows())

    assert ndcg("own") == {"en-en": 1.0, "en-ko": 1.0, "en-*": 1.0}
    assert ndcg("kept")["en-en"] == pytest.approx(0.631, abs=0.001)
    assert sorted(run("relevant", "own")["rank"]) == [1, 2] and sorted(run("relevant", "kept")["rank"]) == [3, 4]


@pytest.mark.slow
def test_an_encoder_is_run_as_a_base_would_be(study):
    folder = save_sentence_transformer(study.path / "other", prompts={"query": "q: ", "document": "p: "})
    study.edit(references={"r": {"encoder": "./other", "prompts": "none"}}).run("references", "r")
    assert record()["name"] == "other" and record()["prompts"] == {"query": "", "passage": ""}
    assert record()["unknown"] == {"en": 0.0, "ko": 0.0}
    assert run().filter(task="en-en").height == 6 and run("relevant").height == 4
    first = content()
    assert list((study.path / ".state/vectors/blocks").rglob("*.npz"))
    study.edit(references={"r": {"encoder": "./other"}}).run("references", "r")
    assert record()["prompts"] == {"query": "q: ", "passage": "p: "}
    assert content()["dev.run.parquet"] != first["dev.run.parquet"], folder
    study.edit(windows={"size": 1, "stride": 1, "best": 2}).run("references", "r")
    assert record()["windows"] == {"documents": 24, "several": 24, "mean": 2.0}
    assert run().filter(task="en-en").height == 6 and run("relevant").height == 4


def test_an_encoder_that_is_not_there_is_named_by_its_key(study):
    study.edit(references={"r": {"encoder": "./nowhere"}})
    with pytest.raises(UserError, match=r"references\.r\.encoder is './nowhere', which is no folder"):
        study.run("references", "r")
    assert not Path("data/runs/r").exists()


def test_an_endpoint(study, monkeypatch):
    monkeypatch.setattr(module, "STATE", study.path / ".state")
    with Endpoint() as endpoint:
        settings = {"model": "m", "base_url": endpoint.url, "key_env": None}
        study.edit(references={"r": {"endpoint": settings}}).run("references", "r")
        assert record() == {"name": "m", "prompts": {"query": "", "passage": ""}, "dimension": 8}
        own = run().filter(task="en-en", query="q")
        texts = ["w1", *(f"w{i} w{20 + i}" for i in range(6))]
        vectors = np.array(embed({"input": texts}), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        wanted = {f"p{i}": float(score) for i, score in enumerate(vectors[1:] @ vectors[0])}
        assert dict(own.select("passage", "score").iter_rows()) == pytest.approx(wanted, abs=1e-5)
        first = content()
    study.run("references", "r")
    assert content() == first


@pytest.mark.parametrize(
    ("arguments", "message"), [((), "which one. Run `dvc repro references`, or name one"), (("x",), "references.x")]
)
def test_a_reference_that_is_not_named(study, arguments, message):
    with pytest.raises(UserError, match=message):
        study.run("references", *arguments)
