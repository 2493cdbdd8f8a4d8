"""Which texts are no translation, and which are rightly the same in several languages."""

import polars as pl
import pytest

from stages.shared import untranslated
from stages.shared.languages import related

SAID = "Open the settings page and press the second button."


def failing(**texts):
    """The languages of one item's texts that are no translation."""
    texts = {lang.replace("_", "-"): pl.Series([text]) for lang, text in texts.items()}
    return [lang for lang, failed in untranslated.judge(texts).items() if failed.any()]


def test_the_same_or_nearly_the_same_text_in_two_languages():
    assert failing(en=SAID, de=SAID) == ["de"]
    assert failing(en=SAID, de=SAID.replace(".", "!!").upper().capitalize()) == ["de"]
    assert failing(en=SAID, de=SAID.replace("second", "seconds")) == ["de"]
    assert failing(en=SAID, de="Öffnen Sie die Seite mit den Einstellungen.", fr=SAID) == ["fr"]
    assert failing(en=SAID, de=None, fr="") == []


def test_a_text_in_another_script_whatever_the_order():
    korean = "설정 페이지를 열고 둘째 단추를 누르세요."
    assert failing(en=SAID, ko=SAID) == failing(ko=SAID, en=SAID) == ["ko"]
    assert failing(ko=SAID) == ["ko"]
    assert failing(en=korean, ko=korean) == ["en"]
    assert failing(ko="React DOM 서버를 Node.js에서 실행하고 useState hook을 쓰세요") == []


@pytest.mark.parametrize(
    "text",
    [
        "OK",
        "Mozilla Firefox",
        "Jean Dupont, Marie Curie",
        "1,024 / 2,048 MB",
        "https://example.org/a/long/path?with=query",
        "useState(initialState)",
        "git log --oneline main..HEAD -n 3",
        "東京都千代田区",
    ],
)
def test_names_numbers_code_and_short_texts_may_be_the_same(text):
    assert failing(en=text, de=text, ko=text) == []


@pytest.mark.parametrize("text", ["how to install docker", "weather forecast", "全部的按钮都在设置页面的下面"])
def test_short_prose_may_not(text):
    assert failing(en=text, de=text, ja=text)


def test_related_languages_may_say_the_same():
    assert failing(en_GB=SAID, en_US=SAID) == []
    assert failing(pt="Abra a página de configurações agora.", pt_BR="Abra a página de configurações agora.") == []
    serbian = "Otvorite stranicu sa postavkama i pritisnite dugme."
    assert failing(hr=serbian, sr=serbian) == failing(sr=serbian) == []  # sr alone is written in both scripts
    assert failing(sr_Cyrl=serbian) == ["sr-Cyrl"]
    hinglish = "settings page kholo aur doosra button dabao"
    assert failing(hi=hinglish, hi_Latn=hinglish) == ["hi"]
    assert failing(en=SAID, hi_Latn=SAID) == ["hi-Latn"]


@pytest.mark.parametrize(
    ("one", "other", "are"),
    [
        ("no", "nb", True),
        ("nb", "da", True),
        ("cs", "sk", True),
        ("zh-Hans", "zh-Hant", True),
        ("sr-Latn", "sr-Cyrl", True),
        ("lb", "de", False),  # CLDR's distance is short one way alone
        ("uk", "ru", False),
        ("cy", "en", False),
    ],
)
def test_languages_that_are_related(one, other, are):
    assert related(one, other) == related(other, one) == are


def test_rows_of_a_table():
    rows = [("a", "en", SAID), ("b", "ko", SAID), ("a", "de", SAID), ("b", "en", SAID), ("c", "de", SAID)]
    table = pl.DataFrame(rows, schema=["query", "lang", "text"], orient="row")
    assert untranslated.rows(table, "query", ["en", "ko"]).to_list() == [False, True, True, False, False]
    assert untranslated.rows(table.clear(), "query", ["en"]).to_list() == []
