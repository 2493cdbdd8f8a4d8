"""The collection: the corpus and what was written for it, as one."""

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


def test_passages_and_queries_that_were_written_join_the_corpus(workspace):
    workspace.corpus([("a", "train"), ("c", "dev")], [("qa", "a")])
    workspace.tables("synthetic", passages("b", "test"), asked("qb") + asked("qc"), [("qb", "b", 1), ("qc", "c", 2)])
    found = collection.read(["en", "ko"])
    assert found.passages.select("passage", "lang", "text", "split").rows() == [
        (name, lang, f"{name}|{lang}", split)
        for name, split in [("a", "train"), ("b", "test"), ("c", "dev")]
        for lang in ("en", "ko")
    ]
    assert found.queries.select("query", "lang", "split").rows() == [
        (name, lang, split) for name, split in [("qa", "train"), ("qb", "test"), ("qc", "dev")] for lang in ("en", "ko")
    ]
    assert found.qrels.rows() == [("qa", "a", 1), ("qb", "b", 1), ("qc", "c", 2)]
    assert found.negatives.is_empty()


def test_translations_that_were_written_complete_the_corpus(workspace):
    workspace.tables("corpus", passages("a", langs=["en"]) + passages("b", langs=["en"]))
    workspace.tables("synthetic", passages("a", langs=["ko"]) + passages("b", langs=["ko"]))
    assert collection.read_passages().select("passage", "lang").rows() == [
        (name, lang) for name in "ab" for lang in ("en", "ko")
    ]


def test_a_passage_that_lacks_a_language_is_left_out_with_its_queries_and_qrels(workspace):
    workspace.tables(
        "corpus",
        [row for name in ("a", "b") for row in passages(name, langs=["en"])],
        asked("qa", ["en"]) + asked("qb", ["en"]) + asked("qab", ["en"]),
        [("qa", "a", 1), ("qb", "b", 1), ("qab", "a", 1), ("qab", "b", 1)],
    )
    workspace.tables("synthetic", passages("a", langs=["ko"]), qrels=[("qa", "b", 0)])
    found = collection.read(["en", "ko"])
    assert found.passages["passage"].unique().to_list() == ["a"]
    assert found.queries["query"].to_list() == ["qa", "qab"]
    assert found.qrels.rows() == [("qa", "a", 1), ("qab", "a", 1)]
    assert found.negatives.is_empty()


def test_relevance_0_is_no_answer_but_a_negative(workspace):
    workspace.tables(
        "corpus",
        passages("a") + passages("b", "test") + passages("c"),
        asked("qa") + asked("nobody"),
        [("qa", "b", 0), ("qa", "a", 1), ("nobody", "c", 0), ("qa", "c", -1)],
    )
    workspace.tables("synthetic")
    found = collection.read(["en", "ko"])
    assert found.qrels.rows() == [("qa", "a", 1)]
    assert found.negatives.rows() == [("nobody", "c"), ("qa", "b"), ("qa", "c")]
    # Nothing answers the one; and the other's split is that of its answer alone.
    assert found.queries.select("query", "split").unique().rows() == [("qa", "train")]


def test_a_query_in_a_language_that_is_not_asked_for_is_left_out(workspace):
    workspace.corpus([("a", "train")], [("qa", "a")])
    workspace.tables("synthetic", queries=asked("qa", ["hi-Latn"]) + asked("qs", ["hi-Latn"]))
    assert collection.read(["en", "ko"]).queries.select("query", "lang").rows() == [("qa", "en"), ("qa", "ko")]
    # Nothing says what answers `qs`.
    assert collection.read(["hi-Latn"]).queries.select("query", "lang").rows() == [("qa", "hi-Latn")]


def test_what_is_synthetic_was_thought_of_by_a_model_and_not_translated_by_one(workspace):
    workspace.corpus([("a", "train")], [("qa", "a")])
    workspace.tables("synthetic", queries=asked("qa", ["hi-Latn"]) + asked("a#q1"), qrels=[("a#q1", "a", 1)])
    found = collection.read(["en", "ko", "hi-Latn"]).queries
    assert found.filter(synthetic=False).select("query", "lang").rows() == [
        ("qa", "en"),
        ("qa", "hi-Latn"),
        ("qa", "ko"),
    ]
    assert found.filter(synthetic=True).select("query", "lang").rows() == [("a#q1", "en"), ("a#q1", "ko")]


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
    entries = [row for row in written if row[0] != "q3"]
    labelled = [("query", "b#s1.1", "b", "synthetic", "train")]
    workspace.tables("synthetic", queries=written, labelled=labelled, entries=entries)


def test_queries_of_a_knowledge_base_have_splits_of_their_own(workspace):
    knowledge_base(workspace)
    found = collection.read(["en", "hi-Latn"])
    assert found.passages["passage"].to_list() == ["a1", "a2", "b1"]
    assert found.queries.select("query", "lang", "split", "synthetic").rows() == [
        ("b#s1.1", "hi-Latn", "train", True),
        ("q1", "en", "train", False),
        ("q1", "hi-Latn", "train", False),
        ("q2", "en", "train", False),
        ("q2", "hi-Latn", "train", False),
        ("q3", "en", "dev", False),
        ("q3", "hi-Latn", "dev", False),
        ("q4", "hi-Latn", "test", False),
        ("q5", "hi-Latn", "train", True),
        ("q6", "hi-Latn", "dev", True),
    ]
    # All passages of a label answer its queries, which no judgement says.
    assert found.qrels.is_empty()
    assert found.negatives.is_empty()
    assert set(collection.read(["ko"]).queries["query"]) == {"q3"}


def test_labels_are_those_of_passages_and_queries(workspace):
    knowledge_base(workspace)
    found = collection.read(["en", "hi-Latn"])
    assert found.labels_of("passage", pl.Series(["b1", "a1", "b1", "q2", "x"])).to_list() == ["b", "a", "b", "", ""]
    assert found.labels_of("query", found.queries["query"]).to_list() == [
        {"b#s1.1": "b", "q1": "a", "q2": "b", "q3": "a", "q4": "b", "q5": "b", "q6": "b"}[query]
        for query in found.queries["query"]
    ]
    assert found.labels_of("query", pl.Series([], dtype=pl.String)).to_list() == []
    workspace.corpus([("a", "train")], [("qa", "a")])
    plain = collection.read(["en", "hi-Latn"])
    assert plain.labels.is_empty()
    assert plain.labels_of("query", plain.queries["query"]).to_list() == ["", ""]


def test_entries_are_the_training_queries_of_a_knowledge_base(workspace):
    """Nothing of dev and test: a base is bootstrapped from them."""
    knowledge_base(workspace)
    assert collection.read_entries(["en", "hi-Latn"]).rows() == [
        ("b#s1.1", "hi-Latn", "written"),
        ("q1", "en", "q1|en"),
        ("q1", "hi-Latn", "q1 in Hinglish"),
        ("q2", "en", "q2|en"),
        ("q2", "hi-Latn", "q2|hi-Latn"),
        ("q5", "hi-Latn", "q5|hi-Latn"),
    ]
    assert set(collection.read_entries(["en"])["lang"]) == {"en"}
    workspace.corpus([("a", "train")], [("qa", "a")])
    assert collection.read_entries(["en", "ko"]).is_empty()


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
    for stage in (["triples"], ["trainsets"], ["benchmarks", "test"]):
        workspace.run(*stage)
    for file in (workspace.path / "data/triples/window").iterdir():
        assert tables.read(file, TRIPLES).rows() == [("q", "a", ["b", "d"])], file
    texts = tables.read("data/trainsets/koenen/texts.parquet", TRAINING_TEXTS)["text"]
    rows = tables.read("data/trainsets/koenen/rows.parquet", TRAINING_ROWS)
    assert [texts[n] for n in rows["positive"]] == ["a|en"]
    qrels = tables.read("data/benchmarks/test/qrels.parquet", BENCHMARK_QRELS)
    assert qrels.rows() == [("qc", "c", "en", 1), ("qc", "c", "ko", 1)]
