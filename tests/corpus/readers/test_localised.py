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
        ("set/de_DE/LC_MESSAGES/a.po", "one", "eins", "하나"),
        ("set/ko/LC_MESSAGES/b.po", "one", None, "일"),
    ]
    assert read("text_de", "text_ko", languages=["de", "ko"], **settings, files="{lang}/**/a.po") == [("eins", "하나")]


def test_without_a_language_in_the_path_the_header_says_it(here):
    po(here / "set/x.po", header("ko_KR") + 'msgid "one"\nmsgstr "하나"\n')
    po(here / "set/y.po", header("de") + 'msgid "one"\nmsgstr "eins"\n\nmsgid "two"\nmsgstr "zwei"\n')
    po(here / "set/y2.po", header("ko") + 'msgid "one"\nmsgstr "일"\n')
    po(here / "set/z.po", header("fr") + 'msgid "one"\nmsgstr "un"\n')
    names = ("text_en", "text_de", "text_ko")
    found = read(*names, languages=["en", "de", "ko"], source="po", path="set", original="en")
    assert found == [("one", "eins", "하나"), ("two", "zwei", None)]


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


def test_xliff_2_and_its_segments(here):
    (here / "a.xliff").write_text(
        '<xliff version="2.0" xmlns="urn:oasis:names:tc:xliff:document:2.0" srcLang="en" trgLang="ko"><file id="f">'
        '<unit id="1"><segment state="final"><source>Hi <pc id="1">you</pc>.</source><target>안녕.</target></segment>'
        "<ignorable><source> </source></ignorable>"
        "<segment><source>B<sc id='2'/>ye<cp hex='0001'/></source><target>잘<ph id='3'/>가</target></segment></unit>"
        '<unit id="2"><segment state="initial"><source>a</source><target>b</target></segment></unit>'
        '<unit id="3"><segment><source>a</source><target>b</target></segment>'
        "<segment><source>c</source></segment></unit>"
        "</file></xliff>"
    )
    dropped = Counter()
    found = read("id", *TEXTS, source="xliff", path="a.xliff", dropped=dropped)
    assert found == [("f#1", "Hi you. Bye ", "안녕. 잘 가")]
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
