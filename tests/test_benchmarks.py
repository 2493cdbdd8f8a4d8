"""benchmarks: held-out queries against everything, BEIR folders, one layout."""

import polars as pl
import pytest

from stages.shared import tables
from stages.shared.errors import UserError


def read(name):
    kinds = {"passages": tables.BENCHMARK_PASSAGES, "queries": tables.QUERIES, "qrels": tables.QRELS}
    return [tables.read(f"data/benchmarks/{name}/{k}.parquet", schema).rows() for k, schema in kinds.items()]


def held_out(workspace, name="dev"):
    workspace.corpus(
        [("a", "train"), ("b", "dev"), ("c", "dev"), ("d", "test")],
        [("qa", "a"), ("qb", "b"), ("qbc", ["c", "b"]), ("qad", ["a", "d"]), ("qac", ["a", "c"])],
    )
    workspace.run("benchmarks", name)
    return read(name)


def test_a_splits_queries_search_all_passages(workspace):
    passages, queries, qrels = held_out(workspace)
    assert passages == [(p, lang, "", f"{p}|{lang}") for p in "abcd" for lang in ("en", "ko")]
    # A query with a passage trained on and one held out is held out.
    assert queries == [(q, lang, f"{q}|{lang}") for q in ("qac", "qb", "qbc") for lang in ("en", "ko")]
    assert qrels == sorted(
        (q, p, lang, 1)
        for q, found in [("qb", "b"), ("qbc", "bc"), ("qac", "ac")]
        for p in found
        for lang in ("en", "ko")
    )


def test_the_most_held_out_passage_decides(workspace):
    _, queries, _ = held_out(workspace, "test")
    assert {q for q, *_ in queries} == {"qad"}


def test_synthesized_queries_follow_their_passage(workspace):
    held_out(workspace)
    asked = [("b#q1", "en", "how"), ("a#q1", "en", "why")]
    judged = [("b#q1", "b", 1), ("a#q1", "a", 1)]
    for kind, rows, schema in (("queries", asked, tables.QUERIES), ("judgements", judged, tables.JUDGEMENTS)):
        table = pl.DataFrame(rows, schema=schema, orient="row")
        tables.write(table, f"data/synthetic/{kind}.parquet", schema)
    workspace.run("benchmarks", "dev")
    found = {q for q, *_ in read("dev")[1]}
    assert "b#q1" in found
    assert "a#q1" not in found


def test_a_beir_folder_keeps_what_is_judged(workspace):
    workspace.jsonl("x/corpus.en.jsonl", [{"_id": "p.en", "title": "T", "text": "one"}])
    workspace.jsonl("x/corpus.ko.jsonl", [{"_id": "p.ko", "text": "하나"}, {"_id": "r.ko", "text": "둘"}])
    workspace.jsonl("x/queries.ko.jsonl", [{"_id": "q", "text": "몇"}, {"_id": "s", "text": "왜"}])
    (workspace.path / "x/qrels.tsv").write_text("q\tp.en\t2\nq\tp.ko\t1\ns\tr.ko\t0\n")
    workspace.edit(benchmarks__x={"source": "beir", "path": "x"}).run("benchmarks", "x")
    assert read("x") == [
        [("p", "en", "T", "one"), ("p", "ko", "", "하나"), ("r", "ko", "", "둘")],
        [("q", "ko", "몇")],
        [("q", "p", "en", 2), ("q", "p", "ko", 1)],
    ]


def test_a_benchmark_that_measures_nothing_is_told(workspace):
    workspace.corpus([("a", "train")], [("q", "a")])
    with pytest.raises(UserError, match=r"benchmarks\.dev has no judged query in en, ko"):
        workspace.run("benchmarks", "dev")
    with pytest.raises(UserError, match=r"no benchmarks\.dew \(did you mean dev\?\)"):
        workspace.run("benchmarks", "dew")
