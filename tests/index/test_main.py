"""index: labelled entries as a searchable folder, of which an update encodes what is new and nothing else."""

import json

import numpy as np
import polars as pl
import pytest

from stages.index import store
from stages.shared import encoder, models, search, tables
from stages.shared.errors import UserError
from tests.fakes.checkpoints import WORDS, save_sentence_transformer, static_model
from tools import indexes

COLUMNS = {"id": "id", "text": "text", "label": "label"}


@pytest.fixture
def study(workspace, monkeypatch):
    monkeypatch.setattr(indexes, "STATE", workspace.path / ".state")
    static_model().save_pretrained("models/base", create_model_card=False)
    return set_up(workspace)


def set_up(workspace, path="kb.jsonl", rows=None, columns=COLUMNS, model="models/base"):
    settings = {"model": model, "path": path, "rows": rows or {}, "columns": columns}
    return workspace.edit(indexes={"kb": settings})


def entry(number, text=None, label=None):
    return {
        "id": f"e{number:03}",
        "text": text or f"{WORDS[number % 40]} {WORDS[number // 40]}",
        "label": label or f"l{number % 5}",
    }


def content():
    folder = models.INDEXES / "kb"
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def written():
    return tables.read(models.INDEXES / "kb" / "entries.parquet", store.INDEX_ENTRIES)


def encoded(caplog):
    """How many texts the last run encoded."""
    said = [r.getMessage() for r in caplog.records if "texts encoded" in r.getMessage()]
    caplog.clear()
    return int(said[-1].split()[1].replace(",", ""))


def test_entries_and_vectors_have_the_same_rows_sorted_by_id(study):
    study.jsonl("kb.jsonl", [entry(i) for i in (7, 2, 11)])
    study.run("index", "kb")
    assert written()["entry"].to_list() == ["e002", "e007", "e011"]
    found = indexes.load(models.INDEXES / "kb", store.Path("models/base"))
    wanted = encoder.load("models/base", 8).encode(written()["text"].to_list(), "passage")
    np.testing.assert_allclose(found.vectors, wanted, atol=1e-6)
    assert found.manifest["path"] == "kb.jsonl" and found.manifest["model"] == "models/base"
    assert [f"{n}" for n in content()] == ["entries.parquet", "index.faiss", "manifest.json"]


def test_rows_and_columns_are_those_of_params(study):
    rows = [
        {"kind": "kb", "group": "cards", "name": "lost", "said": "w1 w2"},
        {"kind": "test", "group": "cards", "name": "lost", "said": "w3"},
        {"kind": "kb", "group": "bills", "name": "late", "said": "w4"},
    ]
    study.jsonl("kb.jsonl", rows)
    set_up(study, rows={"kind": ["kb"]}, columns={"text": "said", "label": ["group", "name"]})
    study.run("index", "kb")
    assert written().select("label", "text").rows() == [("cards/lost", "w1 w2"), ("bills/late", "w4")]


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_other_tables_are_read(study, ending):
    table = pl.DataFrame([entry(i) for i in range(4)])
    if ending == "parquet":
        table.write_parquet("kb.parquet")
    else:
        table.write_csv(f"kb.{ending}", separator="," if ending == "csv" else "\t")
    set_up(study, path=f"kb.{ending}")
    study.run("index", "kb")
    assert written()["label"].to_list() == ["l0", "l1", "l2", "l3"]


@pytest.mark.parametrize(
    ("row", "words"),
    [("2,a, b,l1", r"kb\.csv:3 has 4 fields, but the header 3"), ('2,"a,l1', r"kb\.csv:3 is no row of CSV \(unexp")],
)
def test_a_row_of_csv_that_is_torn_is_told(study, row, words):
    study.path.joinpath("kb.csv").write_text(f"id,text,label\n1,w1,l0\n{row}\n3,w3,l0\n")
    set_up(study, path="kb.csv")
    with pytest.raises(UserError, match=words):
        study.run("index", "kb")


BEFORE = [entry(i) for i in range(60)]
CHANGES = {
    "added": ([*BEFORE, entry(61, "w1 w2 w3")], 1),
    "changed": ([*BEFORE[:9], entry(9, "w5 w6 w7"), *BEFORE[10:]], 1),
    "removed": (BEFORE[:30] + BEFORE[31:], 0),
    "given another label": ([*BEFORE[:9], entry(9, label="new"), *BEFORE[10:]], 0),
    "given another order": (BEFORE[::-1], 0),
    "unchanged": (BEFORE, 0),
}


@pytest.mark.parametrize(("after", "count"), CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("kind", ["static", "transformer"])
def test_an_update_encodes_what_is_new_and_is_the_same_bytes_as_building_anew(study, after, count, kind, caplog):
    caplog.set_level("INFO")
    if kind == "transformer":
        save_sentence_transformer(
            "models/trained/enenen", "bert", prompts={"query": "query: ", "document": "passage: "}
        )
        set_up(study, model="models/trained/enenen")
    study.jsonl("kb.jsonl", BEFORE)
    study.run("index", "kb")
    assert encoded(caplog) == len({row["text"] for row in BEFORE})
    before = content()
    study.jsonl("kb.jsonl", after)
    study.run("index", "kb")
    assert encoded(caplog) == count
    updated = content()
    for file in (study.path / ".state/vectors/texts").iterdir():
        file.unlink()
    study.run("index", "kb")
    assert encoded(caplog) == len({row["text"] for row in after})
    assert content() == updated
    assert (updated == before) == (sorted(after, key=json.dumps) == sorted(BEFORE, key=json.dumps))


def test_another_model_encodes_all(study, caplog):
    caplog.set_level("INFO")
    study.jsonl("kb.jsonl", BEFORE)
    study.run("index", "kb")
    static_model(seed=1).save_pretrained("models/base", create_model_card=False)
    study.run("index", "kb")
    assert encoded(caplog) == 60


def test_repeats_are_left_out_and_texts_of_several_labels_told(study, caplog):
    caplog.set_level("INFO")
    rows = [entry(3, "w1", "a"), entry(1, "w1", "a"), entry(2, "w1", "b"), entry(4, "w2", "a")]
    study.jsonl("kb.jsonl", rows)
    study.run("index", "kb")
    assert written().rows() == [("e001", "a", "w1"), ("e002", "b", "w1"), ("e004", "a", "w2")]
    assert "1 entries repeat another's text and label" in caplog.text
    assert "1 texts have several labels" in caplog.text and "'w1': a, b" in caplog.text


def test_rows_without_a_text_are_told(study, caplog):
    study.jsonl("kb.jsonl", [entry(1), entry(2) | {"text": None}, entry(3) | {"text": " "}])
    study.run("index", "kb")
    assert written()["entry"].to_list() == ["e001"]
    assert "2 rows have no text and are left out, the first is kb.jsonl:2" in caplog.text


REFUSED = {
    "repeated id": ([entry(1), entry(2), entry(1, "w3")], r"kb.jsonl:3: the id 'e001' is that of kb.jsonl:1"),
    "no entries": ([], "kb.jsonl has no entries"),
    "no label": ([entry(1) | {"label": " "}], "kb.jsonl:1: the label is empty"),
    "no column": ([{"id": "a", "text": "w1"}], "kb.jsonl:1 has no 'label'"),
    "lone surrogate": ([entry(1) | {"text": "w1 \ud83d"}], "kb.jsonl:1 holds half a character"),
}


@pytest.mark.parametrize(("rows", "words"), REFUSED.values(), ids=REFUSED)
def test_bad_entries_are_one_sentence_and_leave_the_index_as_it_was(study, rows, words):
    study.jsonl("kb.jsonl", BEFORE)
    study.run("index", "kb")
    before = content()
    (study.path / "kb.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(UserError, match=words) as error:
        study.run("index", "kb")
    assert "\n" not in str(error.value)
    assert content() == before


def test_an_index_of_no_model_says_which(study):
    study.jsonl("kb.jsonl", BEFORE)
    set_up(study, model="models/trained/enenko")
    with pytest.raises(UserError, match=r"indexes\.kb\.model: models/trained/enenko holds no model"):
        study.run("index", "kb")


def test_an_unknown_index_is_named(study):
    with pytest.raises(UserError, match=r"params\.yaml has no indexes.other"):
        study.run("index", "other")


@pytest.mark.parametrize("best", [1, 2])
def test_a_long_entry_is_found_once_by_its_best_windows(study, best):
    study.jsonl("kb.jsonl", [entry(1, "w1 w2 w3"), entry(2, "w3 w4"), entry(3, "w1")])
    study.edit(windows={"size": 1, "stride": 1, "best": best})
    study.run("index", "kb")
    model = store.Path("models/base")
    found = indexes.load(models.INDEXES / "kb", model)
    loaded = encoder.load(model, 8)
    query = loaded.encode(["w3 w2"], "query")
    scores, rows = search.top_k(query, found.vectors, 5)
    parts = [["w1", "w2", "w3"], ["w3", "w4"], ["w1"]]
    wanted = [np.sort(loaded.encode(words, "passage") @ query[0])[-best:].mean() for words in parts]
    assert rows.tolist() == [np.argsort(-np.array(wanted)).tolist()]
    np.testing.assert_allclose(scores[0], np.array(wanted)[rows[0]], atol=1e-6)
    (models.INDEXES / "kb/windows.parquet").unlink()
    with pytest.raises(UserError, match="kb is not whole: run `dvc repro index@kb`"):
        indexes.load(models.INDEXES / "kb", model)
