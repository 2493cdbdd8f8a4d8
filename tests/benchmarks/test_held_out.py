"""A split of the collection as a benchmark: what is asked and searched, and by which qrels or labels."""

import json

from stages.benchmarks import held_out
from stages.schemas.benchmarks import BENCHMARK_LABELS, BENCHMARK_QRELS, BENCHMARK_QUERIES
from stages.shared import tables

ENTRIES = {"a1": "a", "a2": "a", "b1": "b"}
QUERIES = {"q1": ("a", "test"), "q2": ("b", "test"), "q3": ("a", "dev"), "q4": ("b", "train")}


def knowledge_base(workspace, beyond=()):
    """With queries of test that no entry fits."""
    asked = QUERIES | dict.fromkeys(beyond, ("", "test"))
    labels = [("passage", name, label, "labelled", "train") for name, label in ENTRIES.items()]
    labels += [("query", name, label, "labelled", split) for name, (label, split) in asked.items()]
    workspace.tables(
        "corpus",
        [(name, "en", "", f"{name}|en", label, "train") for name, label in ENTRIES.items()],
        [(name, lang, f"{name}|{lang}") for name in asked for lang in ("en", "ko")],
        labelled=labels,
        labels=[("a", ""), ("b", "")],
    )
    workspace.tables("synthetic")


def test_of_a_knowledge_base_all_entries_of_a_querys_label_answer_it(workspace):
    knowledge_base(workspace)
    parts = held_out.read("test", ["en", "ko"])
    assert parts.passages.collect()["passage"].to_list() == ["a1", "a2", "b1"]
    assert parts.queries.select("query", "lang").rows() == [(q, lang) for q in ("q1", "q2") for lang in ("en", "ko")]
    assert sorted(parts.qrels.rows()) == [("q1", "a1", 1), ("q1", "a2", 1), ("q2", "b1", 1)]
    assert sorted(parts.labels.rows()) == [
        *(("passage", name, label) for name, label in ENTRIES.items()),
        ("query", "q1", "a"),
        ("query", "q2", "b"),
    ]
    assert held_out.read("dev", ["ko"]).queries.rows() == [("q3", "ko", "q3|ko")]


def test_a_benchmark_of_a_knowledge_base_says_that_it_is_by_label(workspace):
    knowledge_base(workspace)
    workspace.run("benchmarks", "test")
    folder = workspace.path / "data/benchmarks/test"
    assert (folder / "about.json").read_text() == '{"by_label": true}\n'
    assert tables.read(folder / "labels.parquet", BENCHMARK_LABELS).height == 5
    # Entries are in one language, and so are their qrels.
    assert tables.read(folder / "qrels.parquet", BENCHMARK_QRELS)["lang"].unique().to_list() == ["en"]


def test_what_no_entry_fits_is_asked_with_a_label_of_none(workspace):
    knowledge_base(workspace, beyond=["x1", "x2"])
    workspace.run("benchmarks", "test")
    folder = workspace.path / "data/benchmarks/test"
    asked = tables.read(folder / "queries.parquet", BENCHMARK_QUERIES)["query"].unique().sort().to_list()
    assert asked == ["q1", "q2", "x1", "x2"]
    assert {*tables.read(folder / "qrels.parquet", BENCHMARK_QRELS)["query"]} == {"q1", "q2"}
    labels = tables.read(folder / "labels.parquet", BENCHMARK_LABELS).filter(kind="query")
    assert dict(labels.select("id", "label").rows()) == {"q1": "a", "q2": "b", "x1": "", "x2": ""}
    assert json.loads((workspace.path / "metrics/benchmarks/test.json").read_text())["out_of_scope"] == 2


def test_without_labels_a_split_has_its_qrels(workspace):
    workspace.corpus([("p1", "test"), ("p2", "train"), ("p3", "test")], [("q1", "p1"), ("q2", ["p2", "p3"])])
    parts = held_out.read("test", ["en", "ko"])
    # A query is as held out as the most held-out of its passages.
    assert sorted(parts.qrels.rows()) == [("q1", "p1", 1), ("q2", "p2", 1), ("q2", "p3", 1)]
    assert parts.labels.is_empty()
    workspace.run("benchmarks", "test")
    assert (workspace.path / "data/benchmarks/test/about.json").read_text() == '{"by_label": false}\n'
