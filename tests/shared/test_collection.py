"""The collection as later stages read it."""

import polars as pl

from stages.schemas.benchmarks import BENCHMARK_QRELS
from stages.schemas.negatives import NEGATIVES
from stages.schemas.trainsets import TRAINING_ROWS, TRAINING_TEXTS
from stages.schemas.triples import TRIPLES
from stages.shared import collection, tables


def passages(name, split="train", langs=("en", "ko")):
    return [(name, lang, "", f"{name}|{lang}", "", split) for lang in langs]


def asked(name, langs=("en", "ko")):
    return [(name, lang, f"{name}|{lang}") for lang in langs]


def test_what_answers_a_query_is_apart_from_what_was_judged_not_to(workspace):
    workspace.tables(
        "corpus",
        passages("a") + passages("b", "test") + passages("c"),
        asked("qa") + asked("nobody"),
        [("qa", "b", 0), ("qa", "a", 2), ("nobody", "c", 0), ("qa", "c", -1)],
    )
    workspace.tables("synthetic")
    found = collection.read(["en", "ko"])
    assert found.qrels.rows() == [("qa", "a", 2)]
    assert found.not_relevant.select("query", "group").rows() == [("nobody", "c"), ("qa", "b"), ("qa", "c")]


def test_a_query_in_a_language_that_is_not_asked_for_is_left_out(workspace):
    workspace.corpus([("a", "train")], [("qa", "a")])
    workspace.tables("synthetic", queries=asked("qa", ["hi-Latn"]) + asked("qs", ["hi-Latn"]))
    assert collection.read(["en", "ko"]).queries.select("query", "lang").rows() == [("qa", "en"), ("qa", "ko")]
    # Nothing says what answers `qs`.
    assert collection.read(["hi-Latn"]).queries.select("query", "lang").rows() == [("qa", "hi-Latn")]
    # All passages are searched, whoever asks.
    assert collection.read(["hi-Latn"]).passages["lang"].to_list() == ["en", "ko"]


def test_groups_are_labels_or_single_passages(workspace):
    workspace.knowledge_base(
        [("a1", "a"), ("b1", "b"), ("a2", "a")],
        [("q1", "a", "train", ["en"]), ("q2", "b", "dev", ["hi-Latn"]), ("q3", "a", "dev", ["ko"])],
    )
    found = collection.read(["en", "hi-Latn"])
    assert found.by_label
    assert found.labels.rows() == [("a", "About a."), ("b", "About b.")]
    assert found.groups().rows() == [("a1", "a"), ("a2", "a"), ("b1", "b")]
    assert found.qrels.select("query", "group").rows() == [("q1", "a"), ("q2", "b"), ("q3", "a")]
    assert found.queries["query"].to_list() == ["q1", "q2"]
    assert set(collection.read(["ko"]).queries["query"]) == {"q3"}
    workspace.edit(languages=["en", "ko"]).corpus([("b", "train"), ("a", "test")], [("qa", "a")])
    plain = collection.read(["en", "ko"])
    assert not plain.by_label
    assert plain.labels.is_empty()
    # A row a passage, not one for each of its languages.
    assert plain.groups().rows() == [("a", "a"), ("b", "b")]


def test_later_stages_take_no_passage_judged_0_for_an_answer(workspace):
    workspace.tables(
        "corpus",
        [row for name in ("a", "b") for row in passages(name)] + [r for n in ("c", "d") for r in passages(n, "test")],
        asked("q") + asked("qc"),
        [("q", "a", 1), ("q", "b", 0), ("q", "c", 0), ("qc", "c", 1), ("qc", "d", 0)],
    )
    workspace.tables("synthetic")
    mined = [("q", q, c, ["b", "d"]) for q in ("en", "ko") for c in ("en", "ko")]
    table = pl.DataFrame(mined, schema=NEGATIVES, orient="row")
    tables.write(table, "data/negatives/window.parquet", NEGATIVES)
    workspace.edit(recipes__switched=...)
    for stage in (["triples"], ["trainsets"], ["benchmarks", "test"]):
        workspace.run(*stage)
    for file in (workspace.path / "data/triples/window").iterdir():
        assert tables.read(file, TRIPLES).rows() == [("q", "a", ["b", "d"])], file
    texts = tables.read("data/trainsets/koenen/texts.parquet", TRAINING_TEXTS)["text"]
    rows = tables.read("data/trainsets/koenen/rows.parquet", TRAINING_ROWS)
    assert [texts[n] for n in rows["positive"]] == ["a|en"]
    qrels = tables.read("data/benchmarks/test/qrels.parquet", BENCHMARK_QRELS)
    assert qrels.rows() == [("qc", "c", "en", 1), ("qc", "c", "ko", 1)]
