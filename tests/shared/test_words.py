"""words: where they stand, in languages with spaces between them and without."""

import pytest

from stages.shared.words import parts, spaced, spans


@pytest.mark.parametrize(
    ("lang", "text", "wanted"),
    [
        ("en", "Don't say “well-known” 3.14 times…", ["Don't", "say", "well", "known", "3", "14", "times"]),
        ("it", "l’acqua d'oro '", ["l’acqua", "d'oro"]),
        ("hi", "हिन्दी की भाषा।", ["हिन्दी", "की", "भाषा"]),
        ("ko", "서울(Seoul)은 首都이다.", ["서울", "Seoul", "은", "首都이다"]),
        # A character beyond the first plane before them shifts nothing.
        ("zh", "😀中国的首都是北京，GDP很多。", ["中国", "的", "首都", "是", "北京", "GDP", "很多"]),
        ("ja", "東京は日本の首都です。", ["東京", "は", "日本", "の", "首都", "です"]),
        ("th", "ประเทศไทย ของ", ["ประเทศไทย", "ของ"]),
        ("km", "", []),
    ],
)
def test_words_stand_where_the_text_has_them(lang, text, wanted):
    assert [text[start:end] for start, end in spans(text, lang)] == wanted
    assert parts(text, lang)[1::2] == wanted and "".join(parts(text, lang)) == text


def test_which_languages_part_words_by_spaces():
    assert [lang for lang in ("en", "ko", "vi", "zh", "zh-Hant", "yue", "ja", "th", "lo", "my") if spaced(lang)] == [
        "en",
        "ko",
        "vi",
    ]
