"""codes: how sources spell languages."""

import pytest

from stages.shared import codes

BELEBELE = ["arb_Arab", "arb_Latn", "arz_Arab", "eng_Latn", "hin_Deva", "hin_Latn", "kor_Hang", "zho_Hans", "zho_Hant"]
MASSIVE = ["ar-SA", "en-US", "hi-IN", "ko-KR", "zh-CN", "zh-TW"]
MMARCO = ["arabic", "chinese", "dutch", "english", "german", "hindi", "indonesian", "portuguese"]


@pytest.mark.parametrize(
    ("language", "spellings", "found"),
    [
        ("ko", BELEBELE, "kor_Hang"),
        ("ar", BELEBELE, "arb_Arab"),
        ("hi", BELEBELE, "hin_Deva"),
        ("hi-Latn", BELEBELE, "hin_Latn"),
        ("zh-Hant", BELEBELE, "zho_Hant"),
        ("zh", BELEBELE, "zho_Hans"),
        ("ja", BELEBELE, None),
        ("ko", MASSIVE, "ko-KR"),
        ("zh-Hans", MASSIVE, "zh-CN"),
        ("zh-Hant", MASSIVE, "zh-TW"),
        ("hi-Latn", MASSIVE, None),
        ("en", MMARCO, "english"),
        ("zh", MMARCO, "chinese"),
        ("ko", MMARCO, None),
        ("en", ["en_GB", "en-US"], "en-US"),
        ("en", ["en-US", "EN"], "EN"),
        ("pt-PT", ["pt-BR", "pt_PT"], "pt_PT"),
        ("ko", ["ko_KR.UTF-8"], "ko_KR.UTF-8"),
        ("en", ["und", "x-default", "text", ""], None),
        ("en", [], None),
    ],
)
def test_spellings(language, spellings, found):
    assert codes.find(language, spellings) == found
    assert codes.find(language, reversed(spellings)) == found


def test_what_is_given_wins_and_nothing_else_will_do():
    assert codes.find("zh-Hans", ["cn", "zh-CN"], {"zh-Hans": "cn"}) == "cn"
    assert codes.find("zh-Hans", ["CN"], {"zh-Hans": "cn"}) == "CN"
    assert codes.find("zh-Hans", ["zh-CN"], {"zh-Hans": "cn"}) is None
    assert codes.find("en", ["en-US"], {"en": "en-GB"}) is None
    assert codes.find("zh-Hans", ["zh-CN"], {"ko": "cn"}) == "zh-CN"
