"""corpus: sources and held-out leads."""

import random

import pytest

from stages.shared import tables
from stages.shared.errors import UserError

COLUMNS = {"id": "id", "title": "title_{lang}", "text": "text_{lang}", "stratum": None}


def passage(name, en="One is here. Two is there.", ko="하나가 있다. 둘이 있다.", **more):
    return {"id": name, "title_en": f"T {name}", "title_ko": f"제목 {name}", "text_en": en, "text_ko": ko, **more}


def run(workspace, rows, **changes):
    workspace.jsonl("in.jsonl", rows)
    workspace.edit(corpus__path="in.jsonl", corpus__columns=COLUMNS).edit(**changes).run("corpus")
    kinds = {"passages": tables.PASSAGES, "queries": tables.QUERIES, "judgements": tables.JUDGEMENTS}
    return {k: tables.read(f"data/corpus/{k}.parquet", schema) for k, schema in kinds.items()}


def test_rows_become_a_row_a_language(workspace):
    found = run(workspace, [passage("b", stratum="x"), passage("a", en=" One\n is  here. ", stratum="y")])
    assert found["passages"].drop("split").rows() == [
        ("a", "en", "T a", "One is here.", ""),
        ("a", "ko", "제목 a", "하나가 있다. 둘이 있다.", ""),
        ("b", "en", "T b", "One is here. Two is there.", ""),
        ("b", "ko", "제목 b", "하나가 있다. 둘이 있다.", ""),
    ]
    assert found["queries"].is_empty()
    assert found["judgements"].is_empty()


def test_equal_rows_in_another_order_are_equal_bytes(workspace):
    rows = [passage(f"p{i}", stratum=str(i % 3)) for i in range(40)]
    columns = {**COLUMNS, "stratum": "stratum"}
    written = []
    for _ in range(2):
        run(workspace, rows, corpus__columns=columns)
        written.append((workspace.path / "data/corpus/passages.parquet").read_bytes())
        random.Random(3).shuffle(rows)
    assert written[0] == written[1]


def test_a_row_with_an_empty_side_is_left_out_and_counted(workspace, caplog):
    caplog.set_level("INFO")
    found = run(workspace, [passage("a"), passage("b", ko=""), passage("c", en=None), passage("d")])
    assert found["passages"]["passage"].unique().sort().to_list() == ["a", "d"]
    assert "2 passages without text in every language" in caplog.text


def test_a_limit_counts_the_passages_kept(workspace):
    found = run(workspace, [passage("a", ko=""), *(passage(n) for n in "bcde")], corpus__limit=3)
    assert found["passages"]["passage"].unique().sort().to_list() == ["b", "c", "d"]


def test_held_out_leads_stand_in_no_passage(workspace, caplog):
    caplog.set_level("INFO")
    rows = [
        passage("a", en="First things first! Then others. And more.", ko="첫째는 이것이다. 둘째는 저것이다."),
        passage("b", en="Only one sentence v1.2 here.", ko="둘이 있다. 셋도 있다."),
    ]
    found = run(workspace, rows, corpus__queries="held-out-lead")
    assert found["queries"].rows() == [
        ("a#lead", "en", "T a First things first!"),
        ("a#lead", "ko", "제목 a 첫째는 이것이다."),
    ]
    assert found["judgements"].rows() == [("a#lead", "a", 1)]
    texts = {(p, lang): (title, text) for p, lang, title, text, *_ in found["passages"].iter_rows()}
    assert texts == {
        ("a", "en"): ("", "Then others. And more."),
        ("a", "ko"): ("", "둘째는 저것이다."),
        ("b", "en"): ("", "Only one sentence v1.2 here."),
        ("b", "ko"): ("", "둘이 있다. 셋도 있다."),
    }
    assert "1 passages of one sentence, so without a query" in caplog.text


@pytest.mark.parametrize(
    ("rows", "changes", "message"),
    [
        ([passage("a", ko=""), passage("b", ko="")], {}, r"no text in ko \(column 'text_ko'\): remove it"),
        ([passage("a"), passage("a")], {}, r"in\.jsonl:2 repeats the id 'a' of in\.jsonl:1"),
        ([{"id": "a", "text_en": "x"}], {}, r"in\.jsonl:1 has no 'text_ko'"),
        ([passage("a", en=""), passage("b", ko="")], {}, "has no passage in all of en, ko"),
        ([passage("a")], {"corpus__columns__stratum": "kdc"}, r"in\.jsonl:1 has no 'kdc'"),
        ([passage("a")], {"languages": ["en", "ko", "de"]}, "no 'text_de'"),
    ],
)
def test_a_source_that_does_not_fit_is_told(workspace, rows, changes, message):
    if "languages" in changes:
        changes = {**changes, "merges": {}, "recipes": {"a": {"compositions": ["enenen"], "negatives": "window"}}}
    with pytest.raises(UserError, match=message):
        run(workspace, rows, **changes)
    assert not (workspace.path / "data/corpus").exists()


BEIR = {
    "corpus__source": "beir",
    "corpus__path": "beir",
    "corpus__columns": None,
    "corpus__queries": "source",
}


def test_a_beir_folder_brings_its_queries(workspace):
    workspace.jsonl("beir/corpus.en.jsonl", [{"_id": n, "text": f"text {n}"} for n in "abc"])
    workspace.jsonl("beir/corpus.ko.jsonl", [{"_id": n, "text": f"글 {n}"} for n in "ab"])
    workspace.jsonl("beir/queries.en.jsonl", [{"_id": f"q{n}", "text": f"ask {n}"} for n in "abcd"])
    (workspace.path / "beir/qrels.tsv").write_text("qa\ta\t1\nqb\tb\t2\nqc\tc\t1\n")
    found = run(workspace, [], **BEIR)
    assert found["passages"]["passage"].unique().sort().to_list() == ["a", "b"]
    assert found["queries"]["query"].to_list() == ["qa", "qb"]
    assert found["judgements"].rows() == [("qa", "a", 1), ("qb", "b", 2)]
    assert run(workspace, [], **BEIR, corpus__limit=1)["queries"]["query"].to_list() == ["qa"]
    with pytest.raises(UserError, match=r"has no corpus\.de\.jsonl"):
        run(
            workspace,
            [],
            **BEIR,
            languages=["en", "de"],
            merges={},
            recipes={"a": {"compositions": ["enenen"], "negatives": "window"}},
        )


def test_a_study_of_what_is_written_alone_has_an_empty_corpus(workspace):
    workspace.edit(synthesize__topics__per_topic=1)
    found = run(workspace, [passage("a")], corpus__source="none", corpus__queries="held-out-lead")
    assert all(table.is_empty() for table in found.values())


def test_a_source_may_have_some_of_the_languages(workspace):
    rows = [{"id": n, "title_en": f"T {n}", "text_en": "One is here. Two is there."} for n in "ab"]
    into = {"korean": {"of": "passages", "source": "en", "target": "ko"}}
    changes = {"corpus__languages": ["en"], "synthesize__translations": into, "corpus__queries": "held-out-lead"}
    found = run(workspace, rows, **changes)
    assert found["passages"].select("passage", "lang").rows() == [("a", "en"), ("b", "en")]
    assert found["queries"].rows() == [(f"{n}#lead", "en", f"T {n} One is here.") for n in "ab"]
