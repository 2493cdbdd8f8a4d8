"""benchmarks: held-out queries against everything, BEIR folders, one layout."""

import json
from pathlib import Path

import polars as pl
import pytest

from stages.schemas.benchmarks import IDENTICAL, POOLED
from stages.schemas.texts import QRELS, QUERIES
from stages.shared import tables
from stages.shared.errors import UserError
from tests.benchmarks.conftest import labels, read


def held_out(workspace, name="dev"):
    workspace.corpus(
        [("a", "train"), ("b", "dev"), ("c", "dev"), ("d", "test")],
        [("qa", "a"), ("qb", "b"), ("qbc", ["c", "b"]), ("qad", ["a", "d"]), ("qac", ["a", "c"])],
    )
    workspace.run("benchmarks", name)
    return read(name)


def test_a_splits_queries_search_all_passages(workspace):
    passages, queries, qrels, rerank = held_out(workspace)
    assert rerank == []
    assert passages == [(p, lang, "", f"{p}|{lang}") for p in "abcd" for lang in ("en", "ko")]
    # A query with a passage trained on and one held out is held out.
    assert queries == [(q, lang, f"{q}|{lang}") for q in ("qac", "qb", "qbc") for lang in ("en", "ko")]
    assert qrels == sorted(
        (q, p, lang, 1)
        for q, found in [("qb", "b"), ("qbc", "bc"), ("qac", "ac")]
        for p in found
        for lang in ("en", "ko")
    )
    assert labels("dev") == []


def test_of_a_knowledge_base_all_passages_of_a_label_answer(workspace):
    both = ("en", "hi-Latn")
    workspace.knowledge_base(
        [("a1", "a"), ("a2", "a"), ("b1", "b"), ("d1", "d")],
        [
            ("q1", "a", "train", both),
            ("q2", "a", "dev", both),
            ("q3", "b", "dev", ["hi-Latn"], "synthetic"),
            ("q4", "a", "test", ["hi-Latn"]),
            ("lost", "c", "dev", both),
        ],
    )
    workspace.run("benchmarks", "dev")
    passages, queries, qrels, _ = read("dev")
    assert passages == [(p, "en", "", f"{p}|en") for p in ("a1", "a2", "b1", "d1")]
    assert queries == [("q2", "en", "q2|en"), ("q2", "hi-Latn", "q2|hi-Latn"), ("q3", "hi-Latn", "q3|hi-Latn")]
    assert qrels == [("q2", "a1", "en", 1), ("q2", "a2", "en", 1), ("q3", "b1", "en", 1)]
    # Of all that is searched, and of what is asked alone.
    searched = [("passage", p, p[0]) for p in ("a1", "a2", "b1", "d1")]
    assert labels("dev") == [*searched, ("query", "q2", "a"), ("query", "q3", "b")]
    workspace.run("benchmarks", "test")
    assert labels("test") == [*searched, ("query", "q4", "a")]


def test_the_most_held_out_passage_decides(workspace):
    queries = held_out(workspace, "test").queries
    assert {q for q, *_ in queries} == {"qad"}


def test_synthesized_queries_follow_their_passage(workspace):
    held_out(workspace)
    asked = [("b#q1", "en", "how"), ("a#q1", "en", "why")]
    judged = [("b#q1", "b", 1), ("a#q1", "a", 1)]
    for kind, rows, schema in (("queries", asked, QUERIES), ("qrels", judged, QRELS)):
        table = pl.DataFrame(rows, schema=schema, orient="row")
        tables.write(table, f"data/synthetic/{kind}.parquet", schema)
    workspace.run("collect")
    workspace.run("benchmarks", "dev")
    found = {q for q, *_ in read("dev").queries}
    assert "b#q1" in found
    assert "a#q1" not in found


def test_a_beir_folder_keeps_what_is_judged(workspace):
    workspace.jsonl("x/corpus.en.jsonl", [{"_id": "p.en", "title": "T", "text": "one"}])
    workspace.jsonl("x/corpus.ko.jsonl", [{"_id": "p.ko", "text": "하나"}, {"_id": "r.ko", "text": "둘"}])
    workspace.jsonl("x/queries.ko.jsonl", [{"_id": "q", "text": "몇"}, {"_id": "s", "text": "왜"}])
    (workspace.path / "x/qrels.tsv").write_text("q\tp.en\t2\nq\tp.ko\t1\ns\tr.ko\t0\n")
    workspace.edit(benchmarks__x={"source": "beir", "path": "x"}).run("benchmarks", "x")
    assert read("x") == (
        [("p", "en", "T", "one"), ("p", "ko", "", "하나"), ("r", "ko", "", "둘")],
        [("q", "ko", "몇")],
        [("q", "p", "en", 2), ("q", "p", "ko", 1)],
        [],
    )


def test_a_benchmark_that_measures_nothing_is_told(workspace):
    workspace.corpus([("a", "train")], [("q", "a")])
    with pytest.raises(UserError, match=r"benchmarks\.dev has no judged query in en, ko"):
        workspace.run("benchmarks", "dev")
    with pytest.raises(UserError, match=r"no benchmarks\.dew \(did you mean dev\?\)"):
        workspace.run("benchmarks", "dew")


def test_what_is_empty_is_left_out(publish, made):
    publish(
        {
            "corpus.en.jsonl": [{"_id": "p", "text": "one"}, {"_id": "e", "text": " "}],
            "queries.en.jsonl": [{"_id": 7, "text": "how many"}, {"_id": "mute", "text": ""}],
            "qrels.tsv": "7\tp\t1\nmute\tp\t1\n",
        }
    )
    assert made("beir", ["en"]) == ([("p", "en", "", "one")], [("7", "en", "how many")], [("7", "p", "en", 1)], [])


@pytest.mark.parametrize("languages", [None, ["en", "ko"]])
def test_a_language_asked_for_and_absent_is_refused(workspace, publish, languages):
    row = {"_id": "p", "text": "one"}
    publish({"corpus.en.jsonl": [row], "queries.en.jsonl": [row], "qrels.tsv": "p\tp\t1\n"})
    workspace.edit(benchmarks__x={"source": "beir", "path": "published", "languages": languages})
    with pytest.raises(
        UserError, match=r"published has no corpus and no queries in ko: it has en; name in benchmarks\.x"
    ):
        workspace.run("benchmarks", "x")


def metrics(name="x"):
    return json.loads(Path(f"metrics/benchmarks/{name}.json").read_text())


def test_judgements_of_absent_texts_are_counted(publish, made, caplog):
    publish(
        {
            "corpus.en.jsonl": [{"_id": "p", "text": "one"}, {"_id": "r", "text": "two"}],
            "corpus.ko.jsonl": [{"_id": "p", "text": "하나"}],
            "queries.en.jsonl": [{"_id": "q", "text": "how many"}],
            # A passage that one language has is there; what was judged not relevant is missed by nobody.
            "qrels.tsv": "q\tp\t1\nq\tr\t1\nq\tnone\t1\nq\tgone\t0\nlost\tp\t1\nlost\tnone\t2\nq\tp\t2\n",
        }
    )
    assert made("beir").qrels == [("q", "p", "en", 2), ("q", "p", "ko", 2), ("q", "r", "en", 1)]
    assert metrics() == {
        "passages": {"en": 2, "ko": 1},
        "queries": {"en": 1},
        "qrels": {"en": 2, "ko": 1},
        "left_out": {
            "qrels of passages that are not there": 1,
            "qrels of queries that are not there": 2,
            "qrels that a later one contradicts": 1,
        },
        "queries_among_passages": {"same_id": 0, "other_text": 0, "same_id_relevant": 0, "same_text": 0},
    }
    assert "x: left out: 2 qrels of queries that are not there" in caplog.text
    publish({"qrels.tsv": "lost\tp\t1\nq\tnone\t1\n"})
    with pytest.raises(
        UserError, match=r"no judged query in en, ko \(left out: 1 qrels of queries that are not there, 1"
    ):
        made("beir")


def test_a_query_that_is_a_passage_is_no_result_of_itself(publish, made, caplog):
    """As in ArguAna: the passage of the query's id in every language, unless it is judged relevant to it."""
    caplog.set_level("INFO")
    texts = {"a": "Meat is wrong.", "b": "Meat is right.", "c": "Taxes", "d": "Tea", "e": "coffee"}
    publish(
        {
            "corpus.en.jsonl": [{"_id": name, "text": text} for name, text in texts.items()],
            "corpus.ko.jsonl": [{"_id": name, "text": name} for name in "abc"],
            "queries.en.jsonl": [
                {"_id": "a", "text": "meat is wrong"},
                {"_id": "c", "text": "What of it?"},
                {"_id": "d", "text": "Tea"},
                {"_id": "q", "text": "Coffee?"},
            ],
            "qrels.tsv": "a\tb\t1\nc\tb\t1\nd\td\t1\nq\tb\t1\n",
        }
    )
    made("beir")
    assert tables.read("data/benchmarks/x/identical.parquet", IDENTICAL).rows() == [("a", "a"), ("c", "c")]
    assert metrics()["queries_among_passages"] == {
        "same_id": 2,
        "other_text": 1,
        "same_id_relevant": 1,
        "same_text": 1,
    }
    assert "2 queries are passages too, by their ids" in caplog.text
    assert "of 1 queries the passage of the same id has another text" in caplog.text
    assert "1 queries are the text of a passage of another id" in caplog.text


def test_ids_that_a_set_numbers_apart_are_equal_by_accident(publish, made):
    mmarco(publish)
    publish({"data/qrels.dev.small.tsv": "0\t0\t5\t1\n1\t0\t5\t1\n"})
    made("mmarco")
    assert tables.read("data/benchmarks/x/identical.parquet", IDENTICAL).is_empty()
    assert metrics()["queries_among_passages"]["same_id"] == 0


def mmarco(publish):
    """Ten passages and three queries in two languages; passage i answers query i."""
    texts = "".join(f"{i}\t{{0}} text {i}\n" for i in range(10))
    asked = "".join(f"{i}\t{{0}} query {i}\n" for i in range(3))
    files = {f"data/google/collections/{lang}_collection.tsv": texts.format(lang) for lang in ("english", "korean")}
    files |= {f"data/google/queries/dev/{n}_queries.dev.small.tsv": asked.format(n) for n in ("english", "korean")}
    publish(files | {"data/qrels.dev.small.tsv": "0\t0\t0\t1\n1\t0\t1\t1\n2\t0\t2\t1\n2\t0\t99\t1\n"})


def test_a_sample_keeps_parallel_texts_and_answers(publish, made):
    mmarco(publish)
    whole = made("mmarco")
    small = made("mmarco", queries=2, passages=5)
    assert len(whole.queries) == 6 and len(small.queries) == 4
    names = {passage for passage, *_ in small.passages}
    assert len(names) == 5 and len(small.passages) == 10
    assert {passage for _, passage, *_ in small.qrels} <= names
    assert len(small.qrels) == 4
    assert set(small.passages) <= set(whole.passages)
    # What is drawn does not depend on how much is drawn, and answers stay though there be more than asked for.
    larger = made("mmarco", queries=3, passages=7)
    assert set(small.queries) <= set(larger.queries)
    assert len({passage for passage, *_ in made("mmarco", passages=1).passages}) == 3


def test_another_seed_draws_others(workspace, publish, made):
    mmarco(publish)
    drawn = set()
    for seed in range(6):
        workspace.edit(seed=seed)
        drawn.add(tuple(sorted({query for query, *_ in made("mmarco", queries=1).queries})))
    assert len(drawn) > 1


def test_the_bytes_repeat(workspace, publish, made):
    mmarco(publish)
    written = []
    for _ in range(2):
        made("mmarco", queries=2, passages=5)
        folder = workspace.path / "data/benchmarks/x"
        written.append({file.name: file.read_bytes() for file in folder.iterdir()})
    assert written[0] == written[1]
    tabular = ("passages", "queries", "qrels", "rerank", "labels", "identical", "pool")
    assert set(written[0]) == {"about.json", *(f"{name}.parquet" for name in tabular)}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("runs/top.trec", "0 Q0 0 1 9.5 bm25\n0 Q0 4 2 9.1 bm25\n1 Q0 5 1 3 bm25\n9 Q0 6 1 3 bm25\n1 Q0 77 2 1 bm25\n"),
        ("runs/top1000.dev", "0\t0\tquery\ttext\n0\t4\tquery\ttext\n1\t5\tquery\ttext\n9\t6\tq\tt\n1\t77\tq\tt\n"),
        ("runs/six.tsv", "0\t0\ta\tb\tc\td\n0\t4\ta\tb\tc\td\n1\t5\ta\tb\tc\td\n1\t77\ta\tb\tc\td\n"),
        ("runs/msmarco.txt", "0\t0\t1\n0\t4\t2\n1\t5\t1\n9\t6\t1\n1\t77\t2\n"),
        (
            "top_ranked/test.jsonl",
            [{"query-id": "0", "corpus-ids": ["0", "4"]}, {"query-id": 1, "corpus-ids": [5, 77]}],
        ),
    ],
)
def test_candidates_and_answers_are_all_that_is_kept(publish, made, caplog, name, content):
    mmarco(publish)
    publish({name: content})
    found = made("mmarco", rerank=name.split("/")[1])
    assert found.rerank == [("0", "0"), ("0", "4"), ("1", "5")]
    # Of query 1 only the answer itself is no candidate, and it is kept as what is missed.
    assert {passage for passage, *_ in found.passages} == {"0", "1", "2", "4", "5"}
    assert "candidates of 1 queries are missing" in caplog.text
    assert "1 candidates are passages that it lacks" in caplog.text
    assert "x: left out: 1 qrels of passages that are not there" in caplog.text


def test_candidates_of_each_language_are_put_together(publish, made):
    mmarco(publish)
    publish(
        {"data/google/runs/run.bm25_english-msmarco.txt": "0\t3\t1\n", "b/run.bm25_korean-msmarco.txt": "0\t4\t1\n"}
    )
    found = made("mmarco", rerank="run.bm25_{lang}-msmarco.txt")
    assert found.rerank == [("0", "3"), ("0", "4")]


def test_candidates_of_something_else_are_refused(publish, made):
    mmarco(publish)
    publish({"run.txt": "q9\tp3\t1\n"})
    with pytest.raises(UserError, match=r"benchmarks\.x\.rerank lists no passage of a judged query"):
        made("mmarco", rerank="run.txt")
    with pytest.raises(UserError, match=r"published has no nowhere\.txt: check the path"):
        made("mmarco", rerank="nowhere.txt")
    publish({"run.txt": "0\n"})
    with pytest.raises(UserError, match=r"run\.txt:1 is no candidate"):
        made("mmarco", rerank="run.txt")


@pytest.mark.parametrize("name", ["/tmp/x", "../x"])
def test_a_name_leads_out_of_no_folder(workspace, name):
    workspace.edit(**{f"benchmarks__{name}": {"source": "beir", "path": "x"}})
    with pytest.raises(UserError, match=r"^stages\.benchmarks: '\S*' is no name: use letters"):
        workspace.run("benchmarks", name)


def test_a_folder_that_is_not_there(made):
    with pytest.raises(UserError, match="nowhere is no folder: check the path"):
        made("belebele", path="nowhere")


SAID = "Nobody has put this sentence into another language"


def untranslated_set(publish):
    texts = {"a": ("The first of them is here.", "첫째 것이 여기에 있다."), "b": (f"{SAID}, b.", f"{SAID}, b.")}
    asks = {"qa": ("Where is the first of them?", "첫째 것은 어디에 있나?"), "qb": ("Who has?", "누가 했나?")}
    asks["qc"] = (f"{SAID}?", f"{SAID}?")
    for at, lang in enumerate(("en", "ko")):
        publish({f"corpus.{lang}.jsonl": [{"_id": n, "text": both[at]} for n, both in texts.items()]})
        publish({f"queries.{lang}.jsonl": [{"_id": n, "text": both[at]} for n, both in asks.items()]})
    publish({"qrels.tsv": "qa\ta\t1\nqb\tb\t1\nqc\ta\t1\n"})


def test_what_is_untranslated_is_no_part_of_a_benchmark(publish, made, caplog):
    untranslated_set(publish)
    found = made(source="beir")
    assert [(p, lang) for p, lang, *_ in found.passages] == [("a", "en"), ("a", "ko"), ("b", "en")]
    assert [(q, lang) for q, lang, _ in found.queries] == [
        ("qa", "en"),
        ("qa", "ko"),
        ("qb", "en"),
        ("qb", "ko"),
        ("qc", "en"),
    ]
    assert [row[:3] for row in found.qrels if row[1] == "b"] == [("qb", "b", "en")]
    told = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert [message.partition(" texts in ko")[0] for message in told] == ["x, query: 1 of 3", "x, passage: 1 of 2"]
    assert all("benchmarks.x.keep_untranslated keeps them" in message for message in told)
    # A query that is untranslated was judged all the same.
    assert metrics()["left_out"] == {"untranslated in ko (passage)": 1, "untranslated in ko (query)": 1}
    assert len(made(source="beir", keep_untranslated=True).passages) == 4


def test_a_language_in_which_nothing_is_translated_is_refused(publish, made):
    for lang in ("en", "ko"):
        publish({f"{kind}.{lang}.jsonl": [{"_id": "a", "text": f"{SAID}."}] for kind in ("corpus", "queries")})
    publish({"qrels.tsv": "a\ta\t1\n"})
    with pytest.raises(UserError, match=r"benchmarks\.x: nothing in ko is translated: .*keep_untranslated to true"):
        made("beir")


def test_a_benchmark_that_is_all_untranslated_is_refused(publish, made):
    publish(
        {"corpus.ko.jsonl": [{"_id": "a", "text": f"{SAID}."}], "queries.ko.jsonl": [{"_id": "q", "text": "누가?"}]}
    )
    publish({"qrels.tsv": "q\ta\t1\n"})
    with pytest.raises(UserError, match=r"every passage is untranslated .* set benchmarks\.x\.keep"):
        made(source="beir", languages=["ko"])


def test_a_pool_may_have_each_document_in_one_language(workspace, publish, made):
    """Documents 0 to 39 have one id in both languages; the answers of `odd` other ids in each, which are one document.
    The document `only` is there in English alone."""
    names = [f"d{i:02}" for i in range(40)]
    odd = {"en": "odd1", "ko": "odd2"}
    for lang in ("en", "ko"):
        found = [*names, odd[lang], *(["only"] if lang == "en" else [])]
        publish({f"corpus.{lang}.jsonl": [{"_id": f"{name}.{lang}", "text": f"{name} {lang}"} for name in found]})
        publish({f"queries.{lang}.jsonl": [{"_id": name, "text": f"asks {name}"} for name in [*names, "odd"]]})
    judged = [(name, f"{name}.{lang}", 1) for name in names for lang in odd]
    judged += [("odd", f"{name}.{lang}", 1) for lang, name in odd.items()]
    publish({"qrels.tsv": "".join(f"{q}\t{p}\t{r}\n" for q, p, r in judged)})
    drawn = []
    for seed in (1, 1, 2):
        workspace.edit(seed=seed)
        made("beir", keep_untranslated=True, pool="one")
        drawn.append(tables.read("data/benchmarks/x/pool.parquet", POOLED).rows())
    assert drawn[0] == drawn[1] != drawn[2]
    pooled = dict(drawn[0])
    assert len(pooled) == len(drawn[0])
    assert set(pooled) - {"odd1", "odd2"} == {*names, "only"}
    assert pooled["only"] == "en"
    assert [name in pooled for name in ("odd1", "odd2")].count(True) == 1
    assert 8 < list(pooled.values()).count("ko") < 32
    counts = {"en": list(dict(drawn[2]).values()).count("en"), "ko": list(dict(drawn[2]).values()).count("ko")}
    assert metrics()["pool"] == {"passages": counts, "queries_without_answer": 0}
    made("beir", keep_untranslated=True)
    assert tables.read("data/benchmarks/x/pool.parquet", POOLED).is_empty()


def test_a_benchmark_by_label_has_no_pool_of_one_language(publish, made):
    for lang in ("en", "ko"):
        publish({f"{kind}.{lang}.jsonl": [{"text": f"a {lang}", "label": "x"}] for kind in ("index", "queries")})
    columns = {"text": "text", "label": "label"}
    with pytest.raises(
        UserError, match=r"benchmarks\.x is by label, so it has no parallel passages: leave its pool out"
    ):
        made("intents", columns=columns, pool="one", keep_untranslated=True)
