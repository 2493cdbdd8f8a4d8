"""The collection: the corpus and what was written for it, as one."""

import polars as pl

from stages.shared import collection, tables


def passages(name, split="train", langs=("en", "ko")):
    return [(name, lang, "", f"{name}|{lang}", "", split) for lang in langs]


def asked(name, langs=("en", "ko")):
    return [(name, lang, f"{name}|{lang}") for lang in langs]


def test_passages_and_queries_that_were_written_join_the_corpus(workspace):
    workspace.corpus([("a", "train"), ("c", "dev")], [("qa", "a")])
    workspace.tables("synthetic", passages("b", "test"), asked("qb") + asked("qc"), [("qb", "b", 1), ("qc", "c", 2)])
    found = collection.read()
    assert found.passages.select("passage", "lang", "text", "split").rows() == [
        (name, lang, f"{name}|{lang}", split)
        for name, split in [("a", "train"), ("b", "test"), ("c", "dev")]
        for lang in ("en", "ko")
    ]
    assert found.queries.select("query", "lang", "split").rows() == [
        (name, lang, split) for name, split in [("qa", "train"), ("qb", "test"), ("qc", "dev")] for lang in ("en", "ko")
    ]
    assert found.judgements.rows() == [("qa", "a", 1), ("qb", "b", 1), ("qc", "c", 2)]
    assert found.negatives.is_empty()


def test_translations_that_were_written_complete_the_corpus(workspace):
    workspace.tables("corpus", passages("a", langs=["en"]) + passages("b", langs=["en"]))
    workspace.tables("synthetic", passages("a", langs=["ko"]) + passages("b", langs=["ko"]))
    assert collection.read_passages().select("passage", "lang").rows() == [
        (name, lang) for name in "ab" for lang in ("en", "ko")
    ]


def test_a_passage_that_lacks_a_language_is_left_out_with_its_queries_and_judgements(workspace):
    workspace.tables(
        "corpus",
        [row for name in ("a", "b") for row in passages(name, langs=["en"])],
        asked("qa", ["en"]) + asked("qb", ["en"]) + asked("qab", ["en"]),
        [("qa", "a", 1), ("qb", "b", 1), ("qab", "a", 1), ("qab", "b", 1)],
    )
    workspace.tables("synthetic", passages("a", langs=["ko"]), judgements=[("qa", "b", 0)])
    found = collection.read()
    assert found.passages["passage"].unique().to_list() == ["a"]
    assert found.queries["query"].to_list() == ["qa", "qab"]
    assert found.judgements.rows() == [("qa", "a", 1), ("qab", "a", 1)]
    assert found.negatives.is_empty()


def test_relevance_0_is_no_answer_but_a_negative(workspace):
    workspace.tables(
        "corpus",
        passages("a") + passages("b", "test") + passages("c"),
        asked("qa") + asked("nobody"),
        [("qa", "b", 0), ("qa", "a", 1), ("nobody", "c", 0), ("qa", "c", -1)],
    )
    workspace.tables("synthetic")
    found = collection.read()
    assert found.judgements.rows() == [("qa", "a", 1)]
    assert found.negatives.rows() == [("nobody", "c"), ("qa", "b"), ("qa", "c")]
    # Nothing answers the one; and the other's split is that of its answer alone.
    assert found.queries.select("query", "split").unique().rows() == [("qa", "train")]


def test_a_query_in_a_language_without_passages_is_left_out(workspace):
    workspace.corpus([("a", "train")], [("qa", "a")])
    workspace.tables("synthetic", queries=asked("qa", ["hi-Latn"]) + asked("qs", ["hi-Latn"]))
    found = collection.read()
    assert set(found.queries["lang"]) == {"en", "ko"}
    assert set(found.queries["query"]) == {"qa"}


def test_later_stages_take_no_passage_judged_0_for_an_answer(workspace):
    workspace.tables(
        "corpus",
        [row for name in ("a", "b") for row in passages(name)] + [r for n in ("c", "d") for r in passages(n, "test")],
        asked("q") + asked("qc"),
        [("q", "a", 1), ("q", "b", 0), ("q", "c", 0), ("qc", "c", 1), ("qc", "d", 0)],
    )
    workspace.tables("synthetic")
    mined = [("q", q, c, ["b", "d"]) for q in ("en", "ko") for c in ("en", "ko")]
    table = pl.DataFrame(mined, schema=tables.NEGATIVES, orient="row")
    tables.write(table, "data/negatives/window.parquet", tables.NEGATIVES)
    for stage in (["triples"], ["trainsets"], ["benchmarks", "test"]):
        workspace.run(*stage)
    for file in (workspace.path / "data/triples/window").iterdir():
        assert tables.read(file, tables.TRIPLES).rows() == [("q", "a", ["b", "d"])], file
    texts = tables.read("data/trainsets/koenen/texts.parquet", tables.TEXTS)["text"]
    rows = tables.read("data/trainsets/koenen/rows.parquet", tables.TRAINING_ROWS)
    assert [texts[n] for n in rows["positive"]] == ["a|en"]
    qrels = tables.read("data/benchmarks/test/qrels.parquet", tables.QRELS)
    assert qrels.rows() == [("qc", "c", "en", 1), ("qc", "c", "ko", 1)]
