"""Where sentences end, with and without spaces."""

import pytest

from stages.shared import sentences


@pytest.mark.parametrize(
    "pieces",
    [
        ["One.", "Two?", "Three v1.2!", "Four"],
        ["한 문장이다.", "les는 둘째다."],
        ["これは本です。", "それは何ですか？", "「行く。」と言った。", "（終わり。）", "次。"],
        ["他说：“你好。”", "我走了。", "真的？！", "好……对。"],
        ["真的吗?", "我不知道!", "好"],
        ["यह है।", "वह है।", "और"],
        ["السلام؟", "نعم۔", "لا"],
        ["Known kinds:\u2029", "one\u2029", "two.", "three"],
    ],
)
def test_sentences(pieces):
    between = " " if pieces[0].isascii() or not any("\u3000" < c < "\ua000" for c in pieces[0]) else ""
    assert sentences.split(between.join(pieces)) == [piece.strip() for piece in pieces]


def test_nothing_has_no_sentence():
    assert sentences.split(" \u2029 ") == []
