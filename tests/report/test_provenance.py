"""What was read and written, and what filters left."""

import json
from pathlib import Path

from stages.report import provenance
from tests.report.conftest import CORPUS, edit, page, section, write


def test_the_corpus(study):
    text, reader = page()
    own = " ".join(section(text, "corpus").split())
    assert "Rows read: 1,200 of <code>memory</code>, 30 of <code>pages</code>." in own
    assert "<li>left out: that are duplicates (2)</li>" in own
    assert "<li>left out: with an &lt;empty&gt; side (1)</li>" in own
    # What `collect` leaves out of it stands beside it.
    assert "<li>left out: queries that no passage answers (7)</li>" in own
    heads, header, english, korean = [[c[0] for c in row] for row in reader.tables["passages"]]
    assert heads == ["Language", "Passages", "Characters of a passage", "Repeated texts"]
    assert header == ["train", "dev", "test", "median", "max", "exact", "near"]
    assert english == ["en English", "1,000", "90", "137", "409", "504", "1", "1"]
    assert korean == ["ko Korean", "1,000", "90", "137", "198", "269", "0", "2"]
    assert "Left out: that are duplicates (2)." in Path("metrics/report/tables.md").read_text()
    write("metrics/corpus.json", CORPUS | {"queries": {"ko": 7}})
    _, reader = page()
    assert [row[-1][0] for row in reader.tables["passages"]][1:] == ["queries", "–", "7"]
    write("metrics/corpus.json", CORPUS | {"texts": {"en": {"read": 9}, "ko": {"read": 9, "untranslated": 4}}})
    _, reader = page()
    heads, header, _, korean = [[c[0] for c in row] for row in reader.tables["passages"]]
    assert (heads[1], header[:2], korean[1:3]) == ("Texts", ["read", "untranslated"], ["9", "4"])
    write("metrics/corpus.json", {"read": {}, "passages": {}})
    text, reader = page()
    assert "No source was read" in text and "passages" not in reader.tables


def test_the_table_of_written_texts_shows_what_was_kept(study):
    _, reader = page()
    header, row = reader.tables["written"]
    assert [c[0] for c in header] == ["Job", "items", "failed", "texts", "script", "parallel", "kept"]
    assert [c[0] for c in row] == ["queries", "20", "0", "40", "1", "1", "38"]
    write("metrics/synthesis.json", {"requests": {}, "filters": {}, "tokens": {}})
    text, reader = page()
    assert "written" not in reader.tables and "synthesis" not in text


def test_negatives_table_shows_what_was_dropped(study):
    _, reader = page()
    header, full, empty = reader.tables["dropped"]
    assert [c[0] for c in header][2:5] == ["queries", "candidates", "relevant"]
    assert [c[0] for c in full] == ["window", "en-en", "9", "1,234", "2", "7", "1", "0.500"]
    assert [c[0] for c in empty] == ["window", "ko-en", "0", *["–"] * 5]


def test_what_each_recipe_trains_on(study):
    text, reader = page()
    assert "All recipes train on the same 1,200 queries." in section(text, "rows")
    header, *rows = [[c[0] for c in row] for row in reader.tables["trained"]]
    assert header == ["Recipe", "Composition", "asked", "no negatives", "queries", "rows", "above positive, %"]
    assert rows[1] == ["koenko", "koenko", "1,234", "34", "1,200", "1,300", "12.5"]
    assert [row[:2] for row in rows[2:]] == [["both", "enkoko"], ["both", "koenen"]]
    tables = Path("metrics/report/tables.md").read_text()
    assert "All recipes train on the same 1,200 queries; no negatives" in tables
    assert "| koenko | koenko | 1,234 | 34 | 1,200 | 1,300 | 12.5 |" in tables


def test_recipes_that_differ_in_queries_say_so(study):
    report = json.loads(Path("metrics/trainsets.json").read_text())
    report["queries"]["every_recipe"] = 900
    report["recipes"]["koenen"]["koenen"]["over_share"] = 5
    write("metrics/trainsets.json", report)
    write("metrics/negatives.json", {"window": {"directions": {}}})
    text, reader = page()
    assert "900 queries are in every recipe and 1,200 in at least one" in section(text, "rows")
    assert [c[0] for c in reader.tables["trained"][0]][-3:] == ["over share", "queries", "rows"]
    assert [c[0] for c in reader.tables["trained"][1]][4] == "5"
    assert "900 queries are in every recipe, 1,200 in at least one" in Path("metrics/report/tables.md").read_text()


def test_strategies_by_labels_are_explained_where_there_are_some(study):
    text, _ = page()
    assert "strategy by labels" not in text
    counts = {"queries": 9, "similarity": 0.5, "similarity_at_random": 0.25, "unlabelled": 0}
    write("metrics/negatives.json", {"mixed": {"directions": {"ko-en": counts}}})
    text, reader = page()
    assert "strategy by labels" in text
    assert [c[0] for c in reader.tables["dropped"][1]] == ["mixed", "ko-en", "9", "0.500", "0.250", "0"]


def test_strategies_of_different_filters_share_a_table():
    table = provenance.negatives_table(
        {
            "a": {"directions": {"en-en": {"queries": 1, "x": 2, "short": 3}}},
            "b": {"directions": {"en-en": {"queries": 1, "y": 4, "short": 5}}},
        }
    )
    assert table.header == ["Direction", "queries", "y", "x", "short"]
    assert [c.text for c in table.rows[1].cells] == ["en-en", "1", "4", "–", "5"]


def test_code_switched_texts_are_counted_and_shown(study):
    text, reader = page()
    assert "codeswitched" not in text
    told = {"texts": 3, "words": 1200, "switched": 0.41, "out_of_lexicon": 0.125, "samples": [["a <b>", "a [c]"]]}
    write("metrics/codeswitch.json", {"one": {"en": told}, "two": {"ko": told | {"names": 0.05, "samples": []}}})
    report = json.loads(Path("metrics/trainsets.json").read_text())
    report["recipes"]["koenen"]["koenen"] |= {"switched": 650}
    write("metrics/trainsets.json", report)
    edit(lambda params: params["recipes"]["koenen"].update(switched={"variant": "one", "share": 0.5}))
    text, reader = page()
    rows = [[c[0] for c in row] for row in reader.tables["switched-words"]]
    assert rows == [
        ["Variant", "Language", "texts", "words", "switched, %", "out of lexicon, %", "names, %"],
        ["one", "English", "3", "1,200", "41.0", "12.5", "–"],
        ["two", "Korean", "3", "1,200", "41.0", "12.5", "5.0"],
    ]
    assert [[c[0] for c in row] for row in reader.tables["switched-texts"]][1:] == [["one", "a <b>", "a [c]"]]
    assert [c[0] for c in reader.tables["recipes"][1]][3:] == ["50 % by one"]
    assert [[c[0] for c in row][6:] for row in reader.tables["trained"]][:3] == [
        ["switched", "above positive, %"],
        ["650", "0.0"],
        ["–", "12.5"],
    ]
    assert r"- one: a \<b\> → a \[c\]" in Path("metrics/report/tables.md").read_text()


def test_lexicons_are_told_with_what_dictionaries_say_of_them(study):
    text, _ = page()
    assert 'id="lexicons"' not in text
    sizes = {"words": 3107, "entries": 4666, "translated": 0.5498}
    against = {"muse": {"words": 1200, "coverage": 0.75, "precision": 0.625}}
    own = {"lacking": ["en-de"], "dropped": {"texts without a word": 3, "titles of no word": 0}}
    pairs = {"en-ko": {**sizes, "dictionaries": against}, "ko-en": {**sizes, "translated": None, "dictionaries": {}}}
    report = {"aligned": {"source": "alignment", **own, "pairs": pairs}}
    write("metrics/lexicons.json", report)
    text, reader = page()
    rows = [[cell[0] for cell in row] for row in reader.tables["lexicons-measured"]][1:]
    assert rows == [
        ["aligned", "en-ko", "alignment", "3,107", "4,666", "55.0", "muse", "1,200", "75.0", "62.5"],
        ["aligned", "ko-en", "alignment", "3,107", "4,666", "–", "–", "–", "–", "–"],
    ]
    told = section(text, "lexicons")
    assert "has nothing of en-de" in told and "left out: texts without a word (3)" in told and "titles" not in told
    tables = Path("metrics/report/tables.md").read_text()
    assert "| aligned | en-ko | alignment | 3,107 | 4,666 | 55.0 | muse | 1,200 | 75.0 | 62.5 |" in tables
    assert "\n- aligned left out: texts without a word (3)\n" in tables
