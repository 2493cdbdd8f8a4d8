"""collect: the corpus and what was written for it become one collection."""

import json
from pathlib import Path

import polars as pl
import pytest

from stages.schemas.collected import (
    COLLECTED_PASSAGES,
    COLLECTED_QRELS,
    COLLECTED_QUERIES,
    GROUP_LABELS,
    KNOWLEDGE_ENTRIES,
)
from stages.schemas.similarity import SIMILARITY
from stages.shared import tables

SCHEMAS = {
    "similarity": SIMILARITY,
    "passages": COLLECTED_PASSAGES,
    "queries": COLLECTED_QUERIES,
    "qrels": COLLECTED_QRELS,
    "labels": GROUP_LABELS,
    "entries": KNOWLEDGE_ENTRIES,
}


def passages(name, split="train", langs=("en", "ko")):
    return [(name, lang, "", f"{name}|{lang}", "", split) for lang in langs]


def asked(name, langs=("en", "ko")):
    return [(name, lang, f"{name}|{lang}") for lang in langs]


def collected(name):
    return tables.read(f"data/collected/{name}.parquet", SCHEMAS[name])


def report():
    return json.loads(Path("metrics/collected.json").read_text())


def test_passages_and_queries_that_were_written_join_the_corpus(workspace):
    workspace.corpus([("a", "train"), ("c", "dev")], [("qa", "a")])
    workspace.tables("synthetic", passages("b", "test"), asked("qb") + asked("qc"), [("qb", "b", 1), ("qc", "c", 2)])
    assert collected("passages").select("passage", "lang", "group", "text", "split").rows() == [
        (name, lang, name, f"{name}|{lang}", split)
        for name, split in [("a", "train"), ("b", "test"), ("c", "dev")]
        for lang in ("en", "ko")
    ]
    assert collected("queries").select("query", "lang", "text", "split").rows() == [
        (name, lang, f"{name}|{lang}", split)
        for name, split in [("qa", "train"), ("qb", "test"), ("qc", "dev")]
        for lang in ("en", "ko")
    ]
    assert collected("qrels").rows() == [("qa", "a", 1), ("qb", "b", 1), ("qc", "c", 2)]
    for name in ("labels", "entries"):
        assert collected(name).is_empty()
    assert report() == {
        "passages": {"en": 3, "ko": 3},
        "queries": {split: {"en": 1, "ko": 1} for split in ("train", "dev", "test")},
        "left_out": {},
    }


def test_translations_that_were_written_complete_the_corpus(workspace):
    workspace.tables("corpus", passages("a", langs=["en"]) + passages("b", langs=["en"]))
    workspace.tables("synthetic", passages("a", langs=["ko"]) + passages("b", langs=["ko"]))
    assert collected("passages").select("passage", "lang").rows() == [
        (name, lang) for name in "ab" for lang in ("en", "ko")
    ]


def test_a_passage_that_lacks_a_language_is_left_out_with_its_queries_and_qrels(workspace, caplog):
    workspace.tables(
        "corpus",
        [row for name in ("a", "b") for row in passages(name, langs=["en"])],
        [row for name in ("qa", "qb", "qab") for row in asked(name)],
        [("qa", "a", 1), ("qb", "b", 1), ("qab", "a", 1), ("qab", "b", 1)],
    )
    workspace.tables("synthetic", passages("a", langs=["ko"]), qrels=[("qa", "b", 0)])
    assert collected("passages")["passage"].unique().to_list() == ["a"]
    assert collected("queries")["query"].unique().sort().to_list() == ["qa", "qab"]
    assert collected("qrels").rows() == [("qa", "a", 1), ("qab", "a", 1)]
    # A query counts once, whatever languages it is in.
    assert report()["left_out"] == {"passages that some language lacks": 1, "queries that no passage answers": 1}
    assert "left out: 1 queries that no passage answers" in caplog.text


def test_relevance_0_is_no_answer_and_says_nothing_of_the_split(workspace):
    workspace.tables(
        "corpus",
        passages("a") + passages("b", "test") + passages("c"),
        asked("qa") + asked("nobody"),
        [("qa", "b", 0), ("qa", "a", 1), ("nobody", "c", 0), ("qa", "c", -1)],
    )
    workspace.tables("synthetic")
    assert collected("qrels").rows() == [("nobody", "c", 0), ("qa", "a", 1), ("qa", "b", 0), ("qa", "c", -1)]
    # Nothing answers the one; and the other's split is that of its answer alone.
    assert collected("queries").select("query", "split").unique().rows() == [("qa", "train")]


def test_a_query_of_several_passages_is_of_the_most_held_out_split(workspace):
    workspace.corpus(
        [("a", "train"), ("b", "dev"), ("c", "test")], [("q1", ["a", "b"]), ("q2", ["c", "b", "a"]), ("q3", ["a"])]
    )
    found = collected("queries").select("query", "split").unique().sort("query")
    assert found.rows() == [("q1", "dev"), ("q2", "test"), ("q3", "train")]


def test_what_both_judge_is_judged_once_and_as_the_kinder_says(workspace):
    workspace.tables(
        "corpus",
        passages("a") + passages("b") + passages("c"),
        asked("q"),
        [("q", "a", 0), ("q", "b", 3), ("q", "c", 1)],
    )
    workspace.tables("synthetic", qrels=[("q", "a", 1), ("q", "b", 1), ("q", "c", 0)])
    assert collected("qrels").rows() == [("q", "a", 1), ("q", "b", 3), ("q", "c", 1)]


def test_what_is_synthetic_was_thought_of_by_a_model_and_not_translated_by_one(workspace):
    workspace.corpus([("a", "train")], [("qa", "a")])
    workspace.tables("synthetic", queries=asked("qa", ["hi-Latn"]) + asked("a#q1"), qrels=[("a#q1", "a", 1)])
    found = collected("queries")
    assert found.filter(origin="given").select("query", "lang").rows() == [
        ("qa", "en"),
        ("qa", "hi-Latn"),
        ("qa", "ko"),
    ]
    assert found.filter(origin="synthetic").select("query", "lang").rows() == [("a#q1", "en"), ("a#q1", "ko")]
    assert found.height == 5


def knowledge_base(workspace):
    """Two labels that are searched, one that is not; a translation of q1, and a labelled query that was written."""
    both = ("en", "hi-Latn")
    workspace.knowledge_base(
        [("a1", "a"), ("a2", "a"), ("b1", "b")],
        [
            ("q1", "a", "train", ["en"]),
            ("q2", "b", "train", both),
            ("q3", "a", "dev", both),
            ("q4", "b", "test", ["hi-Latn"]),
            ("q5", "b", "train", ["hi-Latn"], "synthetic"),
            ("q6", "b", "dev", ["hi-Latn"], "synthetic"),
            ("lost", "c", "test", both),
        ],
    )
    written = [("q1", "hi-Latn", "q1 in Hinglish"), ("q3", "ko", "q3 in Korean"), ("b#s1.1", "hi-Latn", "written")]
    workspace.tables("synthetic", queries=written, labelled=[("query", "b#s1.1", "b", "synthetic", "train")])


def test_queries_of_a_knowledge_base_have_splits_of_their_own(workspace):
    knowledge_base(workspace)
    assert collected("passages")["passage"].to_list() == ["a1", "a2", "b1"]
    assert collected("queries").select("query", "lang", "split", "origin").rows() == [
        ("b#s1.1", "hi-Latn", "train", "synthetic"),
        ("q1", "en", "train", "given"),
        ("q1", "hi-Latn", "train", "given"),
        ("q2", "en", "train", "given"),
        ("q2", "hi-Latn", "train", "given"),
        ("q3", "en", "dev", "given"),
        ("q3", "hi-Latn", "dev", "given"),
        ("q3", "ko", "dev", "given"),
        ("q4", "hi-Latn", "test", "given"),
        ("q5", "hi-Latn", "train", "synthetic"),
        ("q6", "hi-Latn", "dev", "synthetic"),
    ]
    assert report()["left_out"] == {"queries that no passage answers": 1}


def test_all_passages_of_a_label_answer_its_queries(workspace):
    knowledge_base(workspace)
    assert collected("passages").select("passage", "group").rows() == [("a1", "a"), ("a2", "a"), ("b1", "b")]
    # A row a query, not one for each passage of its label.
    assert collected("qrels").rows() == [
        (query, label, 1)
        for query, label in [
            ("b#s1.1", "b"),
            ("q1", "a"),
            ("q2", "b"),
            ("q3", "a"),
            ("q4", "b"),
            ("q5", "b"),
            ("q6", "b"),
        ]
    ]


def test_the_groups_that_are_labels_have_their_descriptions(workspace):
    workspace.knowledge_base([("p1", "b"), ("p2", "a")], [("q", "a", "train", ["en"])], {"b": "About b.", "a": ""})
    assert collected("labels").rows() == [("a", ""), ("b", "About b.")]
    workspace.corpus([("a", "train")], [("qa", "a")])
    assert collected("labels").is_empty()
    assert collected("passages")["group"].unique().to_list() == ["a"]


def test_beside_labels_a_passage_without_one_is_its_own_group(workspace):
    labelled = [("passage", name, "a", "labelled", "train") for name in ("a1", "a2")]
    texts = [row for name in ("a1", "a2", "free") for row in passages(name, langs=["en"])]
    qrels = [("q", "free", 2), ("qa", "a1", 1)]
    workspace.tables("corpus", texts, asked("q") + asked("qa"), qrels, labelled=labelled, labels=[("a", "")])
    workspace.tables("synthetic")
    assert collected("passages").select("passage", "group").rows() == [("a1", "a"), ("a2", "a"), ("free", "free")]
    assert collected("qrels").rows() == [("q", "free", 2), ("qa", "a", 1)]


def test_entries_are_the_training_queries_of_a_knowledge_base(workspace):
    """Nothing of dev and test: a base is bootstrapped from them."""
    knowledge_base(workspace)
    assert collected("entries").rows() == [
        ("b#s1.1", "hi-Latn", "written"),
        ("q1", "en", "q1|en"),
        ("q1", "hi-Latn", "q1 in Hinglish"),
        ("q2", "en", "q2|en"),
        ("q2", "hi-Latn", "q2|hi-Latn"),
        ("q5", "hi-Latn", "q5|hi-Latn"),
    ]
    workspace.corpus([("a", "train")], [("qa", "a")])
    assert collected("entries").is_empty()


@pytest.mark.parametrize("labelled", [False, True])
def test_equal_content_is_equal_bytes_in_whatever_order_it_is_read(workspace, labelled):
    if labelled:
        knowledge_base(workspace)
    else:
        names = [f"p{i:02}" for i in range(40)]
        workspace.corpus([(n, "train") for n in names], [(f"q{i:02}", names[i : i + 3]) for i in range(30)])
    folder = workspace.path / "data/collected"
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert sorted(before) == sorted(f"{name}.parquet" for name in SCHEMAS)
    for file in (workspace.path / "data").glob("*/*.parquet"):
        if file.parent.name != "collected":
            pl.read_parquet(file).reverse().write_parquet(file)
    workspace.run("collect")
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
