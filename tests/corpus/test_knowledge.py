"""A labelled knowledge base: what is searched, what trains, what is left out, and what is told."""

import gzip
import io
import json
import random
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from stages.schemas.similarity import SIMILARITY
from stages.schemas.texts import LABELLED, LABELS, PASSAGES, QRELS, QUERIES
from stages.shared import tables
from stages.shared.errors import UserError
from tests.conftest import ROOT
from tools import overlay

KINDS = {
    "passages": PASSAGES,
    "queries": QUERIES,
    "qrels": QRELS,
    "labelled": LABELLED,
    "labels": LABELS,
    "similarity": SIMILARITY,
}
COLUMNS = {"id": "id", "text": "text_{lang}", "label": "label"}
KB = {"role": "entries", "file": "kb.jsonl", "columns": COLUMNS}
NO_SPLIT = {"train": 1.0, "dev": 0.0, "test": 0.0}


class Found(NamedTuple):
    passages: pl.DataFrame
    queries: pl.DataFrame
    qrels: pl.DataFrame
    labelled: pl.DataFrame
    labels: pl.DataFrame
    similarity: pl.DataFrame

    def ids(self, **wanted):
        return self.labelled.filter(**wanted)["id"].to_list()

    def texts(self):
        """The queries' texts by id and language."""
        return {(name, lang): text for name, lang, text in self.queries.rows()}


def entry(label, number, kind="", **more):
    """A row with texts of its own."""
    name = f"{kind}{label}{number:02}"
    return {"id": name, "label": label, "text_en": f"about {name}", "text_ko": f"{name} 관련", **more}


def several(sizes, kind=""):
    return [entry(label, number, kind) for label, size in sizes.items() for number in range(size)]


def set_up(workspace, sources, index=0.5, similarity=None, **changes):
    labelled = {"language": "en", "index": index, "tables": sources, "similarity": similarity}
    settings = {
        "source": "labelled",
        "path": ".",
        "columns": None,
        "labelled": labelled,
        "split": NO_SPLIT,
    }
    workspace.edit(
        synthesize__queries__per_passage=0,
        recipes={"only": {"compositions": ["enenen"], "negatives": "window"}},
        merges={},
    )
    return workspace.edit(**{f"corpus__{key}": value for key, value in settings.items()}).edit(**changes)


def run(workspace, rows, sources=None, **changes):
    """What the stage makes of the rows of `kb.jsonl`."""
    workspace.jsonl("kb.jsonl", rows)
    set_up(workspace, sources or {"kb": KB}, **changes).run("corpus")
    return read()


def read():
    return Found(*(tables.read(f"data/corpus/{name}.parquet", schema) for name, schema in KINDS.items()))


def report():
    return json.loads(Path("metrics/corpus.json").read_text(encoding="utf-8"))


def written():
    return [Path(f"data/corpus/{name}.parquet").read_bytes() for name in KINDS]


# The share of each label


@pytest.mark.parametrize("index", [0.05, 0.25, 0.3, 0.5, 0.95])
def test_the_index_has_its_share_of_each_label_and_one_at_least_on_each_side(workspace, index):
    sizes = {f"l{size:02}": size for size in range(1, 15)}
    found = run(workspace, several(sizes), index=index)
    searched = Counter(found.labelled.filter(kind="passage")["label"])
    asked = Counter(found.labelled.filter(kind="query")["label"])
    for label, size in sizes.items():
        wanted = max(1, min(round(size * index), size - 1))
        assert (searched[label], asked[label]) == (wanted, size - wanted)
    # A single entry is searched, for else nothing could be answered with its label.
    assert report()["labels"]["untrained"] == ["l01"]
    assert report()["labels"]["unsearched"] == []


def test_passages_are_in_one_language_and_queries_in_all(workspace):
    found = run(workspace, several({"a": 4, "b": 6}))
    assert found.passages.select("passage", "lang", "title", "text", "stratum", "split").rows() == [
        (name, "en", "", f"about {name}", name[0], "train") for name in found.ids(kind="passage")
    ]
    queries = found.ids(kind="query")
    assert sorted(found.texts().items()) == sorted(
        ((name, lang), text) for name in queries for lang, text in (("en", f"about {name}"), ("ko", f"{name} 관련"))
    )
    assert not {*queries} & {*found.ids(kind="passage")}
    assert len(queries) == 5
    assert found.qrels.is_empty() and found.similarity.is_empty()
    assert found.labels.rows() == [("a", ""), ("b", "")]
    assert report()["labels"] == {
        "labels": 2,
        "index": 5,
        "train": 5,
        "dev": 0,
        "test": 0,
        "synthetic": 0,
        "untrained": [],
        "unsearched": [],
    }
    assert report()["read"] == {"kb": 10}
    assert report()["queries"] == {"en": 5, "ko": 5}


def test_an_entry_that_is_not_in_the_searched_language_is_asked_and_no_part_of_the_share(workspace):
    rows = [entry("a", number, **({"text_en": None} if number % 2 else {})) for number in range(12)]
    found = run(workspace, rows, index=0.5)
    assert len(found.ids(kind="passage")) == 3
    assert all(int(name[1:]) % 2 == 0 for name in found.ids(kind="passage"))
    assert len(found.ids(kind="query")) == 9
    assert {lang for name, lang in found.texts() if int(name[1:]) % 2} == {"ko"}


def test_the_order_of_rows_changes_no_byte_and_the_seed_does(workspace):
    rows = several({f"l{i}": 5 + i for i in range(8)})
    split = {"train": 0.5, "dev": 0.25, "test": 0.25}
    run(workspace, rows, corpus__split=split)
    first = written()
    random.Random(1).shuffle(rows)
    run(workspace, rows, corpus__split=split)
    assert written() == first
    run(workspace, rows, corpus__split=split, seed=2)
    assert written() != first


def test_what_of_a_label_is_searched_does_not_depend_on_other_labels(workspace):
    sizes = {f"l{i}": 4 + i for i in range(6)}
    before = run(workspace, several(sizes), index=0.4)
    after = run(workspace, [*several({"new": 7}), *several(sizes)[:30]], index=0.4)
    kept = [name for name in after.ids(kind="passage") if name[:2] in ("l0", "l1", "l2", "l3")]
    assert kept == [name for name in before.ids(kind="passage") if name[:2] in ("l0", "l1", "l2", "l3")]
    assert kept


def test_what_is_not_searched_is_split_and_so_is_what_is_synthetic(workspace):
    written_by_a_model = {**KB, "role": "synthetic", "file": "synthetic.jsonl"}
    workspace.jsonl("synthetic.jsonl", several({f"l{i:02}": 5 for i in range(16)}, "s"))
    found = run(
        workspace,
        several({f"l{i:02}": 10 for i in range(16)}),
        {"kb": KB, "synthetic": written_by_a_model},
        index=0.25,
        corpus__split={"train": 0.7, "dev": 0.2, "test": 0.1},
    )
    # Of ten entries two are searched (2.5 is rounded to even), so 128 are asked.
    for origin, total in (("labelled", 128), ("synthetic", 80)):
        splits = Counter(found.labelled.filter(kind="query", origin=origin)["split"])
        assert splits["test"] == int(total * 0.1) and splits["dev"] == int(total * 0.2)
        assert splits.total() == total
        # Labels have as even a part as their sizes allow.
        each = found.labelled.filter(kind="query", origin=origin, split="dev")["label"].value_counts()["count"]
        assert each.max() - each.min() <= 1
    assert set(found.labelled.filter(kind="passage").select("origin", "split").rows()) == {("labelled", "train")}
    assert report()["labels"]["synthetic"] == 80
    assert report()["labels"]["train"] == 208 - 12 - 8 - 25 - 16
    drawn = found.ids(kind="query", split="dev")
    assert drawn != found.ids(kind="query")[: len(drawn)]


def test_dev_and_test_of_the_source_are_what_it_says(workspace):
    for name in ("dev", "test"):
        workspace.jsonl(f"{name}.jsonl", several({"a": 3, "b": 3}, name))
    sources = {"test": {**KB, "role": "test", "file": "test.jsonl"}, "kb": KB}
    sources["dev"] = {**KB, "role": "dev", "file": "dev.jsonl"}
    found = run(workspace, several({"a": 6, "b": 6}), sources, corpus__split={"train": 0.5, "dev": 0.5, "test": 0.0})
    held_out = {name: found.ids(split=name) for name in ("dev", "test")}
    assert held_out["test"] == [f"test{label}{i:02}" for label in "ab" for i in range(3)]
    assert [name for name in held_out["dev"] if name.startswith("dev")] == [
        f"dev{label}{i:02}" for label in "ab" for i in range(3)
    ]
    # Of the six entries that are not searched half are of dev as well.
    assert len(held_out["dev"]) == 6 + 3
    assert report()["read"] == {"dev": 6, "kb": 12, "test": 6}


def test_a_label_may_be_several_columns(workspace):
    rows = [
        {"id": f"{area}{name}{i}", "area": area, "name": name, "text_en": f"{area} {name} {i}"}
        for area in ("cards", "loans")
        for name in ("lost ", "new")
        for i in range(2)
    ]
    source = {**KB, "columns": {**COLUMNS, "label": ["area", "name"]}}
    found = run(workspace, rows, {"kb": source}, corpus__languages=["en"])
    assert found.labels["label"].to_list() == ["cards/lost", "cards/new", "loans/lost", "loans/new"]


def test_the_first_entries_are_taken_and_all_that_is_asked_of_their_labels(workspace):
    workspace.jsonl("test.jsonl", several({"a": 2, "c": 2}, "test"))
    sources = {"kb": KB, "test": {**KB, "role": "test", "file": "test.jsonl"}}
    found = run(workspace, several({"a": 4, "b": 4, "c": 4}), sources, corpus__limit=6)
    assert found.labels["label"].to_list() == ["a", "b"]
    assert found.ids(split="test") == ["testa00", "testa01"]
    assert found.labelled.filter(origin="labelled").height == 6 + 2
    assert report()["labels"]["unsearched"] == ["c"]


# Labels


def test_descriptions_are_told_and_labels_that_only_have_one_are_named(workspace, caplog):
    workspace.jsonl("labels.jsonl", [{"name": "a", "says": " About  a. "}, {"name": "z", "says": "Of nothing."}])
    descriptions = {"role": "labels", "file": "labels.jsonl", "columns": {"label": "name", "description": "says"}}
    found = run(workspace, several({"a": 2, "b": 2}), {"about": descriptions, "kb": KB})
    assert found.labels.rows() == [("a", "About a."), ("b", "")]
    assert report()["labels"]["unsearched"] == ["z"]
    assert report()["labels"]["labels"] == 2
    assert "labels with no entry in the index: z" in caplog.text


def test_descriptions_may_stand_beside_the_entries(workspace):
    rows = [{**row, "says": f"About {row['label']}."} for row in several({"a": 3, "b": 2})]
    descriptions = {"role": "labels", "file": "kb.jsonl", "columns": {"label": "label", "description": "says"}}
    found = run(workspace, rows, {"kb": KB, "about": descriptions})
    assert found.labels.rows() == [("a", "About a."), ("b", "About b.")]


def test_a_query_whose_label_is_not_searched_is_named_and_left_out(workspace, caplog):
    workspace.jsonl("test.jsonl", several({"a": 1, "x": 2}, "test"))
    # Entries that are not in the searched language are asked, but their label is not searched.
    rows = [*several({"a": 4}), entry("y", 1, text_en="")]
    found = run(workspace, rows, {"kb": KB, "test": {**KB, "role": "test", "file": "test.jsonl"}})
    assert found.ids(split="test") == ["testa00"]
    assert found.labels["label"].to_list() == ["a"]
    assert {name for name, _ in found.texts()} == {*found.ids(kind="query")}
    assert report()["left_out"] == {"whose label no entry of the index has": 3}
    assert report()["labels"]["unsearched"] == ["x", "y"]
    assert "labels with no entry in the index: x, y" in caplog.text


def test_a_label_of_which_nothing_trains_is_named(workspace, caplog):
    run(workspace, several({"a": 4, "one": 1}))
    assert "labels with no training query: one" in caplog.text


# Texts that stand twice


def test_no_text_of_dev_or_test_is_trained_on_or_searched_in_any_language(workspace):
    rows = several({"a": 6})
    rows[0]["text_en"] = "ASKED: on test!"
    rows[1]["text_ko"] = "시험에 나옴."
    rows[2]["text_en"] = "asked on dev"
    workspace.jsonl("test.jsonl", [entry("a", 1, "test", text_en="asked on test", text_ko="시험에 나옴")])
    workspace.jsonl("dev.jsonl", [entry("b", 1, "dev", text_en="asked on  dev")])
    sources = {"kb": KB, **{name: {**KB, "role": name, "file": f"{name}.jsonl"} for name in ("dev", "test")}}
    found = run(workspace, [*rows, *several({"b": 2})], sources)
    assert report()["left_out"] == {"that repeat a query of dev or test": 3}
    assert sorted(found.ids(label="a", split="train")) == ["a03", "a04", "a05"]
    found = run(workspace, [*rows, *several({"b": 2})], sources, corpus__duplicates={"exact": False, "near": None})
    assert report()["left_out"] == {}
    assert len(found.ids(label="a", split="train")) == 6


def test_a_text_under_two_labels_stays_where_it_stands_first(workspace):
    rows = [*several({"a": 3, "b": 3}), entry("b", 9, text_en="About A01?"), entry("a", 8, text_ko="A02 관련")]
    found = run(workspace, rows)
    assert report()["left_out"] == {"that repeat a text of another label": 1, "that are duplicates": 1}
    assert {*found.ids()} == {row["id"] for row in rows[:6]}


def test_what_is_synthetic_gives_way_to_what_is_not(workspace):
    workspace.jsonl("first.jsonl", [entry("a", 1, "s", text_en="about a00"), entry("a", 2, "s")])
    found = run(workspace, several({"a": 4}), {"aa": {**KB, "role": "synthetic", "file": "first.jsonl"}, "kb": KB})
    assert found.ids(origin="synthetic") == ["sa02"]
    assert found.labelled.filter(origin="labelled").height == 4


def test_texts_are_cleaned_as_those_of_other_sources(workspace):
    rows = [*several({"a": 3}), entry("a", 7, text_en="x" * 50), entry("a", 8, text_en="cafe\u0301 \u200bopen")]
    found = run(workspace, rows, corpus__chars=[1, 49])
    assert report()["left_out"] == {"longer than 49 characters": 1}
    # The Korean text of the row that is too long in English alone is of use.
    assert [lang for name, lang in found.texts() if name == "a07"] == ["ko"]
    texts = {*found.passages["text"], *found.texts().values()}
    assert "caf\u00e9 open" in texts


# Kinds of files


def encoded(rows, suffix):
    table = pl.DataFrame(rows)
    if suffix == "parquet":
        table.write_parquet(buffer := io.BytesIO())
        return buffer.getvalue()
    if suffix.startswith("jsonl"):
        data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    else:
        data = table.write_csv(separator="\t" if suffix.startswith("tsv") else ",").encode()
    return gzip.compress(data) if suffix.endswith("gz") else data


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "csv", "csv.gz", "tsv", "parquet"])
@pytest.mark.parametrize("folder", [True, False])
def test_every_kind_of_file_gives_the_same(workspace, suffix, folder):
    rows = several({"a": 4, "b": 5})
    wanted = run(workspace, rows)
    name = f"in/kb.{suffix}" if folder else f"kb.{suffix}"
    Path("in").mkdir()
    Path(name).write_bytes(encoded(rows, suffix))
    source = {**KB, "file": f"kb.{suffix}" if folder else None}
    set_up(workspace, {"kb": source}, corpus__path="in" if folder else name).run("corpus")
    for kind, table in wanted._asdict().items():
        assert getattr(read(), kind).equals(table), kind


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2,I want my money back, please hurry,refund", r"^kb\.csv:3 has 4 fields, but the header 3: mend the row's"),
        ("2,refund", r"^kb\.csv:3 has 2 fields, but the header 3"),
        ('2,"never closed,refund', r"^kb\.csv:3 is no row of CSV \(unexpected end of data\): mend its quotation marks"),
    ],
)
def test_a_row_of_csv_that_is_torn_makes_no_text_and_no_label(workspace, row, message):
    Path("kb.csv").write_text(f"id,text_en,label\n1,one,refund\n{row}\n3,three,refund\n")
    set_up(workspace, {"kb": {**KB, "file": "kb.csv"}}, corpus__languages=["en"])
    with pytest.raises(UserError, match=message):
        workspace.run("corpus")


def test_the_number_0_is_a_text_and_rows_without_one_are_counted(workspace):
    rows = [{"id": f"a{i}", "label": "a", "text_en": text} for i, text in enumerate([0, 1, None, "", "x"])]
    found = run(workspace, rows, corpus__languages=["en"])
    assert {text for (_, _), text in found.texts().items()} | {*found.passages["text"]} == {"0", "1", "x"}
    assert report()["left_out"] == {"without text in any language": 2}


def test_rows_without_ids_are_named_by_file_and_number(workspace):
    for folder in ("one", "two"):
        workspace.jsonl(f"{folder}/kb.jsonl", [{"text_en": f"{folder} {i}", "label": "a"} for i in range(2)])
    columns = {"text": "text_{lang}", "label": "label"}
    sources = {n: {"role": "entries", "file": f"{n}/kb.jsonl", "columns": columns} for n in ("one", "two")}
    set_up(workspace, sources, corpus__languages=["en"]).run("corpus")
    assert sorted(read().ids()) == [f"{folder}/kb.jsonl#{i}" for folder in ("one", "two") for i in (1, 2)]


def test_rows_of_one_file_are_told_apart_by_their_values(workspace):
    rows = [{**row, "kind": kind} for kind in ("kb", "other", "ours", "test") for row in several({"a": 2}, kind)]
    sources = {
        "kb": {**KB, "rows": {"kind": ["kb", "ours"]}},
        "test": {**KB, "role": "test", "rows": {"kind": ["test"]}},
    }
    found = run(workspace, rows, sources)
    assert found.ids(split="test") == ["testa00", "testa01"]
    assert sorted(found.ids(split="train")) == ["kba00", "kba01", "oursa00", "oursa01"]


BANKING = ["activate_my_card", "age_limit", "card_arrival"]


@pytest.fixture
def banking(workspace, monkeypatch):
    """Banking77 in small, as the hub has it: a folder of Parquet files with a class by number."""
    import datasets

    monkeypatch.setattr(datasets.config, "TORCH_AVAILABLE", False)
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=BANKING)})

    def write(split, labels):
        rows = {"text": [f"{split} {i}" for i in range(len(labels))], "label": labels}
        Path("banking77/data").mkdir(parents=True, exist_ok=True)
        datasets.Dataset.from_dict(rows, features).to_parquet(f"banking77/data/{split}-00000-of-00001.parquet")

    write("train", [0, 0, 1, 1, 1, 2, 2])
    write("test", [2, 0])
    return write


HUB = {"text": "text", "label": "label"}
BANKING_TABLES = {
    "train": {"role": "entries", "dataset": {"split": "train"}, "columns": HUB},
    "test": {"role": "test", "dataset": {"split": "test"}, "columns": HUB},
}


def test_a_data_set_of_the_hub_has_its_classes_names(workspace, banking):
    set_up(workspace, BANKING_TABLES, corpus__path="banking77").run("corpus")
    found = read()
    assert found.labels["label"].to_list() == BANKING
    assert found.labelled.filter(split="test").select("id", "label").rows() == [
        ("banking77/test#1", "card_arrival"),
        ("banking77/test#2", "activate_my_card"),
    ]
    # A column without {lang} is in the language of the knowledge base.
    assert found.queries["lang"].unique().to_list() == ["en"]
    before = found.ids()
    assert "banking77/train#1" in before
    Path("elsewhere").mkdir()
    Path("banking77").rename("elsewhere/banking77")
    set_up(workspace, BANKING_TABLES, corpus__path=str(Path("elsewhere/banking77").resolve())).run("corpus")
    assert read().ids() == before


@pytest.mark.parametrize("untold", [-1, None])
def test_a_class_that_is_not_told_is_named_by_its_row(workspace, banking, untold):
    banking("test", [2, untold])
    set_up(workspace, BANKING_TABLES, corpus__path="banking77")
    with pytest.raises(UserError, match=r"^banking77:2: the label is empty: name it or remove the row$"):
        workspace.run("corpus")


# Languages


def test_the_languages_of_columns_may_have_other_names(workspace):
    rows = [{"id": f"a{i}", "label": "a", "text_eng": f"english {i}", "text_kor": f"한국어 {i}"} for i in range(4)]
    found = run(workspace, rows, corpus__codes={"en": "eng", "ko": "kor"})
    assert found.passages["text"].str.starts_with("english").all()
    assert {lang: text[:3] for (_, lang), text in found.texts().items()} == {"en": "eng", "ko": "한국어"}


def test_the_languages_of_columns_are_found_however_spelt(workspace, caplog):
    caplog.set_level("INFO")
    texts = {"text_pt": "europeu", "text_pt_BR": "brasileiro", "text_kor_Hang": "한국어"}
    rows = [{"id": f"a{i}", "label": "a"} | {key: f"{text} {i}" for key, text in texts.items()} for i in range(4)]
    base = {"kb": {**KB, "columns": {**COLUMNS, "text": "text_{lang}"}}}
    asked = {"languages": ["pt-BR", "ko"], "corpus__labelled__language": "pt-BR"}
    found = run(workspace, rows, base, **asked)
    assert found.passages["text"].str.starts_with("brasileiro").all()
    assert {lang: text[:3] for (_, lang), text in found.texts().items()} == {"pt-BR": "bra", "ko": "한국어"}
    assert report()["spelt"] == {"labelled": {"ko": "kor_Hang", "pt-BR": "pt_BR"}}
    assert "languages as labelled spells them: ko is kor_Hang, pt-BR is pt_BR" in caplog.text


def test_a_column_of_one_language_may_say_which(workspace):
    workspace.jsonl("test.jsonl", [{"id": "t1", "label": "a", "said": "어디에 있나요"}])
    test = {"role": "test", "file": "test.jsonl", "columns": {"id": "id", "text": "said", "label": "label"}}
    found = run(workspace, several({"a": 2}), {"kb": KB, "test": {**test, "language": "ko"}})
    assert found.texts()["t1", "ko"] == "어디에 있나요"
    assert ("t1", "en") not in found.texts()


def test_languages_are_those_that_the_source_has(workspace):
    found = run(workspace, several({"a": 4}), corpus__languages=["en"])
    assert {lang for _, lang in found.texts()} == {"en"}


# A matrix of similarity


def test_similarity_may_be_given(workspace):
    given = "label,b,extra,a,A C,,\nA C,.5,9,0,1,,\nb,1,9,.25,3\na,.25,9,1,0\nextra,1,1,1,1\n"
    Path("similarity.csv").write_text(given)
    found = run(workspace, several({"a": 2, "A C": 2, "b": 2}), similarity="similarity.csv")
    assert found.labels["label"].to_list() == ["A C", "a", "b"]
    assert found.similarity.rows() == [
        ("given", "A C", [1.0, 0.0, 0.5]),
        ("given", "a", [0.0, 1.0, 0.25]),
        ("given", "b", [3.0, 0.25, 1.0]),
    ]
    Path("similarity.tsv").write_text("\tA C\ta\tb\nb\t3\t.25\t1\nA C\t1\t0\t.5\na\t0\t1\t.25\n")
    again = run(workspace, several({"a": 2, "A C": 2, "b": 2}), similarity="similarity.tsv")
    assert again.similarity.equals(found.similarity)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ("label,a\na,1\nb,1\n", r"^similarity\.csv:1 lacks the label 'b': add its column$"),
        ("", r"^similarity\.csv:1 lacks the label 'a': add its column$"),
        ("label,a,b\na,1,0\n", r"^similarity\.csv lacks the label 'b': add its row$"),
        ("label,a,b\na,1,0\nb,-1,1\n", r"^similarity\.csv:3 has a similarity below 0"),
        ("label,a,b\na,1,nan\nb,1,1\n", r"^similarity\.csv:2 has a similarity below 0, or none: write numbers"),
        ("label,a,b\na,1,much\n", r"^similarity\.csv:2 is no row of similarities: write a label and 2 numbers$"),
        ("label,a,b\na,1\n", r"^similarity\.csv:2 is no row of similarities"),
        ("label,a,b\na,1,0,5\n", r"^similarity\.csv:2 is no row of similarities"),
        ("label,a,b,a\na,1,0,1\nb,1,1,1\n", r"^similarity\.csv:1 has the label 'a' twice"),
        ("label,a,b\na,1,0\nb,1,1\na,1,1\n", r"^similarity\.csv:4 has the label 'a' again"),
        (None, r"^similarity\.csv is no file: corpus\.labelled\.similarity names a file beneath corpus\.path$"),
    ],
)
def test_a_matrix_that_does_not_fit_is_told(workspace, matrix, message):
    if matrix is not None:
        Path("similarity.csv").write_text(matrix)
    with pytest.raises(UserError, match=message) as raised:
        run(workspace, several({"a": 2, "b": 2}), similarity="similarity.csv")
    assert "\n" not in str(raised.value)
    assert not Path("data/corpus").exists()


# What is no knowledge base


ROW = entry("a", 1)
ABOUT = {"role": "labels", "file": "labels.jsonl", "columns": {"label": "label", "description": "says"}}


@pytest.mark.parametrize(
    ("rows", "changes", "message"),
    [
        ([{**ROW, "label": " "}], {}, r"^kb\.jsonl:1: the label is empty: name it or remove the row$"),
        ([{**ROW, "label": None}], {}, r"^kb\.jsonl:1: the label is empty"),
        ([ROW, {"id": "x", "text_en": "x"}], {}, r"^kb\.jsonl:2 has no 'label' \(it has 'id', 'text_en'\): name its"),
        ([{**ROW, "label": ["a", "b"]}], {}, r"^kb\.jsonl:1: 'label' holds \['a', 'b'\], not a text: mend the row$"),
        ([{**ROW, "text_en": 1.5}], {}, r"^kb\.jsonl:1: 'text_en' holds 1\.5, not a text: mend the row$"),
        ([ROW, {**ROW, "text_en": "b"}], {}, r"^kb\.jsonl:2 repeats the id 'a01' of kb\.jsonl:1: ids must differ$"),
        ([{"label": "a", "text_en": "a"}], {}, r"^kb\.jsonl:1 has no 'id' \(it has 'label', 'text_en'\)"),
        ([], {}, r"^corpus\.labelled\.tables\.kb has no row with a text in 'text_en', 'text_ko': check its file, rows"),
        (
            [ROW],
            {"sources": {"kb": {**KB, "columns": {**COLUMNS, "text": "text_ko"}, "language": "ko"}}},
            r"^\. has no entry in en: check corpus\.labelled$",
        ),
        (
            [ROW],
            {"sources": {"kb": {**KB, "rows": {"kind": ["kb"]}}}},
            r"^corpus\.labelled\.tables\.kb has no row with a text in",
        ),
        (
            [ROW],
            {"sources": {"kb": {**KB, "file": "none.csv"}}},
            r"^none\.csv is no file: check corpus\.path, and the file of each of corpus\.labelled\.tables$",
        ),
        (
            [{**ROW, "text_ko": ""}],
            {},
            r"^corpus\.labelled\.tables: none has a text in ko: set corpus\.codes to what their columns call it",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence(workspace, rows, changes, message):
    with pytest.raises(UserError, match=message) as raised:
        run(workspace, rows, **changes)
    assert "\n" not in str(raised.value)
    assert not Path("data/corpus").exists()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [{"label": "a", "says": "One."}, {"label": "b", "says": ""}, {"label": "a", "says": "Two."}],
            r"^labels\.jsonl:3 describes the label 'a' anew: leave one description$",
        ),
        ([{"label": "a", "says": ""}], r"^corpus\.labelled\.tables\.about has no row with a description: check its"),
        ([{"label": "a"}], r"^labels\.jsonl:1 has no 'says'"),
    ],
)
def test_descriptions_that_are_not_so_are_told(workspace, rows, message):
    workspace.jsonl("labels.jsonl", rows)
    with pytest.raises(UserError, match=message):
        run(workspace, several({"a": 2, "b": 2}), {"kb": KB, "about": ABOUT})


def test_a_broken_line_is_named(workspace):
    Path("kb.jsonl").write_text('{"id": 1\n')
    set_up(workspace, {"kb": KB})
    with pytest.raises(UserError, match=r"^kb\.jsonl:1 is not JSON \(.*\): mend or remove the line$"):
        workspace.run("corpus")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"corpus__source": "beir"}, r"labelled belongs to the source labelled, and only to it"),
        ({"corpus__labelled": None}, r"labelled belongs to the source labelled, and only to it"),
        ({"corpus__columns": {"text": "x"}}, r"columns belong to the sources"),
        ({"corpus__queries": "inverse-cloze"}, r"queries: a labelled source has its own, so write none"),
        ({"corpus__labelled__index": 1.0}, r"corpus\.labelled\.index is 1\.0"),
        ({"corpus__labelled__language": "fr"}, r"\. has no entry in fr: check corpus\.labelled$"),
        ({"corpus__labelled__tables": {"t": {**KB, "role": "test"}}}, r"tables has no table of the role entries"),
        ({"corpus__labelled__tables__kb__columns": {"label": "label"}}, r"the role entries needs columns\.text"),
        ({"corpus__labelled__tables__kb__role": "labels"}, r"the role labels needs columns\.description"),
        ({"corpus__labelled__tables__kb__dataset": {}}, r"a table is read from file or from dataset: write one"),
        ({"corpus__labelled__tables__kb__columns__label": []}, r"tables\.kb\.columns\.label"),
        ({"corpus__labelled__tables__kb__file": None, "corpus__labelled__tables__kb__dataset": {"name": "a/b"}},
         r"dataset\.name 'a/b' is on the hub: pin its revision"),
    ],
)  # fmt: skip
def test_settings_that_contradict_each_other_are_told(workspace, changes, message):
    workspace.jsonl("kb.jsonl", several({"a": 2}))
    set_up(workspace, {"kb": KB}).edit(**changes)
    with pytest.raises(UserError, match=message):
        workspace.run("corpus")


def test_other_sources_have_no_labels(workspace):
    workspace.jsonl("in.jsonl", [{"id": f"p{i}", "en": f"one {i}", "ko": f"하나 {i}"} for i in range(4)])
    workspace.edit(corpus__path="in.jsonl", corpus__columns={"id": "id", "text": "{lang}"}).run("corpus")
    found = read()
    assert found.passages.height == 8
    assert found.labelled.is_empty() and found.labels.is_empty() and found.similarity.is_empty()
    assert "labels" not in report()


def test_the_shipped_knowledge_base_has_the_split_that_its_study_tells(workspace, monkeypatch):
    monkeypatch.setattr(overlay, "STUDIES", ROOT / "studies")
    _, study = overlay.read("hinglish-kb")
    merged, _ = overlay.merged((ROOT / "params.yaml").read_text(encoding="utf-8"), study)
    workspace.params.write_text(merged, encoding="utf-8")
    workspace.edit(corpus__path=str(ROOT / "data/collection/kb.jsonl")).run("corpus")
    found = read()
    assert found.labels.height == 48 and (found.labels["description"] != "").all()
    assert found.passages["lang"].unique().to_list() == ["en"]
    # Of each label's 14 entries 4 are searched.
    assert found.passages["stratum"].value_counts()["count"].unique().to_list() == [4]
    own = found.labelled.filter(kind="query", origin="labelled").filter(pl.col("split") != "test")
    assert own["label"].value_counts()["count"].unique().to_list() == [10]
    assert report()["labels"]["untrained"] == [] and report()["labels"]["unsearched"] == []
    assert found.queries.filter(lang="hi-Latn")["query"].n_unique() == len(found.ids(kind="query"))


def test_a_text_that_is_untranslated_leaves_its_row_the_others(workspace):
    rows = several({"a": 3, "b": 3})
    for row in rows:
        row["text_en"] = f"somebody asks how this about {row['id']} works"
    rows[-1]["text_ko"] = rows[-1]["text_en"]
    found = run(workspace, rows, index=0.3)
    assert ("b02", "ko") not in found.texts()
    assert report()["left_out"] == {"untranslated": 1}
    assert report()["texts"] == {"en": {"read": 6}, "ko": {"read": 6, "untranslated": 1}}


CLINC = {"text": "text", "label": "label"}
CLINC_TABLES = {
    "train": {"role": "entries", "rows": {"part": ["train", "oos_train"]}, "columns": CLINC},
    "dev": {"role": "dev", "rows": {"part": ["val", "oos_val"]}, "columns": CLINC},
    "test": {"role": "test", "rows": {"part": ["test", "oos_test"]}, "columns": CLINC},
}


def clinc(workspace, **labelled):
    """CLINC150 in small, as it is published: 4 entries of two labels, and questions that none fits in each part."""
    sizes = {"train": 4, "val": 2, "test": 2}
    parts = {part: [[f"{part} {i}", "ab"[i % 2]] for i in range(size)] for part, size in sizes.items()}
    parts |= {f"oos_{part}": [[f"beyond {part} {i}", "oos"] for i in range(i)] for i, part in enumerate(sizes, 1)}
    Path("data_full.json").write_text(json.dumps(parts))
    set_up(workspace, {name: {**table, "file": "data_full.json"} for name, table in CLINC_TABLES.items()})
    return workspace.edit(**{f"corpus__labelled__{key}": value for key, value in labelled.items()})


def test_questions_that_no_entry_fits_are_asked_and_train_nothing(workspace):
    clinc(workspace, out_of_scope=["oos"]).run("corpus")
    found = read()
    assert found.labels["label"].to_list() == ["a", "b"]
    assert found.labelled.group_by("split", "label").len().sort("split", "label").rows() == [
        *(("dev", "", 2), ("dev", "a", 1), ("dev", "b", 1)),
        *(("test", "", 3), ("test", "a", 1), ("test", "b", 1)),
        *(("train", "a", 2), ("train", "b", 2)),
    ]
    assert sum(text.startswith("beyond") for text in found.queries["text"]) == 5
    counts = report()
    assert counts["left_out"] == {"out of scope, and so of no use in training": 1}
    assert counts["labels"]["out_of_scope"] == {"dev": 2, "test": 3} and counts["labels"]["unsearched"] == []


def test_what_no_row_has_is_not_out_of_scope(workspace):
    with pytest.raises(UserError, match=r"corpus\.labelled\.out_of_scope: \. has no row of the label 'none'"):
        clinc(workspace, out_of_scope=["none"]).run("corpus")
