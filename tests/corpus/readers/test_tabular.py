"""Readers of rows: JSON Lines, CSV, Parquet, datasets."""

import json
import subprocess
import sys

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.corpus.readers import rows, sources, tabular
from stages.settings.corpus import Source
from stages.shared import files
from stages.shared.codes import Wanted
from stages.shared.errors import UserError
from tests.conftest import ROOT
from tests.corpus.readers.reading import NOTES, read
from tests.fakes.hub import SHA, serving

COLUMNS = {"id": "id", "text": "{lang}"}
TEXTS = ("line", "id", "text_en", "text_ko")


def jsonl(path, *lines, encoding="utf-8"):
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in lines), encoding=encoding)


def test_a_row_a_line_with_null_where_it_has_nothing(here):
    jsonl(here / "x.jsonl", {"id": 7, "en": " One\n", "ko": "하나", "t_en": "T", "s": "a"}, {"id": "b", "en": None})
    columns = {"id": "id", "text": "{lang}", "title": "t_{lang}", "stratum": "s"}
    with pytest.raises(UserError, match=r"x\.jsonl:1 has no 't_ko' \(it has 'id', 'en', 'ko', 't_en', 's'\)"):
        read("line", source="jsonl", path="x.jsonl", columns=columns)
    found = read(
        "file",
        "line",
        "id",
        "stratum",
        "title_en",
        "text_en",
        languages=["en"],
        source="jsonl",
        path="x.jsonl",
        columns=columns,
    )
    assert found == [("x.jsonl", 1, "7", "a", "T", " One\n"), ("x.jsonl", 2, "b", None, None, None)]


def test_ids_are_made_of_file_and_line_where_no_column_has_them(here):
    jsonl(here / "set/b.jsonl", {"en": "b"})
    jsonl(here / "set/a.jsonl", {"en": "a"}, {"en": "c"})
    (here / "set/README.md").write_text("about")
    found = read("file", "id", languages=["en"], source="jsonl", path="set", columns={"text": "{lang}"})
    assert found == [("set/a.jsonl", "a.jsonl#1"), ("set/a.jsonl", "a.jsonl#2"), ("set/b.jsonl", "b.jsonl#1")]


@pytest.mark.parametrize(
    ("row", "text", "codes"),
    [
        ({"translation": {"en": "a", "ko": "b"}}, "translation.{lang}", {}),
        ({"translation.en": "a", "translation.ko": "b"}, "translation.{lang}", {}),
        ({"eng_Latn": "a", "kor_Hang": "b"}, "{lang}", {}),
        ({"text": {"English": {"raw": "a"}, "ko-KR": {"raw": "b"}}}, "text.{lang}.raw", {}),
        ({"en": "a", "xx": "b", "ko": "no"}, "{lang}", {"ko": "xx"}),
    ],
)
def test_columns_of_a_language_however_spelt(here, row, text, codes):
    jsonl(here / "x.jsonl", row)
    pl.DataFrame([row]).write_parquet("x.parquet")
    for kind in ("jsonl", "parquet"):
        settings = {"source": kind, "path": f"x.{kind}", "columns": {"text": text}, "codes": codes}
        assert read("text_en", "text_ko", **settings) == [("a", "b")]


def test_a_regional_variant_beside_its_language_is_not_taken_for_it(here):
    jsonl(here / "x.jsonl", {"pt": "facto", "pt_BR": "fato", "en": "fact"})
    settings = {"source": "jsonl", "path": "x.jsonl", "columns": {"text": "{lang}"}}
    both = {"languages": ["pt-PT", "pt-BR"]}
    assert read("text_en", "text_pt-BR", languages=["en", "pt-BR"], **settings) == [("fact", "fato")]
    assert read("text_pt-PT", "text_pt-BR", **both, **settings) == [("facto", "fato")]
    with pytest.raises(UserError, match=r"x\.jsonl:1 has no 'pt-PT' \(it has 'pt', 'pt_BR', 'en'\)"):
        read("text_pt-PT", "text_pt-BR", **both, **settings, codes={"pt-BR": "pt"})
    # One column never fills two languages.
    jsonl(here / "x.jsonl", {"pt": "facto"})
    with pytest.raises(UserError, match=r"x\.jsonl:1 has no 'pt-PT' \(it has 'pt'\): name its column"):
        read("text_pt-PT", "text_pt-BR", **both, **settings)
    jsonl(here / "x.jsonl", {"nob": "en", "nno": "ein"})
    with pytest.raises(UserError, match=r"x\.jsonl:1 has nob, nno, each of which may be no: say in corpus\.codes"):
        read("text_no", languages=["no"], **settings)


def test_a_column_that_begins_late_is_found(here):
    jsonl(here / "x.jsonl", {"en": "a"}, {"en": "b", "ko": "c"})
    assert read(*TEXTS, source="jsonl", path="x.jsonl", columns={"text": "{lang}"})[1] == (2, "x.jsonl#2", "b", "c")


@pytest.mark.parametrize(
    ("row", "columns", "message"),
    [
        ({"en": ["a"], "ko": "b"}, {"text": "{lang}"}, r"x\.jsonl:1: 'en' holds \['a'\], not a text: mend the row"),
        ({"en": True, "ko": "b"}, {"text": "{lang}"}, r"x\.jsonl:1: 'en' holds True"),
        ({"en": "a"}, {"text": "text_{lang}"}, r"x\.jsonl:1 has no 'text_en' \(it has 'en'\): name its column"),
        ({"en": "a"}, {"text": "en"}, r"corpus\.columns\.text is 'en' in each of en, ko: write \{lang\}"),
        ({"en": "a", "ko": "b"}, {"text": "{lang}", "id": "name"}, r"x\.jsonl:1 has no 'name'"),
    ],
)
def test_rows_that_do_not_fit_are_told(here, row, columns, message):
    jsonl(here / "x.jsonl", row)
    with pytest.raises(UserError, match=message):
        read("id", source="jsonl", path="x.jsonl", columns=columns)


def test_half_a_character_becomes_the_replacement_character(here):
    (here / "x.jsonl").write_text('{"id": "a", "en": "cut \\ud83d", "ko": "\\ud83d\\ude00"}\n{"id": "b", "en": "c"}\n')
    found = read(*TEXTS, source="jsonl", path="x.jsonl", columns=COLUMNS)
    assert found == [(1, "a", "cut \N{REPLACEMENT CHARACTER}", "\N{GRINNING FACE}"), (2, "b", "c", None)]


def test_rows_of_a_megabyte_make_smaller_batches(here, monkeypatch):
    monkeypatch.setattr(rows, "CHARS", 2_500_000)
    jsonl(here / "x.jsonl", *({"en": "a" * 1_000_000, "ko": str(i)} for i in range(7)))
    source = Source(source="jsonl", path="x.jsonl", columns={"text": "{lang}"})
    found = list(sources.batches(source, Wanted(["en", "ko"]), NOTES))
    assert [batch.rows.height for batch in found] == [3, 3, 1]
    assert found[-1].rows.row(0) == (7, "x.jsonl#7", None, None, None, "a" * 1_000_000, "6")


def test_csv_of_other_encodings_and_delimiters(here):
    text = 'id;en;ko\r\na;"one; ""two""\r\n\r\nthree";하나\r\n\r\nb;;"둘"\r\n'
    (here / "x.csv").write_bytes(text.encode("cp949"))
    found = read(*TEXTS, source="csv", path="x.csv", columns=COLUMNS, encoding="cp949")
    assert found == [(2, "a", 'one; "two"\r\n\r\nthree', "하나"), (6, "b", "", "둘")]
    (here / "y.csv").write_text('"id","en, or so","ko"\n1,"x",y\n', encoding="utf-16")
    assert read("id", "text_ko", languages=["ko"], source="csv", path="y.csv", columns=COLUMNS) == [("1", "y")]


def test_quotation_marks_of_tab_separated_values(here):
    rows = ["en\tko", '"never closed\t하나', '"a ""b"""\t"둘', "'''c\t\"", '"d" e "f"\t셋']
    (here / "x.tsv").write_text("\n".join(rows))
    found = read("line", "text_en", "text_ko", source="csv", path="x.tsv", columns={"text": "{lang}"})
    assert found == [
        (2, '"never closed', "하나"),
        (3, 'a "b"', '"둘'),
        (4, "'''c", '"'),
        (5, '"d" e "f"', "셋"),
    ]


def test_a_field_of_a_megabyte_is_read(here):
    (here / "x.csv").write_text(f'en,ko\n"{"a" * 1_000_000}",b\n')
    assert read("text_en", "text_ko", source="csv", path="x.csv", columns={"text": "{lang}"}) == [
        ("a" * 1_000_000, "b")
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("en,ko,en\na,b,c\n", r"x\.csv:1 has the column 'en' more than once"),
        ("en,ko\na,b\nc\n", r"x\.csv:3 has 1 fields, but the header 2: mend"),
        ('en,ko\n"a\nb",c\n"d" e,f\n', r"x\.csv:4 is no row of CSV \("),
        ('en,ko\na,b\n"c,d\ne,f\n', r"x\.csv:3 is no row of CSV \(unexpected end of data\): mend its quotation marks"),
        ("one,two\na,b\n", r"x\.csv:2 has no 'en' \(it has 'one', 'two'\)"),
    ],
)
def test_csv_that_is_broken_is_told(here, text, message):
    (here / "x.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        read("id", source="csv", path="x.csv", columns={"text": "{lang}"})


def test_parquet_with_a_column_twice_is_told(here):
    pq.write_table(pa.table([pa.array(["a"]), pa.array(["b"]), pa.array(["c"])], names=["en", "ko", "en"]), "x.parquet")
    with pytest.raises(UserError, match=r"x\.parquet has the column 'en' more than once: rename or remove one"):
        read("id", source="parquet", path="x.parquet", columns={"text": "{lang}"})


def test_parquet_by_row_groups(here):
    table = pl.DataFrame(
        {"id": range(1000), "t": [{"en": f"e{i}", "ko": f"k{i}"} for i in range(1000)], "kind": ["x", "y"] * 500},
        schema_overrides={"kind": pl.Categorical},
    )
    table.write_parquet("x.parquet", row_group_size=300)
    columns = {"id": "id", "text": "t.{lang}", "stratum": "kind"}
    found = read("line", "id", "stratum", "text_ko", source="parquet", path="x.parquet", columns=columns)
    assert found == [(i + 1, str(i), "xy"[i % 2], f"k{i}") for i in range(1000)]
    unnamed = read("id", source="parquet", path="x.parquet", columns={"text": "t.{lang}"})
    assert unnamed[999] == ("x.parquet#1000",)


def test_batches_of_parquet_are_of_bounded_size(here, monkeypatch):
    monkeypatch.setattr(tabular, "CHARS", 2_100_000)
    table = pa.table({"en": [f"{i}" + "é" * 250_000 for i in range(12)]})
    pq.write_table(table, "x.parquet", compression="none", use_dictionary=False)
    source = Source(source="parquet", path="x.parquet", columns={"text": "{lang}"})
    heights = [batch.rows.height for batch in sources.batches(source, Wanted(["en"]), NOTES)]
    assert sum(heights) == 12
    assert max(heights) <= 4


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"en": [1.5], "ko": ["b"]}, r"x\.parquet: 'en' holds Float64, not texts"),
        ({"en": ["a"]}, r"x\.parquet has no 'ko' \(it has 'en'\)"),
    ],
)
def test_parquet_that_does_not_fit_is_told(here, table, message):
    pl.DataFrame(table).write_parquet("x.parquet")
    with pytest.raises(UserError, match=message):
        read("id", source="parquet", path="x.parquet", columns={"text": "{lang}"})


def test_parquet_that_is_cut_off_is_told(here):
    pl.DataFrame({"en": ["a"] * 100}).write_parquet("x.parquet")
    (here / "x.parquet").write_bytes((here / "x.parquet").read_bytes()[:-9])
    with pytest.raises(UserError, match=r"x\.parquet cannot be read \(.*is it a whole Parquet file\?"):
        read("id", languages=["en"], source="parquet", path="x.parquet", columns={"text": "{lang}"})


def test_a_path_without_files_is_told(here):
    (here / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty has no file \*\*/\*\.parquet: check corpus\.path"):
        read("id", source="parquet", path="empty", columns={"text": "{lang}"})
    with pytest.raises(UserError, match=r"nowhere is not there: check corpus\.path"):
        read("id", source="jsonl", path="nowhere", columns={"text": "{lang}"})


DATASET = {"source": "datasets", "path": "set", "columns": {"text": "translation.{lang}"}}


def test_datasets_reads_a_folder_without_torch(here):
    jsonl(here / "set/train.jsonl", {"translation": {"en": "a", "ko": "b"}}, {"translation": {"en": None, "ko": "c"}})
    jsonl(here / "set/test.jsonl", {"translation": {"en": "d", "ko": "e"}})
    code = (
        "import sys; from tests.corpus.readers.reading import read; "
        f"print(read('file', 'line', 'id', 'text_en', 'text_ko', **{DATASET})); "
        f"print(read('text_en', dataset={{'split': 'test'}}, **{DATASET})); "
        "print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT), "HOME": str(here)}, capture_output=True, text=True
    )
    assert ran.stdout.splitlines() == [
        "[('set', 1, 'set#1', 'a', 'b'), ('set', 2, 'set#2', None, 'c')]",
        "[('d',)]",
        "False False",
    ], ran.stderr


def test_datasets_streams_from_the_hub(here):
    body = "".join(json.dumps({"en": f"e{i}", "ko": f"k{i}"}) + "\n" for i in range(3)).encode()
    settings = {"columns": {"text": "{lang}"}, "dataset": {"name": "some/set", "revision": SHA, "split": "test"}}
    code = (
        f"from tests.corpus.readers.reading import read; print(read('file', 'id', 'text_ko', **{DATASET | settings}))"
    )
    with serving({"train.jsonl": b"no", "test.jsonl": body}) as hub:
        environment = {"PYTHONPATH": str(ROOT), "HOME": str(here), "HF_ENDPOINT": hub.url}
        ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert ran.stdout == str([("some/set", f"some/set#{i + 1}", f"k{i}") for i in range(3)]) + "\n", ran.stderr
    assert ("GET", "resolve", "test.jsonl", None) in hub.asked


def test_a_data_set_with_a_value_beyond_the_bound_is_refused(here, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "TORCH_AVAILABLE", False)
    monkeypatch.setattr(files, "LONGEST_LINE", 100)
    jsonl(
        here / "set/train.jsonl", {"translation": {"en": "a", "ko": "b"}}, {"translation": {"en": "a" * 101, "ko": "b"}}
    )
    with pytest.raises(UserError, match=r"^set:2 has a value longer than 0 MiB: leave the row out$"):
        read("id", **DATASET)


@pytest.mark.parametrize(
    ("dataset", "columns", "message"),
    [
        ({"split": "tests"}, {}, r"set cannot be read: Bad split: tests\. Available splits: \['train'\]: check"),
        ({"config": "x"}, {}, r"set cannot be read: BuilderConfig 'x' not found\. Available: \['default'\]: check"),
        ({}, {"text": "{lang}"}, r"set:1 has no 'en' \(it has 'translation', 'translation\.en', 'translation\.ko'\)"),
        (
            {"name": "nobody/none", "revision": "a" * 40},
            {},
            r"nobody/none cannot be read: .*none.*: check corpus\.dataset",
        ),
    ],
)
def test_a_data_set_that_is_not_so_is_told(here, dataset, columns, message, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "TORCH_AVAILABLE", False)  # which the reader sets: put back afterwards
    jsonl(here / "set/train.jsonl", {"translation": {"en": "a", "ko": "b"}})
    settings = DATASET | ({"columns": columns} if columns else {})
    with pytest.raises(UserError, match=message) as raised:
        read("id", **settings, dataset=dataset)
    assert "\n" not in str(raised.value)
