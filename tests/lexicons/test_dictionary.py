"""dictionary: noisy files, what is dropped and why, scores, and words found by their stems."""

from pathlib import Path

import pytest

from stages.schemas.lexicons import LEXICON
from stages.shared import tables
from stages.shared.errors import UserError
from tests.lexicons.conftest import entries, record

COLUMNS = {"word": "en", "translation": "xx"}


def dictionary(settings, text, name="en-ko.tsv", **given):
    Path(name).write_text(text, encoding="utf-8")
    return settings(source="dictionary", path=".", files={"en-ko": name}, **given)


def test_a_translation_scores_its_share_of_the_rows(workspace, settings):
    rows = ["en\txx\tpos", "\t광대\tn", "study\t공부\tn", "study\t연구\tn", "Study\t공부\tv", "cat\t고양이\tn"]
    rows += ["!\t느낌표\tn", "dog\t \tn"]
    dictionary(settings, "\n".join(rows), columns=COLUMNS)
    workspace.run("lexicons", "mine")
    table = tables.read("data/lexicons/mine/en-ko.parquet", LEXICON)
    assert table.rows() == [
        ("cat", "고양이", 1.0, "dictionary"),
        ("studi", "공부", 0.66667, "dictionary, by its stem"),
        ("studi", "연구", 0.33333, "dictionary, by its stem"),
        ("study", "공부", 0.66667, "dictionary"),
        ("study", "연구", 0.33333, "dictionary"),
    ]
    # As it is written, the commonest first.
    assert entries("ko-en")["공부"] == ["Study", "study"]
    assert record()["dropped"] == {"with an empty side": 2, "without a word on a side": 1}


def test_scores_and_limits(workspace, settings):
    rows = "en\txx\ts\na\t가\t0.9\na\t나\t0.5\na\t다\t0.2\nb\t나\t0.8\n"
    dictionary(settings, rows, columns={**COLUMNS, "score": "s"}, threshold=0.3, most=1)
    workspace.run("lexicons", "mine")
    assert entries("en-ko") == {"a": ["가"], "b": ["나"]}
    assert entries("ko-en") == {"가": ["a"], "나": ["b"]}


def test_a_file_without_a_header_is_read_by_its_first_fields(workspace, settings):
    dictionary(settings, "house 집\nfire station\t소방서\n", name="muse.tsv", stems=False)
    workspace.run("lexicons", "mine")
    assert entries("en-ko") == {"fire station": ["소방서"], "house": ["집"]}


@pytest.mark.parametrize(
    ("text", "given", "said"),
    [
        ("en\txx\n", {"columns": COLUMNS}, r"lexicons\.mine has no entry for any pair of en, ko: look at its path"),
        ("word\n", {}, r"en-ko\.tsv:1 has no translation: mend the row, or name the file's columns"),
        ("en\tb\nx\ty\n", {"columns": COLUMNS}, r"en-ko\.tsv:2 has no 'xx'"),
        (
            "en\txx\ts\na\t가\thigh\n",
            {"columns": {**COLUMNS, "score": "s"}},
            r"en-ko\.tsv:2: 's' holds 'high', not a number",
        ),
    ],
)
def test_what_is_no_dictionary_is_one_sentence(workspace, settings, text, given, said):
    dictionary(settings, text, **given)
    with pytest.raises(UserError, match=said):
        workspace.run("lexicons", "mine")
    assert not Path("data/lexicons/mine").exists()


def test_the_shared_dictionaries_are_read(workspace, settings):
    folder = Path(__file__).parents[3] / "shared/data/lexicons"
    if not folder.is_dir():
        pytest.skip("../shared/data is not there")
    settings(source="dictionary", path=str(folder), files={"en-ko": "en-ko.tsv"}, columns=COLUMNS)
    workspace.run("lexicons", "mine")
    assert "고양이" in entries("en-ko")["cat"]
    assert record()["dropped"] == {"with an empty side": 12, "without a word on a side": 4}
