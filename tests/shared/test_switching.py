"""Words replaced by their translations, in their case and place; expectations by hand."""

import pytest

from stages.shared import seeds
from stages.shared.switching import Switcher

KO = {"house": "집", "big": "큰", "new york": "뉴욕", "new": "새", "city": "도시", "york city hall": "시청"}
DE = {"house": "haus", "hous": "haus", "big": "groß", "city": "stadt", "new york": "new york"}


def switched(text, lang, lexicons, rows=1, **settings):
    """`text` as switched in each of `rows` rows, all words unless settings say otherwise, with what is counted."""
    switcher = Switcher(lang, lexicons, **settings)
    found = list(switcher([text] * rows, seeds.numbers(1, [str(row) for row in range(rows)])))
    return found if rows > 1 else found[0]


@pytest.mark.parametrize(
    ("lang", "target", "lexicon", "text", "wanted"),
    [
        ("en", "de", DE, "A BIG house — Big, houses (City)!", "A GROSS haus — Groß, haus (Stadt)!"),
        ("en", "de", DE, "The big, big house.\n", "The groß, groß haus.\n"),
        ("de", "en", {"häuser": "houses"}, "Ha\u0308user", "Houses"),
        # Hangul has no case; its particles are not in lexicons.
        ("en", "ko", KO, "BIG cities: City", "큰 cities: 도시"),
        ("ko", "en", {"집": "house"}, "집은 (집)", "house (house)"),
        # Blanks come between scripts with them and without, and nowhere else.
        (
            "zh",
            "en",
            {"首都": "capital", "北京": "beijing"},
            "中国的首都是北京，北京。",
            "中国的 capital 是 beijing，beijing。",
        ),
        ("zh", "en", {"首都": "capital", "的": "of"}, "中国的首都", "中国 of capital"),
        ("zh", "ja", {"首都": "首府"}, "中国的首都", "中国的首府"),
        ("en", "zh", {"big": "大", "house": "房子"}, "a big house", "a 大 房子"),
        ("en", "de", DE, "", ""),
    ],
)
def test_words_become_their_translations_in_case_and_place(lang, target, lexicon, text, wanted):
    assert switched(text, lang, {target: lexicon}).text == wanted


def test_the_longest_phrase_comes_first_and_words_stay_whole():
    # Of two phrases that overlap the longer, though it begins later; of what is left, words.
    found = switched("New York City Hall, new York: newyork", "en", {"ko": KO}, phrases=True)
    assert found.text == "새 시청, 뉴욕: newyork"
    assert (found.words, found.switched, found.unknown) == (7, 6, 1)
    # The last word may have an ending; punctuation parts a phrase.
    assert switched("뉴욕 시청은", "ko", {"en": {"뉴욕 시청": "city hall"}}, phrases=True).text == "city hall"
    assert switched("new, york", "en", {"ko": KO}, phrases=True).text == "새, york"
    assert switched("New York", "en", {"ko": KO}).text == "새 York"
    assert switched("NEW YORK", "en", {"de": DE}, phrases=True).text == "NEW YORK"
    # A phrase that is not drawn stays whole.
    texts = {found.text for found in switched("new york", "en", {"ko": KO}, rows=40, phrases=True, probability=0.5)}
    assert texts == {"new york", "뉴욕"}


def test_a_share_of_the_words_is_switched_whatever_stands_beside_them():
    found = switched("house city none " * 50, "en", {"ko": KO}, rows=20, probability=0.3)
    assert {(one.words, one.unknown) for one in found} == {(150, 50)}
    # 2,000 words at 0.3: within four standard deviations of 600.
    assert abs(sum(one.switched for one in found) - 600) < 82
    assert len({one.text for one in found}) == 20
    assert all(one.text.count("none") == 50 for one in found)
    alone = Switcher("en", {"ko": KO}, 0.5)
    rows = seeds.numbers(1, ["a", "b"])
    both = [one.text for one in alone(["big house", "big city " * 9], rows)]
    assert [next(alone(["big city " * 9], rows[1:])).text] == both[1:]


def test_each_word_draws_its_language_and_each_text_of_titles_its_own():
    by_word = switched("house " * 30, "en", {"ko": KO, "de": DE}, rows=10)
    assert all({"집", "haus"} == set(one.text.split()) for one in by_word)
    assert 100 < sum(one.text.count("집") for one in by_word) < 200
    by_text = switched("house " * 30, "en", {"ko": KO, "de": DE}, rows=40, one_target=True)
    assert {frozenset(one.text.split()) for one in by_text} == {frozenset({"집"}), frozenset({"haus"})}


def test_names_are_kept_as_far_as_their_form_tells():
    lexicon = {"city": "stadt", "apple": "apfel", "nato": "x", "2nd": "zweite", "he": "er", "iphone": "x"}
    found = switched("City he. Apple he Apple 2nd NATO iPhone", "en", {"de": lexicon}, keep_names=True)
    assert found.text == "Stadt er. Apfel er Apple 2nd NATO iPhone"
    assert (found.words, found.switched, found.names, found.unknown) == (8, 4, 4, 0)
    assert "York" in switched("in New York", "en", {"ko": KO}, keep_names=True, phrases=True).text
