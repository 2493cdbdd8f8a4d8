"""fusions: reciprocal ranks, ties as in trec_eval, and language bias where the ranks are known."""

import json
from pathlib import Path

import polars as pl
import pytest

from stages import fusions
from stages.schemas.runs import RUN
from stages.shared import tables
from stages.shared.errors import UserError


def table(rows):
    """Rows (task, query, 'passage.lang', rank, score)."""
    split = [(task, query, *document.split("."), rank, score) for task, query, document, rank, score in rows]
    return pl.DataFrame(split, schema=RUN, orient="row")


def run(*documents, task="en-*", query="q"):
    """A run of one query, best first."""
    return table([(task, query, document, rank, 1 / rank) for rank, document in enumerate(documents, 1)])


def ordered(found):
    return [f"{passage}.{lang}" for passage, lang in found.sort("rank").select("passage", "lang").iter_rows()]


def test_scores_are_sums_of_reciprocal_ranks():
    found = fusions.fused([run("a.en", "b.en", "c.en"), run("c.en", "b.en", "d.ko")], 60)
    assert dict(found.schema) == RUN
    assert ordered(found) == ["c.en", "b.en", "a.en", "d.ko"]
    wanted = [1 / 63 + 1 / 61, 2 / 62, 1 / 61, 1 / 63]
    assert found["score"].to_list() == pytest.approx(wanted)
    # The lower the constant, the more the first ranks count.
    assert ordered(fusions.fused([run("a.en", "b.en"), run("b.en", "c.en"), run("x.en", "a.en")], 0))[0] == "b.en"


def test_of_equals_the_higher_document_id_comes_first():
    assert ordered(fusions.fused([run("a.en", "b.ko"), run("b.ko", "a.en")], 60)) == ["b.ko", "a.en"]
    three = [run("a.en", "b.en", "c.en"), run("b.en", "c.en", "a.en"), run("c.en", "a.en", "b.en")]
    assert ordered(fusions.fused(three, 60)) == ["c.en", "b.en", "a.en"]
    assert fusions.fused(three, 60)["score"].n_unique() == 1


def test_tasks_and_queries_are_fused_by_themselves():
    left = pl.concat([run("a.en", "b.en"), run("b.en", task="ko-*")])
    found = fusions.fused([left, run("b.en", query="r")], 60)
    assert found.select("task", "query", "passage", "rank").rows() == [
        ("en-*", "q", "a", 1),
        ("en-*", "q", "b", 2),
        ("en-*", "r", "b", 1),
        ("ko-*", "q", "b", 1),
    ]


def written(row, made, relevant):
    tables.write(made, f"data/runs/{row}/dev.run.parquet", RUN)
    tables.write(relevant, f"data/runs/{row}/dev.relevant.parquet", RUN)


@pytest.fixture
def study(workspace):
    """Two runs; of q's relevant passages both are in some run, of r's one is in none."""
    relevant = table([("en-*", "q", "a.en", 1, 0.5), ("en-*", "q", "a.ko", 7, 0.1)])
    written("bm25", run("a.en", "b.en", "c.en"), relevant)
    written("base", run("b.en", "a.ko", "a.en"), relevant)
    return workspace.edit(fusions={"hybrid": {"of": ["bm25", "base"]}}, retrieve__depth=2)


def result(kind):
    return tables.read(f"data/fused/hybrid/dev.{kind}.parquet", RUN)


def record():
    return json.loads(Path("data/fused/about.json").read_text())


def test_runs_are_cut_at_the_depth_and_relevant_ranks_are_not(study):
    study.run("fusions")
    assert ordered(result("run")) == ["b.en", "a.en"]
    assert ordered(result("relevant")) == ["a.en", "a.ko"]
    assert result("relevant")["rank"].to_list() == [2, 3]
    assert record() == {"hybrid": {"name": "fusion", "of": ["bm25", "base"], "k": 60, "ranks_unknown": {}}}


def test_a_relevant_passage_in_no_run_leaves_language_bias_unknown(study, caplog):
    relevant = table([("en-*", "q", "a.en", 1, 0.5), ("en-*", "q", "z.ko", 700, 0.1)])
    written("bm25", run("a.en", "b.en", "c.en"), relevant)
    study.run("fusions")
    assert result("relevant").is_empty() and not result("run").is_empty()
    assert record()["hybrid"]["ranks_unknown"] == {"dev": 1}
    assert "hybrid on dev: 1 of 2 relevant passages in the pool are in none of its runs" in caplog.text
    assert "raise retrieve.depth, which is 2" in caplog.text


def test_no_fusion_is_written_too(workspace):
    workspace.run("fusions")
    assert record() == {}


def test_runs_that_are_missing_are_one_sentence(workspace):
    workspace.edit(fusions={"hybrid": {"of": ["bm25", "base"]}})
    with pytest.raises(UserError, match=r"data/runs/bm25 has no runs: run `dvc repro`"):
        workspace.run("fusions")
    written("bm25", run("a.en"), run("a.en"))
    with pytest.raises(UserError, match=r"data/runs/base/dev\.run\.parquet is missing"):
        workspace.run("fusions")
    assert not (workspace.path / "data/fused").exists()


def test_a_second_run_gives_the_same_bytes(study):
    study.run("fusions")
    first = {file.name: file.read_bytes() for file in (study.path / "data/fused").rglob("*") if file.is_file()}
    study.run("fusions")
    assert first == {file.name: file.read_bytes() for file in (study.path / "data/fused").rglob("*") if file.is_file()}
