"""stems: what particles, endings and stemmers leave of a word, and what they must leave alone."""

import pytest

from stages.shared.stems import lookups, stem


@pytest.mark.parametrize(
    ("word", "forms"),
    [
        ("프로젝트에서는", ("프로젝트에서는", "프로젝트에서", "프로젝트")),
        ("학생들에게", ("학생들에게", "학생들", "학생")),
        ("사용하기를", ("사용하기를", "사용하기", "사용")),
        ("물을", ("물을", "물")),
        ("React는", ("react는", "react")),
    ],
)
def test_korean_particles_are_taken_off_one_by_one(word, forms):
    assert lookups(word, "ko") == forms


@pytest.mark.parametrize(
    ("words", "shared"),
    [
        ("사용 사용을 사용합니다 사용했습니다 사용하여 사용할 사용되는", "사용"),
        ("먹다 먹는다 먹습니다 먹었다", "먹"),
        ("갑니다 갔다", "가"),
        ("있다 있습니다", "있"),
    ],
)
def test_korean_forms_share_their_stem(words, shared):
    assert {stem(word, "ko") for word in words.split()} == {shared}


@pytest.mark.parametrize("word", ["회의", "마을", "추가", "광고", "높이", "바다"])
def test_what_only_ends_as_a_particle_does_stays(word):
    assert lookups(word, "ko") == (word,)


def test_others_have_the_stem_of_snowball_or_none():
    assert lookups("Häuser", "de") == ("häuser", "haus")
    assert lookups("studies", "en-GB") == ("studies", "studi")
    assert lookups("किताबों", "hi") == ("किताबों", "किताब")
    assert lookups("biler", "nb") == ("biler", "bil")
    assert lookups("猫", "zh") == ("猫",)
    # Hindi in Latin letters is not what its stemmer reads.
    assert lookups("kitabon", "hi-Latn") == ("kitabon",)


def test_forms_are_in_lower_case_and_composed():
    assert lookups("CAFE\u0301", "vi") == ("café",)
