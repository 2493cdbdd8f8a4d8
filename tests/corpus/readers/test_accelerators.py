"""Accelerators leave the texts that they stand in, and what looks like one stays."""

import pytest

from stages.corpus.readers.accelerators import without


@pytest.mark.parametrize(
    ("texts", "freed"),
    [
        (("&Open", "열기(&O)"), ("Open", "열기")),
        (("_Save As...", "다른 이름으로 저장 (_S)..."), ("Save As...", "다른 이름으로 저장...")),
        (("E&xit", "B&eenden"), ("Exit", "Beenden")),
        (("Zoom _In", "Ver_größern"), ("Zoom In", "Vergrößern")),
        (("E_xit", "끝내기(_X)"), ("Exit", "끝내기")),
        (("&Open", "열기"), ("Open", "열기")),
        (("Open", "Öff&nen"), ("Open", "Öff&nen")),
        # No accelerators.
        (("R&D", "F&E"), ("R&D", "F&E")),
        (("AT&T", "AT&T"), ("AT&T", "AT&T")),
        (("Save & quit", "저장 & 종료"), ("Save & quit", "저장 & 종료")),
        (("&amp; more", "&nbsp;그리고"), ("&amp; more", "&nbsp;그리고")),
        (("snake_case", "snake_case"), ("snake_case", "snake_case")),
        (("_note_ this", "_이것_"), ("_note_ this", "_이것_")),
        (("__init__", "__init__"), ("__init__", "__init__")),
        (("a?x=1&lang=2", "b?y=1&sprache=2"), ("a?x=1&lang=2", "b?y=1&sprache=2")),
        (("&One &Two", "&Eins &Zwei"), ("&One &Two", "&Eins &Zwei")),
        (("", ""), ("", "")),
    ],
)
def test_accelerators(texts, freed):
    assert without(dict(zip("ab", texts, strict=True))) == dict(zip("ab", freed, strict=True))
