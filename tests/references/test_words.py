"""words: what counts as a word, in scripts with spaces and without."""

import pytest

from stages.references.words import words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Don't stop, L'Étoile!", ["don", "t", "stop", "l", "étoile"]),
        ("Straße STRASSE ﬁn", ["strasse", "strasse", "fin"]),
        ("Rust-2021 ＭＰ３ mp3", ["rust", "2021", "mp3", "mp3"]),
        ("e\u0301te\u0301", ["été"]),
        ("हिन्दी में किताबें", ["हिन्दी", "में", "किताबें"]),
        ("분석한다 은", ["분석", "석한", "한다", "은"]),
        ("K팝 12월", ["k", "팝", "12", "월"]),
        ("我爱iPhone。", ["我爱", "iphone"]),
        ("東京タワー ｶｰﾄﾞ", ["東京", "京タ", "タワ", "ワー", "カー", "ード"]),
        # Vowel signs stay with their letters.
        ("ที่นี่", ["ที่นี่"]),
        ("ผู้ชาย", ["ผู้ช", "ชา", "าย"]),
        ("a b a", ["a", "b", "a"]),
        (" ,.!", []),
    ],
)
def test_words(text, found):
    assert words(text) == found
