"""filters: for each a text that fails it and its near miss; near-duplicates against a slow computation."""

import os
import random
import subprocess
import sys

import polars as pl
import pytest

from stages.settings.synthesize import Filters
from stages.shared import duplicates
from stages.shared.errors import UserError
from stages.synthesize import filters
from tests.conftest import ROOT

OFF = Filters(
    script=None,
    language=None,
    query_chars=None,
    passage_chars=None,
    boilerplate=False,
    copied=None,
    untranslated=None,
    duplicates=False,
    near_duplicates=None,
    label_leak=False,
)
ON = Filters(
    script=0.5,
    language=0.9,
    query_chars=[5, 300],
    passage_chars=[40, 6000],
    boilerplate=True,
    copied=0.9,
    untranslated=0.95,
    duplicates=True,
    near_duplicates=0.9,
    label_leak=True,
)
BLANK = {
    "lang": "en",
    "kind": "query",
    "passage": "",
    "label": "",
    "description": "",
    "given": False,
    "held_out": False,
}


def table(*rows):
    """Rows of `judge`; one that names no item gets a number of its own."""
    named = [{**BLANK, "item": f"i{number}", **row} for number, row in enumerate(rows)]
    return pl.DataFrame(named, schema=filters.JUDGED_TEXTS)


def judged(*rows, **settings):
    return filters.judge(table(*rows), OFF.model_copy(update=settings))


def fails(row, **settings):
    """What is wrong with the first text that fails, or None."""
    found = judged(row, **settings)
    return found["detail"][0] if len(found) else None


def dropped(*rows, **settings):
    """The items that fail."""
    return judged(*rows, **settings)["item"].to_list()


# ── Each text alone ──


@pytest.mark.parametrize(
    ("lang", "text", "detail"),
    [
        ("ko", "Which monk printed it?", "Hangul or Han 0% of the letters"),
        ("ko", "GitHub Pull Request 병합", "Hangul or Han 40% of the letters"),
        ("ko", "Vue 3 SSR 설정", None),
        ("ko", "React DOM 서버", None),
        ("ko", "Kubernetes Ingress 설정", None),
        ("ko", "漢字 表記", None),
        ("ja", "カードの再発行", None),
        ("ja", "サーバー Linux", None),  # ー is no letter of another script
        ("ja", "카드 재발행", "Han or Hiragana or Katakana 0% of the letters"),
        ("zh", "如何补办银行卡", None),
        ("zh", "カードを なくした", "Han 0% of the letters"),
        ("zh-Hant", "如何補辦銀行卡", None),
        ("zh-Hant", "カードを なくした", "Han 0% of the letters"),
        ("hi", "मेरा card खो गया", None),
        ("hi", "गति CPU", None),  # a vowel sign counts
        ("hi", "Mera card kho gaya", "Devanagari 0% of the letters"),
        ("hi-Latn", "Mera card kho gaya", None),
        ("hi-Latn", "मेरा कार्ड खो गया", "Latin 0% of the letters"),
        ("en", "Where is 경복궁?", "Latin 44% of the letters"),
        ("en", "Where in Seoul is 경복궁?", None),
        ("en", "1455-1536?", "no letters"),
        ("tlh-Piqd", "any letters", None),  # a script that Unicode lacks
    ],
)
def test_script(lang, text, detail):
    assert fails({"lang": lang, "text": text}, script=0.5) == detail


def test_the_share_of_a_script_is_a_setting():
    row = {"lang": "en", "text": "Where is 경복궁?"}  # seven letters, and three syllables of three
    assert fails(row, script=7 / 16) is None
    assert fails(row, script=7 / 16 + 0.001)


GERMAN = "Wie viele Punkte gab die Verteidigung ab?"
ENGLISH = "How many points did the defense give up?"


def test_language():
    rows = [
        {"item": "a", "lang": "de", "text": GERMAN},
        {"item": "b", "lang": "de", "text": ENGLISH},
        {"item": "c", "lang": "en", "text": GERMAN},
        {"item": "d", "lang": "en", "text": ENGLISH},
        {"item": "e", "lang": "de", "text": "Reset Passwort iPhone"},
    ]
    found = judged(*rows, language=0.9)
    assert found.select("item", "lang").rows() == [("b", "de"), ("c", "en")]
    assert found["detail"][0].startswith("English (")
    assert found["detail"][1].startswith("German (")
    assert dropped(*rows, language=1.0) == []


def test_language_is_told_among_the_languages_of_the_texts_that_share_a_script():
    german = {"item": "a", "lang": "en", "text": GERMAN}
    assert dropped(german, language=0.9) == []
    assert dropped(german, {"lang": "ko", "text": "수비는 몇 점을 내주었는가?"}, language=0.9) == []
    assert dropped(german, {"lang": "es", "text": "¿Cuántos puntos?"}, language=0.9) == []
    assert dropped(german, {"lang": "de", "text": "Punkte", "given": True}, language=0.9) == ["a"]
    # Another script is the filter before's.
    assert dropped({"lang": "ko", "text": ENGLISH}, {"lang": "en", "text": ENGLISH}, language=0.9) == []
    # Half of Korean's scripts is Chinese's.
    chinese = {"item": "a", "lang": "ko", "text": "谁为球队贡献的擒杀最多"}
    assert dropped(chinese, {"lang": "zh", "text": "黑豹队的防守丢了多少分"}, language=0.9) == ["a"]


def test_hinglish_is_neither_judged_nor_a_candidate():
    english = {"item": "a", "lang": "hi-Latn", "text": ENGLISH}
    assert dropped(english, {"lang": "en", "text": ENGLISH}, {"lang": "de", "text": GERMAN}, language=0.9) == []
    hinglish = {"item": "a", "lang": "en", "text": "Mera debit card market mein kahin kho gaya hai"}
    assert dropped(hinglish, {"lang": "hi-Latn", "text": "Mera card"}, language=0.9) == []


def test_length():
    rows = [{"item": f"{n:02}", "text": "  " + "x" * n + " "} for n in (3, 4, 9, 10)]
    found = judged(*rows, query_chars=[4, 9])
    assert found.select("item", "filter", "detail").rows() == [
        ("03", "too_short", "3 characters, fewer than 4"),
        ("10", "too_long", "10 characters, more than 9"),
    ]
    assert dropped(*rows, passage_chars=[4, 9]) == []
    assert dropped(*({**row, "kind": "passage"} for row in rows), passage_chars=[4, 9]) == ["03", "10"]


@pytest.mark.parametrize(
    "text",
    [
        "As an AI language model, I have no opinion on this",
        "I am an AI assistant and have no card",
        "I'm sorry, but I can't help with that request.",
        "I’m sorry, I cannot translate this text.",
        "According to the passage, when was the book printed?",
        "What does this passage say about Jikji, and the passage mentions a monk?",
        "Why was the monk famous in the above text?",
        "Here are the two queries you asked for",
        "Here is the translation: lost card",
        "Sure, here is one",
        "Query: lost debit card",
        "  **Question 2:** where is it?",
        '{"queries": ["lost debit card"]}',
        '"query": "lost debit card"',
        "```lost debit card",
        "lost card<|im_end|>",
        "Dear [insert name], my card is lost",
        "위 글에서 승려는 무엇을 했는가?",
        "이 글에 따르면 승려는 누구인가?",
        "지문에 따르면 무엇이 인쇄되었나?",
        "AI 언어 모델로서 의견이 없습니다",
        "죄송하지만 그 요청은 도와드릴 수 없습니다.",
        "다음은 요청하신 번역입니다.",
        "질문: 직지는 어디에 있나?",
        "एक एआई भाषा मॉडल के रूप में मेरी कोई राय नहीं है",
        "इस गद्यांश के अनुसार पुस्तक कब छपी?",
        "माफ़ करें, मैं इसमें मदद नहीं कर सकता",
        "प्रश्न: कार्ड कहाँ है?",
        "Is passage ke hisaab se kitab kab chhapi?",
        "Als KI-Sprachmodell habe ich keine Meinung",
        "Tut mir leid, aber ich kann dir dabei nicht weiterhelfen.",
        "Wann wurde das Buch laut dem Text gedruckt? Laut dem Text.",
        "Frage: Wo ist die Karte?",
        "AIモデルとして意見はありません",
        "申し訳ありませんが、お答えできません。",
        "上記の文章で述べられている僧は誰ですか",
        "質問：カードはどこですか",
        "作为一个AI语言模型，我没有意见",
        "抱歉，我无法回答这个问题",
        "根据这段文字，这本书是什么时候印刷的？",
        "問題：卡在哪裡？",
        "Como modelo de lenguaje, no tengo opinión",
        "¿Quién imprimió el libro según el pasaje?",
        "Pregunta: ¿dónde está mi tarjeta?",
        "En tant que modèle de langage, je n'ai pas d'avis",
        "Qui a imprimé le livre selon le passage ?",
        "Traduction : carte perdue",
    ],
)
def test_boilerplate(text):
    assert fails({"text": text}, boilerplate=True).startswith('says "')
    assert fails({"text": text.upper()}, boilerplate=True)


@pytest.mark.parametrize(
    "text",
    [
        "I am sorry for the late reply, where is my refund",
        "I'm sorry, but I can't find my refund",
        "a passage to India",
        "who first sailed the Northwest Passage?",
        "does the passage of time heal?",
        "working as an AI engineer",
        "according to the text of the treaty, who owns the island?",
        "where is the translation of the Bible by Luther kept?",
        "here is my question about the refund",
        "how to query a table by date",
        'read a value with data["key"]',
        "use of < and > in HTML, <s> for struck text",
        "바위 위 글씨는 누가 새겼나?",
        "지문 인식 센서는 어떻게 움직이나?",
        "죄송한데 환불은 언제 되나요?",
        "질문이 있어요, 카드가 안 돼요",
        "अनुच्छेद 370 के अनुसार क्या बदला?",
        "Sorry bhai, mera card nahi chal raha",
        "Entschuldigung, ich kann meine Karte nicht finden",
        "laut Gesetz, im Text der Nationalhymne",
        "カードの質問です",
        "申请贷款需要提供的材料",
        "抱歉，我的卡丢了",
        "lo siento, no puedo pagar",
        "je suis désolé, je ne peux pas payer",
    ],
)
def test_honest_texts_are_no_boilerplate(text):
    assert fails({"text": text}, boilerplate=True) is None


def patterns(tmp_path, monkeypatch, text):
    path = tmp_path / "phrases.txt"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(filters, "BOILERPLATE", path)


def test_patterns_of_the_file_are_each_a_line(tmp_path, monkeypatch):
    # One spelling of the Hindi letter is one code point, the other two.
    patterns(tmp_path, monkeypatch, "# a comment\n\n  lost|found  \n\u0958लम\n")
    texts = ["ＬＯＳＴ", "it is found", "# a comment", "\u0958लम", "\u0915\u093cलम", "कलम"]
    assert dropped(*({"text": text} for text in texts), boilerplate=True) == ["i0", "i1", "i3", "i4"]
    patterns(tmp_path, monkeypatch, "# nothing\n")
    assert dropped({"text": "lost"}, boilerplate=True) == []


@pytest.mark.parametrize(("pattern", "reason"), [("(open", "is no regular expression"), ("x*", "fits an empty text")])
def test_a_bad_pattern_is_told_with_its_line(tmp_path, monkeypatch, pattern, reason):
    patterns(tmp_path, monkeypatch, f"# a comment\n{pattern}\n")
    with pytest.raises(UserError, match=rf"phrases\.txt:2 .*{reason}"):
        fails({"text": "lost"}, boilerplate=True)


PASSAGE = (
    "In 1377 monks near Cheongju printed an anthology of Zen teachings with cast metal type. "
    "It is kept at the National Library of France in Paris, where the librarian found it."
)


@pytest.mark.parametrize(
    ("text", "passage", "detail"),
    [
        ("monks near Cheongju printed an anthology", PASSAGE, "copies 6 of 6 words"),
        ("MONKS, near Cheongju: printed… an anthology?", PASSAGE, "copies 6 of 6 words"),
        ("near Cheongju printed an anthology of Zen teachings with cast iron", PASSAGE, "copies 10 of 11 words"),
        ("Cheongju printed an anthology of Zen teachings with cast iron", PASSAGE, None),  # 9 of 10
        ("where the librarian found it", PASSAGE, "copies 5 of 5 words"),
        ("who printed an anthology of Zen teachings?", PASSAGE, None),
        ("1377 monks Zen library Paris", PASSAGE, None),  # in order, but not together
        ("anthology an printed Cheongju near monks", PASSAGE, None),
        ("cast metal type", PASSAGE, None),
        ("monks near Cheongju printed an anthology", "", None),
        ("근처의 승려들이 금속 활자로", "청주 근처의 승려들이 금속 활자로 찍었다", "copies 4 of 4 words"),
        ("근처의 승려들은 금속 활자로", "청주 근처의 승려들이 금속 활자로 찍었다", None),
        ("僧侣用金属活字印刷", "1377年，僧侣用金属活字印刷了禅宗语录", "copies 9 of 9 words"),
        ("金属活字印刷", "1377年，僧侣用金属活字印刷了禅宗语录", None),  # six characters: a term
        ("कार्ड खो गया है", "मेरा कार्ड खो गया है आज", "copies 4 of 4 words"),
        ("कार्डों खो गया है", "मेरा कार्ड खो गया है आज", None),
    ],
)
def test_copied(text, passage, detail):
    assert fails({"text": text, "passage": passage}, copied=0.9) == detail


def test_how_much_may_be_copied_is_a_setting():
    row = {"text": "monks near Seoul printed an anthology", "passage": PASSAGE}
    assert fails(row, copied=0.9) is None
    assert fails(row, copied=0.8) == "copies 5 of 6 words"


LOST = "The customer has lost their card and wants to report it or get a replacement."


@pytest.mark.parametrize(
    ("text", "label", "detail"),
    [
        ("what about card_lost", "cards/card_lost", "names its label card_lost"),
        ("what about Cards/Card_Lost", "cards/card_lost", "names its label cards/card_lost"),
        ("my Card, lost yesterday", "cards/card_lost", 'names its label: "card lost"'),
        ("my card was lost yesterday", "cards/card_lost", None),
        ("I lost my card", "cards/card_lost", None),
        ("discard lost mail", "cards/card_lost", None),
        ("get weather now", "GET_WEATHER", 'names its label: "get weather"'),
        ("card lost again", "CardLost", 'names its label: "card lost"'),
        ("where is my refund", "refund", None),
        ("where is my refund", "orders/refund", None),
        ("what is orders/refund", "orders/refund", "names its label orders/refund"),
        ("their card and wants to report it", "cards/card_lost", "copies 7 of 7 words from its label's description"),
        ("my card and I want to report it", "cards/card_lost", None),
        ("my card_lost", "", None),
    ],
)
def test_label_leak(text, label, detail):
    row = {"text": text, "label": label, "description": LOST if label else ""}
    assert fails(row, label_leak=True) == detail
    assert fails({**row, "kind": "passage"}, label_leak=True) is None


# ── Texts beside others ──


def test_untranslated():
    rows = [
        {"item": "a", "lang": "en", "text": "Where can I report a lost card?"},
        {"item": "a", "lang": "hi-Latn", "text": "where can I report a lost card"},
        {"item": "b", "lang": "en", "text": "Where can I report a lost card?"},
        {"item": "b", "lang": "hi-Latn", "text": "Lost card kahan report karu?"},
        {"item": "c", "lang": "en", "text": "Louvre"},
        {"item": "c", "lang": "fr", "text": "Louvre"},
        {"item": "d", "lang": "en", "text": "Louvre-Lens opening"},
        {"item": "d", "lang": "fr", "text": "Louvre-Lens opening"},
        {"item": "e", "lang": "en", "text": "Where can I report a lost card?"},
        {"item": "e", "lang": "fr", "text": "Where can I report a lost card?", "kind": "passage"},
        {"item": "f", "lang": "en", "text": "go to bed"},
        {"item": "f", "lang": "fr", "text": "go to bed"},
    ]
    found = judged(*rows, untranslated=0.95)
    assert found.select("item", "lang", "detail").rows() == [
        ("a", "hi-Latn", "like the text in English (1.00)"),
        ("d", "fr", "like the text in English (1.00)"),
        ("f", "fr", "like the text in English (1.00)"),
    ]


def test_how_like_a_translation_may_be_is_a_setting():
    rows = [{"item": "a", "lang": "en", "text": "weekend weather forecast"}]
    rows += [{"item": "a", "lang": "hi-Latn", "text": "weekend ka weather forecast"}]
    assert judged(*rows, untranslated=0.97).is_empty()
    assert judged(*rows, untranslated=0.95)["lang"].to_list() == ["hi-Latn"]


def test_the_given_text_is_the_source_of_a_translation():
    rows = [
        {"item": "a", "lang": "en", "text": "Where can I report a lost card?"},
        {"item": "a", "lang": "hi-Latn", "text": "Where can I report a lost card?", "given": True},
    ]
    assert judged(*rows, untranslated=0.95)["lang"].to_list() == ["en"]


def test_what_is_trained_on_goes_for_what_is_measured_on():
    twice = {"text": "Where can I report a lost card?"}
    assert dropped({"item": "a", **twice}, {"item": "b", **twice, "held_out": True}, duplicates=True) == ["a"]
    assert dropped({"item": "a", **twice}, {"item": "b", **twice}, duplicates=True) == ["b"]


@pytest.mark.parametrize(("given", "failing"), [(False, ["en"]), (True, ["fr"])])
def test_a_text_that_fails_is_compared_with_only_if_it_is_given(given, failing):
    # Like its neighbour, but the third is unlike the first.
    rows = [{"lang": "de", "text": "abcdefgh ijklmno p"}, {"lang": "en", "text": "abcdefgh ijklmno"}]
    rows += [{"lang": "fr", "text": "cdefgh ijklmno"}]
    rows = [{**row, "item": "x", "given": given and row["lang"] != "fr"} for row in rows]
    assert judged(*rows, untranslated=0.9)["lang"].to_list() == failing


def test_duplicates():
    rows = [
        {"item": "a", "text": "Who won Super Bowl 50?"},
        {"item": "b", "text": "ＷＨＯ won\u00a0super-bowl 50"},
        {"item": "c", "text": "Who won Super Bowl 49?"},
        {"item": "d", "text": "Who won Super Bowl 50?", "lang": "de"},
        {"item": "e", "text": "Who won Super Bowl 50?", "kind": "passage"},
        {"item": "f", "text": "Learn C#"},
        {"item": "g", "text": "Learn C"},
        {"item": "h", "text": "is 1.5 % much?"},
        {"item": "i", "text": "is 15 % much?"},
        {"item": "j", "text": "Super Bowl won who 50?"},
    ]
    found = judged(*rows, duplicates=True)
    assert found.rows() == [("b", "en", "query", "duplicate", "the same as a")]
    assert judged(*rows).is_empty()


LONG = "Where in Paris is the old Korean book kept that monks printed with metal type long before Gutenberg"


def test_near_duplicates():
    rows = [
        {"item": "a", "text": LONG},
        {"item": "b", "text": LONG + "s"},
        {"item": "c", "text": LONG.replace("Korean", "Chinese")},
        {"item": "d", "text": LONG + "s", "lang": "de"},
        {"item": "e", "text": LONG + "s", "kind": "passage"},
    ]
    found = judged(*rows, near_duplicates=0.9)
    assert found.rows() == [("b", "en", "query", "near_duplicate", "like a (0.99)")]
    assert dropped(*rows, near_duplicates=0.7) == ["b", "c"]


def test_a_text_that_fails_makes_no_other_a_duplicate():
    rows = [{"item": "a", "text": "Query: " + LONG}, {"item": "b", "text": "query " + LONG}]
    assert dropped(*rows, boilerplate=True, duplicates=True, near_duplicates=0.9) == ["a"]
    chain = [{"item": f"{n}", "text": LONG[:60] + "x" * n} for n in range(12)]
    found = judged(*chain, near_duplicates=0.9)
    assert set(found["detail"].str.extract(r"like (\d+)").to_list()).isdisjoint(found["item"])
    assert found["item"][0] == "1"


# ── All together ──


def mixed(seed):
    """Texts that fail every filter, and some that fail none, of which some are given."""
    rng = random.Random(seed)
    texts = [
        LONG,
        LONG + "s",
        LONG.upper(),
        "Query: lost card",
        "x",
        "y" * 400,
        "cast metal type",
        "monks near Cheongju",
    ]
    texts += [
        "monks near Cheongju printed an anthology",
        "my card_lost",
        GERMAN,
        ENGLISH,
        "카드를 잃어버렸어요",
        "1377",
    ]
    rows = []
    for number in range(120):
        base = {"item": f"i{number:03}", "passage": PASSAGE, "label": "cards/card_lost", "description": LOST}
        same = rng.choice([*texts, f"{LONG} {number}"])
        for lang in ("en", "de"):
            text = rng.choice([same, rng.choice(texts), f"{LONG} {number}"])
            rows.append({**base, "lang": lang, "text": text, "given": rng.random() < 0.2})
    return rows


def test_each_filter_fails_some_and_each_text_fails_once():
    rows = mixed(1)
    found = filters.judge(table(*rows), ON)
    numbers = filters.counts(found)
    assert list(numbers) == [
        "script",
        "language",
        "too_short",
        "too_long",
        "boilerplate",
        "copied",
        "label_leak",
        "untranslated",
        "duplicate",
        "near_duplicate",
    ]
    assert min(numbers.values()) > 0
    assert sum(numbers.values()) == len(found) == len(found.unique(["item", "lang", "kind"]))
    assert found.schema == pl.Schema(filters.FAILED_TEXTS)
    assert found.equals(found.sort("item", "lang", "kind"))
    assert found["detail"].null_count() == 0


def test_counts_name_the_filters_that_failed_nothing():
    assert set(filters.counts(judged()).values()) == {0}
    assert filters.counts(judged({"text": "x"}, query_chars=[5, 9]))["too_short"] == 1
    assert filters.judge(table(), ON).schema == pl.Schema(filters.FAILED_TEXTS)


def test_the_first_filter_that_a_text_fails_is_named():
    row = {"lang": "ko", "text": "Query: x"}
    assert filters.judge(table(row), ON)["filter"].to_list() == ["script"]
    assert filters.judge(table(row), ON.model_copy(update={"script": None}))["filter"].to_list() == ["boilerplate"]


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_rows_changes_nothing(seed):
    rows = mixed(seed)
    found = filters.judge(table(*rows), ON)
    random.Random(seed + 10).shuffle(rows)
    assert filters.judge(table(*rows), ON).equals(found)


def test_given_texts_never_fail_but_others_fail_by_them():
    rows = mixed(4)
    found = filters.judge(table(*rows), ON)
    given = {(row["item"], row["lang"]) for row in rows if row["given"]}
    assert given
    assert given.isdisjoint(found.select("item", "lang").rows())
    # Both given ones stay, though nearly the same, and each has its copies.
    two = [{"item": f"z{n}", "text": LONG + "s" * n, "given": True} for n in (0, 12)]
    copies = [{"item": f"a{n}", "text": LONG + "s" * n + "!"} for n in (0, 12)]
    nearly = {"item": "a9", "text": LONG + "s" * 12 + "t"}
    found = judged(*two, *copies, nearly, duplicates=True, near_duplicates=0.7)
    assert found["item"].to_list() == ["a0", "a12", "a9"]
    assert found["detail"].to_list() == ["the same as z0", "the same as z12", "like z12 (0.99)"]


@pytest.mark.slow
def test_nothing_depends_on_the_hash_seed():
    script = (
        "from tests.synthesize import test_filters as t\n"
        "print(t.filters.judge(t.table(*t.mixed(1)), t.ON).write_json(), end='')"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("0", "1")
    ]
    outputs = [process.communicate()[0] for process in processes]
    assert outputs[0] == outputs[1] == filters.judge(table(*mixed(1)), ON).write_json()


# ── Near-duplicates ──


def spoilt(text, rng):
    """`text` with a few characters changed."""
    letters = list(text)
    for _ in range(rng.randint(0, 12)):
        letters[rng.randrange(len(letters))] = rng.choice("abcdefgh 가나다라")
    return "".join(letters)


def slowly(texts, threshold, fixed):
    """The same greedy choice, every pair counted."""
    kept, found = [], []
    for number, text in enumerate(texts):
        own = duplicates.grams(text)
        similarity = {other: len(own & g) / len(own | g) for other, g in kept}
        best = max(similarity.items(), key=lambda pair: (pair[1], -pair[0]), default=None)
        if best and best[1] >= threshold and number >= fixed:
            found.append(best)
        else:
            found.append(None)
            kept.append((number, own))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.8, 0.9, 1.0])
@pytest.mark.parametrize("fixed", [0, 40])
def test_near_finds_what_every_pair_counted_finds(threshold, fixed):
    rng = random.Random(1)
    bases = ["".join(rng.choice("abcdefgh 가나다라") for _ in range(rng.randint(20, 120))) for _ in range(20)]
    texts = [duplicates.plain(spoilt(rng.choice(bases), rng)) for _ in range(200)]
    found = duplicates.near(texts, threshold, fixed)
    assert found == slowly(texts, threshold, fixed)
    assert sum(pair is not None for pair in found) > 2
    assert all(pair is None for pair in found[:fixed])


def test_grams_count_wide_characters_twice():
    assert duplicates.grams("abcde") == {"abcd", "bcde"}
    assert len(duplicates.grams("가나다라") & duplicates.grams("가나다마")) == 3  # 가나, 나다 and between
    assert duplicates.grams("ab") == {"ab"}
    assert duplicates.grams("가나") != duplicates.grams("나가")


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("Lost card?", "lost  CARD", True),
        ("Straße", "STRASSE", True),
        ("ｶｰﾄﾞ", "カード", True),
        ("COVID-19", "covid 19", True),
        ("\ufeffcard", "card", True),
        ("1.5 km", "15 km", False),
        ("C++", "C", False),
        ("C#", "C", False),
        ("5 %", "5", False),
    ],
)
def test_plain(left, right, same):
    assert (duplicates.plain(left) == duplicates.plain(right)) is same
