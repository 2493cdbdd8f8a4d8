"""What cleaning takes from texts, what it leaves, and which rows it finds of no use."""

import polars as pl
import pytest

from stages.corpus.batches import schema
from stages.corpus.clean import clean
from stages.settings import yaml12
from stages.settings.corpus import Corpus
from stages.shared.errors import UserError
from tests.conftest import ROOT

CORPUS = Corpus.model_validate(yaml12.load(ROOT / "params.yaml")["corpus"])


def cleaned(en, ko="글", title="", name="a", **settings):
    rows = pl.DataFrame([(1, name, None, title, None, en, ko)], schema(["en", "ko"]), orient="row")
    return clean(rows, ["en", "ko"], CORPUS.model_copy(update=settings)).row(0, named=True)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("\ufeffa\u200bb\u2060c", "abc"),  # byte order mark, zero-width space, word joiner
        ("a\u202eb\u2066c\u061cd", "abcd"),  # marks of direction
        ("so\u00adft", "soft"),
        ("a\x00b\x07c\x7fd\x9be", "abcde"),
    ],
)
def test_what_shows_nothing_goes_and_is_told(text, left):
    row = cleaned(text)
    assert (row["text_en"], row["invisible"]) == (left, True)


@pytest.mark.parametrize(
    "text",
    [
        "می\u200cخواهم",  # Persian needs its non-joiner
        "क्\u200dष",
        "👩\u200d👩\u200d👧",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",  # the flag of England
        "\u0600\u0661\u0662",  # a number sign over Arabic digits
        "\u1820\u180e\u1820",
    ],
)
def test_what_scripts_and_emoji_need_stays(text):
    row = cleaned(text)
    assert (row["text_en"], row["invisible"]) == (text, False)


@pytest.mark.parametrize("space", [" ", "\t", "\n", "\r\n", "\v\f", "\u00a0", "\u3000", "\u2028", "\u0085", " \n \t "])
def test_white_space_of_any_kind_and_length_is_one_space(space):
    row = cleaned(f"{space}a{space}b{space}", title=f"t{space}u", name=f"i{space}")
    assert [row[column] for column in ("text_en", "title_en", "id")] == ["a b", "t u", "i"]
    assert not row["invisible"]


def test_texts_get_the_normal_form_that_is_asked_for():
    assert cleaned("e\u0301")["text_en"] == "é"
    assert cleaned("ＡＢ ﬁ", normalize="NFKC")["text_en"] == "AB fi"
    assert cleaned("ＡＢ e\u0301", normalize=None)["text_en"] == "ＡＢ e\u0301"
    assert cleaned("각", ko="각")["text_ko"] == "각"
    # What a mark kept apart is composed.
    assert cleaned("e\ufeff\u0301")["text_en"] == "é"


def test_characters_that_could_not_be_read_are_told_and_stay():
    assert cleaned("caf\ufffd")["unreadable"]
    assert cleaned("caf\ufffd")["text_en"] == "caf\ufffd"
    assert not cleaned("cafe")["unreadable"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"name": None}, "without id"),
        ({"name": " \n"}, "without id"),
        ({"ko": None}, "without text in every language"),
        ({"ko": "\ufeff \u200b"}, "without text in every language"),
        ({"chars": [6, 15]}, "shorter than 6 characters"),
        ({"chars": [1, 4]}, "longer than 4 characters"),
        # A syllable of Hangul says as much as three letters.
        ({"ko": "가나다라마바", "chars": [1, 17]}, "longer than 17 characters"),
        ({"ko": "가나", "chars": [5, 9]}, None),
        ({"ko": "가", "chars": [5, 9]}, "shorter than 5 characters"),
        ({"title": "a title of more than five", "chars": [1, 15]}, None),
        ({"chars": {"en": [1, 5], "ko": [1, 4]}}, "longer than 4 characters"),
        ({"chars": {"en": [6, 9], "ko": [1, 5]}}, "shorter than 6 characters"),
        ({"chars": {"en": [5, 5], "ko": [5, 5]}}, None),
        ({"name": None, "ko": ""}, "without id"),
    ],
)
def test_a_row_of_no_use_has_its_reason(changes, reason):
    assert cleaned("abcde", **{"ko": "가나다라마", **changes})["reason"] == reason


def test_limits_of_each_language_name_all():
    with pytest.raises(UserError, match="has no limits for ko: add them"):
        cleaned("abcde", chars={"en": [1, 5]})


def test_what_is_untranslated_is_left_out_with_its_language():
    row = cleaned("Nobody has said this.", ko="Nobody has said this.")
    assert (row["reason"], row["reason_en"], row["reason_ko"]) == ("untranslated", None, "untranslated")
    assert cleaned("Nobody has said this.", ko="Nobody has said this.", keep_untranslated=True)["reason"] is None


def test_a_blank_line_ends_a_block():
    assert (
        cleaned("One\n \r\n\ntwo\nthree \u2029 four\n\n", title="a\n\nb")["text_en"] == "One\u2029two three\u2029four"
    )
    assert cleaned("x", title="a\n\nb")["title_en"] == "a b"
