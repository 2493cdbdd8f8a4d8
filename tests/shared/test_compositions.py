"""Compositions: all of them, and how they are written."""

import pytest

from stages.shared.compositions import Composition, composition, compositions, selected
from stages.shared.errors import UserError


def test_two_languages_form_eight_compositions_in_order():
    assert [c.name for c in compositions(["en", "ko"])] == [
        "enenen",
        "enenko",
        "enkoen",
        "enkoko",
        "koenen",
        "koenko",
        "kokoen",
        "kokoko",
    ]


def test_three_languages_form_twenty_seven():
    found = compositions(["en", "ko", "hi-Latn"])
    assert len(set(found)) == 27
    for each in found:
        assert composition(each.name, ["en", "ko", "hi-Latn"]) == each
        assert composition("-".join(each), ["en", "ko", "hi-Latn"]) == each


def test_only_two_of_eight_match_query_and_negatives():
    found = compositions(["en", "ko"])
    assert {c.name for c in found if c.query_negatives_match} == {"koenko", "enkoen"}
    assert {c.name for c in found if c.crosses} == {"enkoen", "enkoko", "koenen", "koenko"}


def test_slots_are_query_positive_negative():
    assert composition("koenhi-Latn", ["en", "ko", "hi-Latn"]) == Composition("ko", "en", "hi-Latn")


def test_another_text_is_no_composition():
    with pytest.raises(UserError, match=r"'enko' is no composition of en, ko: .* as in 'kokoko'"):
        composition("enko", ["en", "ko"])


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        (["mono"], ["enenen", "kokoko", "hi-Latnhi-Latnhi-Latn"]),
        (["cross"], ["enkoko", "enhi-Latnhi-Latn", "koenen", "kohi-Latnhi-Latn", "hi-Latnenen", "hi-Latnkoko"]),
        (["hi-Latn-*-en"], ["hi-Latnenen", "hi-Latnkoen", "hi-Latnhi-Latnen"]),
        (["koenen", "ko-en-*"], ["koenen", "koenko", "koenhi-Latn"]),
    ],
)
def test_words_and_patterns_are_written_out_each_composition_once(written, wanted):
    assert [c.name for c in selected(written, ["en", "ko", "hi-Latn"])] == wanted


def test_all_are_all():
    assert selected(["all"], ["en", "ko"]) == compositions(["en", "ko"])
    with pytest.raises(UserError, match=r"'\*-\*-de' is a pattern of no composition of en, ko: .* as in '\*-\*-en'"):
        selected(["*-*-de"], ["en", "ko"])
