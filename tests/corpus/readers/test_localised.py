"""Readers of localised software: PO and XLIFF."""

from collections import Counter

import pytest

from stages.shared.errors import UserError
from tests.corpus.readers.reading import read

TEXTS = ("text_en", "text_ko")


def header(language="ko", charset="UTF-8"):
    named = f'"Language: {language}\\n"\n' if language else ""
    return f'# A translation\nmsgid ""\nmsgstr ""\n{named}"Content-Type: text/plain; charset={charset}\\n"\n\n'


def po(path, text, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))


ENTRIES = """#: a.c:1
msgid "Save "
"as \\"%s\\"\\n"
msgstr "저장 "
"\\t이름"

#, fuzzy
msgid "fuzzy"
msgstr "흐림"

msgid "untranslated"
msgstr ""

msgctxt "month"
msgid "May"
msgstr "5월"

msgctxt "verb"
msgid "May"
msgstr "할 수 있다"

#, c-format
msgid "%d file"
msgid_plural "%d files"
msgstr[0] "파일 %d개"

#~ msgid "gone"
#~ msgstr "없음"
"""


def test_entries_without_the_fuzzy_the_obsolete_and_the_untranslated(here):
    po(here / "ko.po", header() + ENTRIES)
    dropped = Counter()
    found = read("line", "id", *TEXTS, source="po", path="ko.po", original="en", dropped=dropped)
    assert [row[2:] for row in found] == [
        ('Save as "%s"\n', "저장 \t이름"),
        ("May", "5월"),
        ("May", "할 수 있다"),
        ("%d file", "파일 %d개"),
    ]
    assert [row[0] for row in found] == [7, 20, 24, 28]
    assert len({row[1] for row in found}) == 4
    assert all(row[1].startswith("ko.po#") for row in found)
    assert dropped == {"fuzzy or untranslated units": 2, "obsolete units": 1}


@pytest.mark.parametrize(
    ("charset", "encoding"), [("EUC-KR", "euc-kr"), ("cp949", "cp949"), ("UTF-8", "utf-8-sig"), ("CHARSET", "cp949")]
)
def test_the_headers_charset_is_that_of_the_file(here, charset, encoding):
    text = header(charset=charset).replace("A translation", "번역") + 'msgid "charset=x"\nmsgstr "하나"\n'
    po(here / "ko.po", text.replace("\n", "\r\n"), encoding)
    settings = {"source": "po", "path": "ko.po", "original": "en", "encoding": "cp949"}
    assert read(*TEXTS, **settings) == [("charset=x", "하나")]


@pytest.mark.parametrize(
    ("text", "encoding", "message"),
    [
        (header() + 'msgid "a"\nmsgstr "é"\n', "latin-1", r"ko\.po:8 is not utf-8"),
        (header() + 'msgid "a\nmsgstr "b"\n', "utf-8", r"ko\.po is no PO \(end-of-line within string on line 7"),
        (header() + 'msgid "a"\nmsgstr "b"\nwhat\n', "utf-8", r"ko\.po is no PO \(Syntax error on line 9"),
        (
            header(charset="klingon") + 'msgid "a"\nmsgstr "b"\n',
            "utf-8",
            r"ko\.po is in klingon, which Python does not",
        ),
        (header(language=""), "utf-8", r"ko\.po does not say its language: add Language to its header"),
    ],
)
def test_po_that_is_broken_is_told(here, text, encoding, message):
    po(here / "ko.po", text, encoding)
    with pytest.raises(UserError, match=message):
        read("id", source="po", path="ko.po", original="en")


def test_translations_into_several_languages_are_joined(here):
    for lang, one in (("ko", "하나"), ("de_DE", "eins"), ("en", "edited")):
        po(here / f"set/{lang}/LC_MESSAGES/a.po", header("xx") + f'msgctxt "m"\nmsgid "one"\nmsgstr "{one}"\n')
    po(here / "set/en/LC_MESSAGES/own.po", header("en") + 'msgid "own"\nmsgstr "Own"\n')
    po(here / "set/ko/LC_MESSAGES/b.po", header("ko") + 'msgctxt "m"\nmsgid "one"\nmsgstr "일"\n')
    settings = {"source": "po", "path": "set", "original": "en"}
    names = ("text_en", "text_de", "text_ko")
    found = read("file", *names, languages=["en", "de", "ko"], **settings, files="{lang}/LC_MESSAGES/*.po")
    assert found == [
        # What English has a file for is not its msgid.
        ("set/de_DE/LC_MESSAGES/a.po", "edited", "eins", "하나"),
        ("set/ko/LC_MESSAGES/b.po", "one", None, "일"),
        ("set/en/LC_MESSAGES/own.po", "Own", None, None),
    ]
    assert read("text_de", "text_ko", languages=["de", "ko"], **settings, files="{lang}/**/a.po") == [("eins", "하나")]


def test_without_a_language_in_the_path_the_header_says_it(here):
    po(here / "set/x.po", header("ko_KR") + 'msgid "one"\nmsgstr "하나"\n')
    po(here / "set/y.po", header("de") + 'msgid "one"\nmsgstr "eins"\n\nmsgid "two"\nmsgstr "zwei"\n')
    po(here / "set/y2.po", header("ko") + 'msgid "one"\nmsgstr "일"\n')
    po(here / "set/z.po", header("fr") + 'msgid "one"\nmsgstr "un"\n')
    names = ("text_en", "text_de", "text_ko")
    found = read(*names, languages=["en", "de", "ko"], source="po", path="set", original="en")
    # `ko` is nearer to Korean than `ko_KR`, though it comes later.
    assert found == [("one", "eins", "일"), ("two", "zwei", None)]


def entry(msgid, msgstr):
    return f'msgid "{msgid}"\nmsgstr "{msgstr}"\n\n'


def test_a_regional_variant_beside_its_language_is_not_taken_for_it(here):
    for lang, text in (("pt", "ficheiro"), ("pt_BR", "arquivo"), ("en_GB", "colour")):
        po(here / f"loc/{lang}/app.po", header(lang) + entry("color file", text))
    settings = {"source": "po", "path": "loc", "original": "en"}
    for files in ({"files": "{lang}/*.po"}, {}):
        assert read("text_en", "text_pt-BR", languages=["en", "pt-BR"], **settings, **files) == [
            ("color file", "arquivo")
        ]
    asked = {"languages": ["pt-PT", "pt-BR", "en"], "files": "{lang}/*.po"}
    columns = ("text_pt-PT", "text_pt-BR", "text_en")
    assert read(*columns, **asked, **settings) == [("ficheiro", "arquivo", "color file")]
    given = settings | {"codes": {"pt-BR": "pt", "en": "en_GB"}}
    assert read(*columns, **asked, **given) == [(None, "ficheiro", "colour")]
    (here / "loc/pt_BR/app.po").unlink()
    assert read(*columns, **asked, **settings) == [(None, "ficheiro", "color file")]


@pytest.mark.parametrize("original", ["en", None])
def test_keys_are_no_texts_and_the_languages_own_file_has_them(here, original):
    keys = {"checkout.pay.button": ("Pay now", "지금 결제"), "cart_empty": ("", "비어 있음"), "title": ("Shop", "상점")}
    po(here / "loc/en.po", header("en") + "".join(entry(key, en) for key, (en, _) in keys.items()))
    po(here / "loc/ko.po", header("ko") + "".join(entry(key, ko) for key, (_, ko) in keys.items()))
    dropped = Counter()
    found = read(*TEXTS, source="po", path="loc", files="{lang}.po", original=original, dropped=dropped)
    assert found == [("Pay now", "지금 결제"), ("Shop", "상점"), (None, "비어 있음")]
    kinds = {"en": "units whose msgid is a key, not a text", None: "fuzzy or untranslated units"}
    assert dropped == {kinds[original]: 1}
    # Without a file of its own English has the msgids that are no keys, or none.
    (here / "loc/en.po").unlink()
    found = read(*TEXTS, source="po", path="loc", original=original)
    assert found == [(None, "지금 결제"), (None, "비어 있음"), ("title" if original else None, "상점")]


def test_an_english_file_of_empty_translations_leaves_the_msgids(here):
    po(here / "loc/en/a.po", header("en") + entry("one", "") + entry("two", "Two!"))
    po(here / "loc/ko/a.po", header("ko") + entry("one", "하나") + entry("two", "둘"))
    dropped = Counter()
    settings = {"source": "po", "path": "loc", "files": "{lang}/*.po", "original": "en", "dropped": dropped}
    assert sorted(read(*TEXTS, **settings)) == [("Two!", "둘"), ("one", "하나")]
    assert dropped == {}


def test_accelerators_leave_the_texts_and_are_counted(here):
    po(here / "ko.po", header() + entry("&Open", "열기(&O)") + entry("_Save", "저장(_S)") + entry("R&D", "R&D"))
    noted = Counter()
    assert read(*TEXTS, source="po", path="ko.po", original="en", noted=noted) == [
        ("Open", "열기"),
        ("Save", "저장"),
        ("R&D", "R&D"),
    ]
    assert noted == {"freed of accelerators (&Open, _Save)": 2}


def test_ids_of_messages_hold_when_others_come_before_them(here):
    settings = {"source": "po", "path": "ko.po", "original": "en"}
    po(here / "ko.po", header() + 'msgid "one"\nmsgstr "하나"\n')
    before = read("id", **settings)
    po(here / "ko.po", header() + 'msgid "new"\nmsgstr "새"\n\nmsgid "one"\nmsgstr "일"\n')
    assert read("id", **settings)[1:] == before


def xliff(path, *units, target="ko-KR", original="app", namespace="urn:oasis:names:tc:xliff:document:1.2"):
    path.parent.mkdir(parents=True, exist_ok=True)
    trg = f' target-language="{target}"' if target else ""
    path.write_text(
        f'<?xml version="1.0"?>\n<xliff version="1.2" xmlns="{namespace}"><file original="{original}" '
        f'source-language="en-US"{trg} datatype="x"><header><note>no</note></header><body><group id="g">'
        f"{''.join(units)}</group></body></file></xliff>"
    )


def trans(name, source, target=None, state="", more=""):
    state = f' state="{state}"' if state else ""
    given = "" if target is None else f"<target{state}>{target}</target>"
    return f'<trans-unit id="{name}"{more}><source>{source}</source>{given}<note>no</note></trans-unit>'


def test_xliff_1_and_its_states_and_inline_elements(here):
    alternative = "<alt-trans><source>no</source><target>no</target></alt-trans></trans-unit>"
    xliff(
        here / "a.xlf",
        trans("1", 'Hi <g id="1">you</g><x id="2"/>&amp; <ph id="3">{0}</ph>me', '안녕 <mrk mtype="x">너</mrk>'),
        trans("2", "signed", "서명", "signed-off"),
        trans("3", "review", "검토", "needs-review-translation"),
        trans("4", "new", "새", "new"),
        trans("5", "none"),
        trans("6", "empty", " "),
        trans("7", "fixed", "fixed", more=' translate="no"'),
        trans("8", "alt").replace("</trans-unit>", alternative),
    )
    dropped = Counter()
    found = read("line", "id", *TEXTS, source="xliff", path="a.xlf", dropped=dropped)
    assert found == [(1, "app#1", "Hi you &  me", "안녕 너"), (2, "app#2", "signed", "서명")]
    assert dropped == {"fuzzy or untranslated units": 6}


def test_placeholders_that_say_what_they_stand_for(here):
    said = '<x id="a" equiv-text="{{ name }}"/>: <x id="b" equiv-text="&lt;br/&gt;"/><x id="c" equiv-text="%d"/>.'
    xliff(here / "a.xlf", trans("1", f"Hi {said}", f"안녕 {said}"))
    assert read(*TEXTS, source="xliff", path="a.xlf") == [("Hi {{ name }}:  %d.", "안녕 {{ name }}:  %d.")]


def xliff2(path, *units, root='srcLang="en" trgLang="ko"', file='id="f"'):
    path.write_text(
        f'<xliff version="2.0" xmlns="urn:oasis:names:tc:xliff:document:2.0" {root}><file {file}>{"".join(units)}'
        "</file></xliff>"
    )


def segment(source, target=None, order="", state=' state="final"', kind="segment"):
    place = f" order='{order}'" if order else ""
    given = "" if target is None else f"<target{place}>{target}</target>"
    return f"<{kind}{'' if kind == 'ignorable' else state}><source>{source}</source>{given}</{kind}>"


def test_xliff_2_and_its_segments(here):
    space = segment(" ", kind="ignorable")
    xliff2(
        here / "a.xliff",
        '<unit id="1">'
        + segment("Hi <pc id='1'>you</pc>.", "안녕.")
        + space
        + segment("B<sc id='2'/>ye<cp hex='0001'/>", "잘<sm id='4'/><ph id='3'/>가<em startRef='4'/>", state="")
        + "</unit>",
        '<unit id="2">' + segment("a", "b", state=" state='initial'") + "</unit>",
        f'<unit id="3">{segment("a", "b")}{segment("c")}</unit>',
    )
    dropped, noted = Counter(), Counter()
    found = read("id", *TEXTS, source="xliff", path="a.xliff", dropped=dropped, noted=noted)
    assert found == [("f#1", "Hi you. Bye ", "안녕. 잘 가")]
    assert dropped == {"fuzzy or untranslated units": 2}
    assert +noted == {"units that state nothing of themselves, taken for translated": 1}


def test_targets_stand_in_the_order_that_they_say(here):
    space = segment(" ", kind="ignorable")
    xliff2(
        here / "a.xlf",
        # The standard's example: implicit places are those of the sources.
        '<unit id="1">'
        + space.join([segment("A.", "가.", 5), segment("B.", "나.", 1), segment("C.", "다.", 3)])
        + "</unit>",
        f'<unit id="2">{segment("A.", "가.", 3)}{segment("_", "-", kind="ignorable")}{segment("B.", "나.", 1)}</unit>',
    )
    assert read(*TEXTS, source="xliff", path="a.xlf") == [("A. B. C.", "나. 다. 가."), ("A._B.", "나.-가.")]


def test_what_is_not_to_be_translated_is_inherited(here):
    pair = segment("a", "b")
    xliff2(
        here / "a.xlf",
        f'<group id="g" translate="no"><group id="h"><unit id="1">{pair}</unit>'
        f'<unit id="2" translate="yes">{pair}</unit></group></group><unit id="3">{pair}</unit>',
    )
    dropped = Counter()
    assert read("id", source="xliff", path="a.xlf", dropped=dropped) == [("f#2",), ("f#3",)]
    assert dropped == {"fuzzy or untranslated units": 1}
    xliff2(here / "a.xlf", f'<unit id="1">{pair}</unit>', file='id="f" translate="no"')
    assert read("id", source="xliff", path="a.xlf") == []


@pytest.mark.parametrize(
    ("units", "settings", "message"),
    [
        (["<unit id='7'/>"], {}, r"a\.xlf: the unit '7' \(line 1\) has no <segment>: mend the file"),
        (
            ["<unit id='7'><segment><target>b</target></segment></unit>"],
            {},
            r"a\.xlf: the unit '7' \(line 1\) has no <source>: mend the file",
        ),
        (
            [f"<unit id='7'>{segment('a', 'b', 2)}{segment('c', 'd')}</unit>"],
            {},
            r"the unit '7' \(line 1\) has targets in the order '2', which is taken or no number from 1 to 2",
        ),
        ([f"<unit id='7'>{segment('a', 'b', 'x')}</unit>"], {}, r"in the order 'x', which is taken or no number"),
        ([f"<unit id='7'>{segment('a', 'b', 3)}</unit>"], {}, r"in the order '3', .* from 1 to 1: mend the file"),
        (
            [f"<unit id='7'>{segment('a', 'b')}</unit>"],
            {"root": 'trgLang="ko"'},
            r"a\.xlf does not say the language of its source \(srcLang, source-language\): add it",
        ),
        (
            [f"<unit id='7'>{segment('a', 'b')}</unit>"],
            {"root": 'srcLang="en"'},
            r"a\.xlf does not say the language of its target \(trgLang, target-language\): add it, or write \{lang\}",
        ),
    ],
)
def test_xliff_that_is_malformed_is_told(here, units, settings, message):
    xliff2(here / "a.xlf", *units, **settings)
    with pytest.raises(UserError, match=message):
        read("id", source="xliff", path="a.xlf")


def test_a_unit_without_its_file_is_told(here):
    (here / "a.xlf").write_text('<xliff version="1.2"><trans-unit id="1"><source>a</source></trans-unit></xliff>')
    with pytest.raises(UserError, match=r"a\.xlf: the unit '1' \(line 1\) is in no <file>: mend the file"):
        read("id", source="xliff", path="a.xlf")


def test_xliff_1_that_no_one_has_translated_and_fuzzy_matches(here):
    fuzzy = trans("2", "b", "나").replace("<target>", '<target state-qualifier="fuzzy-match">')
    xliff(here / "set/messages.xlf", trans("1", "one"), target="")
    xliff(here / "set/messages.ko.xlf", trans("1", "one", "하나"), fuzzy)
    dropped = Counter()
    assert read(*TEXTS, source="xliff", path="set", dropped=dropped) == [("one", "하나")]
    assert dropped == {"fuzzy or untranslated units": 2}


def test_xliff_files_of_one_source_are_joined_by_unit(here):
    xliff(here / "set/ko.xlf", trans("1", "one", "하나"), trans("2", "two", "둘"))
    xliff(here / "set/de.xlf", trans("2", "two", "zwei"), trans("1", "one (changed)", "eins"), target="de")
    xliff(here / "set/fr.xlf", trans("2", "two", "deux"), target="fr", namespace="")
    languages = ["en", "de", "ko"]
    found = read("file", "id", "text_en", "text_de", "text_ko", languages=languages, source="xliff", path="set")
    assert found == [
        ("set/de.xlf", "app#2", "two", "zwei", "둘"),
        ("set/de.xlf", "app#1", "one (changed)", "eins", None),
        ("set/ko.xlf", "set/ko.xlf#1", "one", None, "하나"),
    ]


def test_a_target_language_that_only_the_path_says(here):
    xliff(here / "set/ko/a.xlf", trans("1", "one", "하나"), target="")
    settings = {"source": "xliff", "path": "set", "files": "{lang}/*.xlf"}
    assert read(*TEXTS, **settings) == [("one", "하나")]


def test_of_two_variants_one_is_read_also_where_it_lacks_a_text(here):
    po(here / "loc/de_CH/a.po", header("de_CH") + entry("a", "Strasse") + entry("b", "Gruss"))
    po(here / "loc/de_DE/a.po", header("de_DE") + entry("a", "Straße") + entry("b", ""))
    settings = {"source": "po", "path": "loc", "files": "{lang}/*.po", "original": "en", "languages": ["en", "de"]}
    dropped = Counter()
    assert read("text_en", "text_de", **settings, dropped=dropped) == [("a", "Straße")]
    assert dropped == {"fuzzy or untranslated units": 1}
    assert read("text_de", **settings, codes={"de": "de_CH"}) == [("Strasse",), ("Gruss",)]
    xliff(here / "x/a.xlf", trans("1", "a", "Strasse"), trans("2", "b", "Gruss"), target="de-CH")
    xliff(here / "x/b.xlf", trans("1", "a", "Straße"), target="de-DE")
    assert read("text_en", "text_de", source="xliff", path="x", languages=["en", "de"]) == [("a", "Straße")]


def test_files_in_languages_that_are_not_asked_for_stop_and_count_nothing(here, caplog):
    xliff(here / "x/ko.xlf", trans("1", "a", "가"), trans("2", "b"))
    xliff(here / "x/fr.xlf", trans("1", "a", "un"), *(trans(str(i), f"{i}") for i in range(2, 9)), target="fr")
    xliff(here / "x/pl.xlf", trans("1", "a", "raz"), trans("2", "b", "dwa"), target="pl")
    whole = (here / "x/pl.xlf").read_text()
    (here / "x/pl.xlf").write_text(whole[: whole.index("dwa")])
    dropped = Counter()
    assert read(*TEXTS, source="xliff", path="x", dropped=dropped) == [("a", "가")]
    assert dropped == {"fuzzy or untranslated units": 1}
    assert "pl.xlf" in caplog.text and "it stops a build only in the languages that it begins with" in caplog.text
    with pytest.raises(UserError, match=r"pl\.xlf:\d+ is no XML"):
        read("text_pl", source="xliff", path="x", languages=["en", "pl"])
    # The source alone may be in any of them.
    (here / "x/pl.xlf").unlink()
    assert read("text_en", source="xliff", path="x", languages=["en"]) == [("a",)]
    po(here / "loc/ko.po", header("ko") + entry("a", "가"))
    po(here / "loc/pl.po", header("pl") + 'msgid "a')
    assert read(*TEXTS, source="po", path="loc", files="{lang}.po", original="en") == [("a", "가")]
