"""FEVEROUS: sentences, list items and tables of the pages with evidence."""

import json
import sqlite3

import pytest

from stages.shared.errors import UserError

PAGE = {
    "title": "Al_B c",
    "order": ["sentence_0", "table_0", "list_0"],
    "sentence_0": "[[Al|The Al]] is [[here]].",
    "section_0": {"value": "History", "level": 2},
    "table_0": {
        "type": "table",
        "caption": "Years",
        "table": [
            [{"id": "header_cell_0_0_0", "value": "Year"}, {"id": "header_cell_0_0_1", "value": "Won"}],
            [{"id": "cell_0_1_0", "value": "[[1999]]"}, {"id": "cell_0_1_1", "value": "yes"}],
        ],
    },
    "list_0": {"type": "unordered_list", "list": [{"id": "item_0_0", "value": "first", "level": 0}]},
}
OTHER = {"title": "Other", "sentence_0": "Nothing.", "sentence_1": ""}
UNUSED = {"title": "Unused", "sentence_0": "x"}


def claim(name, *sets):
    return {
        "id": name,
        "claim": f"claim {name}",
        "label": "SUPPORTS",
        "evidence": [{"content": list(found), "context": {}} for found in sets],
        "challenge": "Other",
    }


CLAIMS = [
    {"id": "", "claim": "", "evidence": ""},
    claim(1, ["Al_B c_sentence_0"], ["Al_B c_cell_0_1_0", "Al_B c_header_cell_0_0_0"]),
    claim(2, ["Al_B c_item_0_0", "Al_B c_table_caption_0", "Other_sentence_0"]),
    claim(3, ["Al_B c_section_0"]),
]
PASSAGES = [
    ("Al_B c_item_0_0", "en", "Al_B c", "first"),
    ("Al_B c_sentence_0", "en", "Al_B c", "The Al is here."),
    ("Al_B c_table_0", "en", "Al_B c", "Years Year | Won 1999 | yes"),
    ("Other_sentence_0", "en", "Other", "Nothing."),
]


def check(found, caplog):
    assert found.passages == PASSAGES
    assert found.queries == [("1", "en", "claim 1"), ("2", "en", "claim 2")]
    assert found.qrels == [
        ("1", "Al_B c_sentence_0", "en", 1),
        ("1", "Al_B c_table_0", "en", 1),
        ("2", "Al_B c_item_0_0", "en", 1),
        ("2", "Al_B c_table_0", "en", 1),
        ("2", "Other_sentence_0", "en", 1),
    ]
    assert "2 pages with evidence are searched, not the whole Wikipedia; 1 headings" in caplog.text


def test_evidence_is_searched_on_its_pages(publish, made, caplog):
    caplog.set_level("INFO")
    publish(
        {"feverous_dev_challenges.jsonl": CLAIMS, "wiki/wiki_000.jsonl": [PAGE, UNUSED], "wiki/wiki_001.jsonl": [OTHER]}
    )
    check(made("feverous", ["en"]), caplog)


def test_the_database_of_the_release(workspace, publish, made, caplog):
    caplog.set_level("INFO")
    publish({"dev.jsonl": CLAIMS})
    with sqlite3.connect(workspace.path / "published/feverous_wikiv1.db") as wiki:
        wiki.execute("CREATE TABLE wiki (id PRIMARY KEY, data json)")
        pages = [(page["title"], json.dumps(page)) for page in (PAGE, OTHER, UNUSED)]
        wiki.executemany("INSERT INTO wiki VALUES (?, ?)", pages)
    check(made("feverous", ["en"]), caplog)


def test_what_is_missing_is_told(workspace, publish, made):
    publish({"dev.jsonl": CLAIMS})
    with pytest.raises(UserError, match=r"has no feverous_wikiv1\.db and no wiki_\*\.jsonl"):
        made("feverous", ["en"])
    (workspace.path / "published/feverous_wikiv1.db").write_bytes(b"no database at all, but long enough" * 40)
    with pytest.raises(UserError, match="is not FEVEROUS's Wikipedia"):
        made("feverous", ["en"])
    with pytest.raises(UserError, match="FEVEROUS is in English"):
        made("feverous", ["ko"])
