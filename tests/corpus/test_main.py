"""corpus as a stage: from each kind of source to the tables, the split and the report."""

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from stages.corpus import output, spool
from stages.corpus.readers import rows as reading
from stages.schemas.texts import PASSAGES, QRELS, QUERIES
from stages.shared import tables
from stages.shared.errors import UserError
from tests.conftest import ROOT

COLUMNS = {"id": "id", "title": "title_{lang}", "text": "text_{lang}", "stratum": None}
KINDS = {"passages": PASSAGES, "queries": QUERIES, "qrels": QRELS}
ALL = {"exact": False, "near": None}


def passage(name, en="One is {}. Two is there.", ko="하나가 {}이다. 둘이 있다.", **more):
    """A row; its texts are its own if none are given."""
    en, ko = (text and text.replace("{}", name) for text in (en, ko))
    return {"id": name, "title_en": f"T {name}", "title_ko": f"제목 {name}", "text_en": en, "text_ko": ko, **more}


def run(workspace, rows, **changes):
    workspace.jsonl("in.jsonl", rows)
    workspace.edit(corpus__path="in.jsonl", corpus__columns=COLUMNS).edit(**changes).run("corpus")
    return {k: tables.read(f"data/corpus/{k}.parquet", schema) for k, schema in KINDS.items()}


def names(found):
    return found["passages"]["passage"].unique(maintain_order=True).to_list()


def report():
    return json.loads(Path("metrics/corpus.json").read_text(encoding="utf-8"))


def test_rows_become_a_row_a_language_in_the_order_of_the_source(workspace):
    found = run(workspace, [passage("b", stratum="x"), passage("a", en=" One\n is  here. ", stratum="y")])
    assert found["passages"].drop("split").rows() == [
        ("b", "en", "T b", "One is b. Two is there.", ""),
        ("b", "ko", "제목 b", "하나가 b이다. 둘이 있다.", ""),
        ("a", "en", "T a", "One is here.", ""),
        ("a", "ko", "제목 a", "하나가 a이다. 둘이 있다.", ""),
    ]
    assert found["queries"].is_empty()
    assert found["qrels"].is_empty()


def written():
    files = [*(f"data/corpus/{name}.parquet" for name in KINDS), "metrics/corpus.json"]
    return [Path(file).read_bytes() for file in files]


WORDS = ["apple", "river", "stone", "cloud", "seven", "green", "under", "light"]


def some_rows(count=150):
    """Rows of four strata, of which some repeat a text, exactly or nearly, and some lack one."""
    dice = random.Random(3)
    rows = []
    for number in range(count):
        words = " ".join(dice.choice(WORDS) for _ in range(12))
        en, ko = f"{words}. {number}", f"{number}번째 글이 여기에 있다. {words}."
        again, kind = dice.choice(rows or [{}]), dice.random() if rows else 1
        if kind < 0.2:
            en = again["text_en"] + "s" * (kind < 0.1)
        elif kind < 0.3:
            ko = again["text_ko"]
        elif kind < 0.35:
            ko = ""
        rows.append(passage(f"p{number}", en, ko, stratum=str(number % 4)))
    return rows


def test_neither_the_run_nor_the_size_of_batches_changes_a_byte(workspace, monkeypatch):
    changes = {"corpus__columns": {**COLUMNS, "stratum": "stratum"}, "corpus__queries": "inverse-cloze"}
    changes |= {"corpus__limit": 120, "corpus__chars": [1, 90]}
    bytes_ = []
    for size in (20_000, 20_000, 1, 7):
        monkeypatch.setattr(reading, "ROWS", size)
        run(workspace, some_rows(), **changes)
        bytes_.append(written())
    assert bytes_[0] == bytes_[1] == bytes_[2] == bytes_[3]
    assert report()["duplicates"]["en"]["exact"] and report()["duplicates"]["en"]["near"]


@pytest.mark.parametrize(("rows", "size"), [(10, 10**9), (10**9, 2000)])
def test_what_is_written_does_not_depend_on_the_size_of_shards(workspace, monkeypatch, rows, size):
    whole = run(workspace, some_rows())
    before = report()
    monkeypatch.setattr(spool, "ROWS_SPOOLED", rows)
    monkeypatch.setattr(spool, "BYTES", size)
    shards = run(workspace, some_rows())
    assert all(shards[kind].equals(whole[kind]) for kind in KINDS)
    assert report() == before


def test_the_order_of_rows_without_duplicates_changes_no_split(workspace):
    rows = [passage(f"p{i}", stratum=str(i % 3)) for i in range(40)]
    columns = {**COLUMNS, "stratum": "stratum"}
    first = run(workspace, rows, corpus__columns=columns, corpus__duplicates=ALL)["passages"]
    random.Random(3).shuffle(rows)
    second = run(workspace, rows, corpus__columns=columns)["passages"]
    assert not second.equals(first)
    assert second.sort("passage", "lang").equals(first.sort("passage", "lang"))


def test_the_shipped_collection_has_the_split_it_always_had(workspace):
    workspace.edit(corpus__path=str(ROOT / "data/collection/passages.jsonl")).run("corpus")
    passages = tables.read("data/corpus/passages.parquet", PASSAGES)
    assert report()["passages"]["ko"] == {"train": 360, "dev": 90, "test": 150}
    assert passages.filter(lang="en", split="dev")["passage"].head(3).to_list() == [
        "kdc-010-09",
        "kdc-020-02",
        "kdc-020-05",
    ]
    assert report()["left_out"] == {}


def test_a_row_with_an_empty_side_is_left_out_and_counted(workspace, caplog):
    caplog.set_level("INFO")
    found = run(workspace, [passage("a"), passage("b", ko=""), passage("c", en=None), passage("d")])
    assert names(found) == ["a", "d"]
    assert "left out: 2 without text in every language" in caplog.text


def test_a_limit_counts_the_passages_kept(workspace):
    found = run(workspace, [passage("a", ko=""), *(passage(n) for n in "bcde")], corpus__limit=3)
    assert names(found) == ["b", "c", "d"]


def test_first_sentences_that_ask_stand_in_no_passage(workspace, caplog):
    caplog.set_level("INFO")
    rows = [
        passage("a", en="First things first! Then others. And more.", ko="첫째는 이것이다. 둘째는 저것이다."),
        passage("b", en="Only one sentence v1.2 here.", ko="둘이 있다. 셋도 있다."),
    ]
    found = run(workspace, rows, corpus__queries="inverse-cloze")
    assert found["queries"].rows() == [
        ("a#lead", "en", "T a First things first!"),
        ("a#lead", "ko", "제목 a 첫째는 이것이다."),
    ]
    assert found["qrels"].rows() == [("a#lead", "a", 1)]
    texts = {(p, lang): (title, text) for p, lang, title, text, *_ in found["passages"].iter_rows()}
    assert texts == {
        ("a", "en"): ("", "Then others. And more."),
        ("a", "ko"): ("", "둘째는 저것이다."),
        ("b", "en"): ("", "Only one sentence v1.2 here."),
        ("b", "ko"): ("", "둘이 있다. 셋도 있다."),
    }
    assert "1 of one sentence, so without a query" in caplog.text


@pytest.mark.parametrize(
    ("rows", "changes", "message"),
    [
        ([passage("a", ko=""), passage("b", ko="")], {}, r"no text in ko \(column 'text_ko'\): remove it"),
        ([passage("a"), passage("a")], {}, r"in\.jsonl:2 repeats the id 'a' of in\.jsonl:1"),
        ([{"id": "a", "title_en": "", "title_ko": "", "text_en": "x"}], {}, r"in\.jsonl:1 has no 'text_ko'"),
        ([passage("a", en=""), passage("b", ko="")], {}, "has no passage in all of en, ko"),
        ([passage("a")], {"corpus__columns__stratum": "kdc"}, r"in\.jsonl:1 has no 'kdc'"),
        ([passage("a")], {"languages": ["en", "ko", "de"]}, "no 'title_de'"),
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
    assert names(found) == ["a", "b"]
    assert found["queries"]["query"].to_list() == ["qa", "qb"]
    assert found["qrels"].rows() == [("qa", "a", 1), ("qb", "b", 2)]
    assert run(workspace, [], **BEIR, corpus__limit=1)["queries"]["query"].to_list() == ["qa"]
    with pytest.raises(UserError, match=r"beir has no corpus and no queries in de: it has en, ko"):
        run(
            workspace,
            [],
            **BEIR,
            languages=["en", "de"],
            merges={},
            recipes={"a": {"compositions": ["enenen"], "negatives": "window"}},
        )


def test_what_a_source_calls_its_languages_is_said(workspace, caplog):
    caplog.set_level("INFO")
    rows = [{"id": n, "en": f"Text {n}.", "kor_Hang": f"글 {n}."} for n in "ab"]
    columns = {"id": "id", "text": "{lang}"}
    run(workspace, rows, corpus__columns=columns, corpus__queries="none")
    assert report()["spelt"] == {"jsonl": {"ko": "kor_Hang"}}
    assert "languages as jsonl spells them: ko is kor_Hang" in caplog.text


def test_a_study_of_what_is_written_alone_has_an_empty_corpus(workspace):
    workspace.edit(synthesize__topics__per_topic=1)
    found = run(workspace, [passage("a")], corpus__source="none", corpus__queries="inverse-cloze")
    assert all(table.is_empty() for table in found.values())


def test_a_source_may_have_some_of_the_languages(workspace):
    rows = [{"id": n, "title_en": f"T {n}", "text_en": f"One is {n}. Two is there."} for n in "ab"]
    into = {"korean": {"of": "passages", "source": "en", "target": "ko"}}
    changes = {"corpus__languages": ["en"], "synthesize__translations": into, "corpus__queries": "inverse-cloze"}
    found = run(workspace, rows, **changes)
    assert found["passages"].select("passage", "lang").rows() == [("a", "en"), ("b", "en")]
    assert found["queries"].rows() == [(f"{n}#lead", "en", f"T {n} One is {n}.") for n in "ab"]


def splits(found):
    return dict(found["passages"].select("passage", "split").unique().iter_rows())


def test_an_equal_text_in_any_language_leaves_the_later_passage_out(workspace):
    rows = [
        passage("a", en="The  Bridge, was built.", ko="다리가 놓였다."),
        passage("same", en="the bridge was BUILT", ko="다른 글이다."),
        passage("wide", en="Another text.", ko="다리가　놓였다"),
        passage("untranslated", en="다리가 놓였다!", ko="또 다른 글이다."),
        passage("b", en="A bridge was built.", ko="다리를 놓았다."),
    ]
    assert names(run(workspace, rows)) == ["a", "b"]
    assert report()["left_out"] == {"that are duplicates": 3}
    assert report()["duplicates"] == {"en": {"exact": 2, "near": 0}, "ko": {"exact": 1, "near": 0}}
    assert names(run(workspace, rows, corpus__duplicates=ALL)) == [row["id"] for row in rows]


def test_a_nearly_equal_text_leaves_the_later_passage_out(workspace):
    text = "The old stone bridge over the river was built by the people of three villages in 1790."
    rows = [passage("a", en=text), passage("b", en=text.replace("1790", "1791")), passage("c", en=text.upper()[:40])]
    assert names(run(workspace, rows)) == ["a", "c"]
    assert report()["duplicates"]["en"] == {"exact": 0, "near": 1}
    assert names(run(workspace, rows, corpus__duplicates={"exact": True, "near": None})) == ["a", "b", "c"]
    assert names(run(workspace, rows, corpus__duplicates={"exact": True, "near": 0.99})) == ["a", "b", "c"]


def test_passages_that_one_left_out_links_are_not_parted(workspace):
    """A and B have one English text, B and C one Korean text: B goes, C stays where A is."""
    rows = []
    for number in range(40):
        rows += [
            passage(f"a{number}", ko=f"{number} 가나다라"),
            passage(f"b{number}", en=f"One is a{number}. Two is there.", ko=f"{number} 마바사아"),
            passage(f"c{number}", en=f"Something else {number}.", ko=f"{number} 마바사아"),
        ]
    shares = {"train": 0.5, "dev": 0.25, "test": 0.25}
    found = splits(run(workspace, rows, corpus__split=shares, corpus__duplicates={"exact": True, "near": None}))
    assert sorted(found) == sorted(f"{kind}{number}" for kind in "ac" for number in range(40))
    assert all(found[f"a{number}"] == found[f"c{number}"] for number in range(40))
    assert Counter(found.values()) == {"train": 40, "dev": 20, "test": 20}


def test_the_report_counts(workspace):
    rows = [
        passage("a", en="x" * 10, ko="가" * 12),
        passage("b", en="y" * 30, ko="\ufeff나" * 14),
        passage("c", en="z" * 31),
        passage("d", en="\ufffdzz zz zz zz"),
        passage("", en="w" * 20),
        passage("e", ko="\u200b"),
        passage("f", en="xx"),
    ]
    run(workspace, rows, corpus__chars=[10, 30])
    assert report() == {
        "read": {"jsonl": 7},
        "left_out": {
            "longer than 30 characters": 1,
            "shorter than 10 characters": 1,
            "without id": 1,
            "without text in every language": 1,
        },
        "noted": {"freed of control characters": 2, "with unreadable characters (U+FFFD)": 1},
        "duplicates": {"en": {"exact": 0, "near": 0}, "ko": {"exact": 0, "near": 0}},
        "passages": {"en": {"train": 3, "dev": 0, "test": 0}, "ko": {"train": 3, "dev": 0, "test": 0}},
        "characters": {
            "en": {"median": 12, "p95": 30, "max": 30},
            "ko": {"median": 14, "p95": 15, "max": 15},
        },
        "queries": {},
        "shares": {"jsonl": 1.0},
    }


def test_qrels_of_a_duplicate_hold_of_the_passage_that_stays(workspace):
    workspace.jsonl("beir/corpus.en.jsonl", [{"_id": n, "text": t} for n, t in [("a", "X."), ("b", "x"), ("c", "z")]])
    workspace.jsonl("beir/corpus.ko.jsonl", [{"_id": n, "text": f"글 {n}"} for n in "abc"])
    for lang in ("en", "ko"):
        workspace.jsonl(f"beir/queries.{lang}.jsonl", [{"_id": f"q{n}", "text": f"ask {n}"} for n in "abc"])
    (workspace.path / "beir/qrels.tsv").write_text("qa\ta\t1\nqb\tb\t1\nqb\ta\t2\nqc\tb\t1\nqc\tc\t1\n")
    found = run(workspace, [], **BEIR)
    assert names(found) == ["a", "c"]
    assert found["qrels"].rows() == [("qa", "a", 1), ("qb", "a", 2), ("qc", "a", 1), ("qc", "c", 1)]
    assert found["queries"].height == 6
    assert report()["noted"] == {"whose qrels went to the one they repeat": 1}
    assert report()["queries"] == {"en": 3, "ko": 3}


def mixed(workspace, weights, sizes=(30, 60), **changes):
    for name, size in zip("xy", sizes, strict=True):
        workspace.jsonl(
            f"parts/{name}.jsonl", [passage(str(i), en=f"{name} {i}", ko=f"{name}글 {i}") for i in range(size)]
        )
    parts = {
        name: {"source": "jsonl", "path": f"{name}.jsonl", "columns": COLUMNS} | ({"weight": weight} if weight else {})
        for name, weight in zip("xy", weights, strict=True)
    }
    changes = {"corpus__source": "mixed", "corpus__path": "parts", "corpus__parts": parts, **changes}
    workspace.edit(**changes, corpus__columns=None).run("corpus")
    return tables.read("data/corpus/passages.parquet", PASSAGES)


def test_parts_are_told_apart_by_id_and_stratum(workspace):
    found = mixed(workspace, (None, None))
    assert found.unique("passage")["stratum"].value_counts().sort("stratum").rows() == [("x", 30), ("y", 60)]
    assert found["passage"].to_list()[:3] == ["x/0", "x/0", "x/1"]
    assert report()["read"] == {"x": 30, "y": 60}
    assert mixed(workspace, (None, None), corpus__limit=40)["passage"].n_unique() == 40
    assert report()["read"] == {"x": 30, "y": 10}


def test_weights_give_each_part_its_share(workspace):
    found = mixed(workspace, (1.0, 1.0)).filter(lang="en")
    assert report()["shares"] == {"x": 0.5, "y": 0.5}
    assert found["passage"].n_unique() == found.height == 60
    assert report()["left_out"] == {"beyond the share of their part": 30}
    assert found.filter(stratum="y")["passage"].to_list() != [f"y/{i}" for i in range(30)]
    again = mixed(workspace, (1.0, 1.0), seed=2).filter(lang="en")
    assert set(again["passage"]) != set(found["passage"])
    mixed(workspace, (2.0, 1.0))
    assert report()["read"] == {"x": 30, "y": 60}
    assert report()["shares"] == {"x": 0.6667, "y": 0.3333}
    assert mixed(workspace, (2.0, 1.0), corpus__limit=12).unique("passage")["stratum"].value_counts().sort(
        "stratum"
    ).rows() == [
        ("x", 8),
        ("y", 4),
    ]


def test_weights_count_what_duplicates_left(workspace):
    rows = [passage(f"d{i}", en="the same", ko=f"글 {i}") for i in range(20)] + [passage(f"o{i}") for i in range(9)]
    workspace.jsonl("parts/x.jsonl", rows)
    workspace.jsonl("parts/y.jsonl", [passage(f"q{i}") for i in range(50)])
    parts = {n: {"source": "jsonl", "path": f"{n}.jsonl", "columns": COLUMNS, "weight": 1.0} for n in "xy"}
    workspace.edit(corpus__source="mixed", corpus__path="parts", corpus__parts=parts, corpus__columns=None).run(
        "corpus"
    )
    assert tables.read("data/corpus/passages.parquet", PASSAGES).height == 2 * (10 + 10)


@pytest.mark.parametrize(
    ("weights", "sizes", "message"),
    [
        ((1.0, 1.0), (3, 0), r"parts/y\.jsonl has no passage"),
        ((1.0, 1000.0), (30, 60), r"corpus\.parts\.x .*weight"),
    ],
)
def test_a_part_that_gives_nothing_is_told(workspace, weights, sizes, message):
    with pytest.raises(UserError, match=message):
        mixed(workspace, weights, sizes)


def test_a_part_that_is_missing_or_repeats_another_is_told(workspace):
    with pytest.raises(UserError, match=r"parts/z\.jsonl"):
        mixed(workspace, (None, None), corpus__parts={"z": {"source": "jsonl", "path": "z.jsonl", "columns": COLUMNS}})
    for name in "xy":
        workspace.jsonl(f"parts/{name}.jsonl", [passage("a")])
    parts = {n: {"source": "jsonl", "path": f"{n}.jsonl", "columns": COLUMNS, "weight": 1.0} for n in "xy"}
    with pytest.raises(UserError, match=r"corpus\.parts\.y gives nothing"):
        workspace.edit(corpus__parts=parts).run("corpus")


def test_the_same_id_twice_is_refused_wherever_it_stands(workspace, monkeypatch):
    monkeypatch.setattr(spool, "ROWS_SPOOLED", 8)
    rows = [passage(f"p{i}") for i in range(30)]
    rows[25]["id"] = "p3"
    with pytest.raises(UserError, match=r"in\.jsonl:26 repeats the id 'p3' of in\.jsonl:4: ids must differ"):
        run(workspace, rows)


def test_a_failed_run_leaves_nothing(workspace, monkeypatch):
    def fail(self, name, table):
        raise KeyboardInterrupt

    monkeypatch.setattr(output.Output, "write", fail)
    with pytest.raises(KeyboardInterrupt):
        run(workspace, [passage("a")])
    assert list((workspace.path / "data").iterdir()) == []


def test_a_killed_run_leaves_no_corpus_and_is_cleared_by_the_next(workspace):
    workspace.jsonl("in.jsonl", [passage("a"), passage("b")])
    workspace.edit(corpus__path="in.jsonl", corpus__columns=COLUMNS)
    script = (
        "import os, signal; from stages.corpus import __main__ as stage, output; "
        "output.Output.write = lambda *_: os.kill(os.getpid(), signal.SIGKILL); stage.main()"
    )
    killed = subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert killed.returncode == -signal.SIGKILL
    data = workspace.path / "data"
    assert [folder.name for folder in data.iterdir()] == [".drafts"]
    workspace.run("corpus")
    assert [folder.name for folder in data.iterdir()] == ["corpus"]
