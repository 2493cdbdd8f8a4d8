"""Readers of translation memories (TMX) and line pairs (Moses)."""

import gzip
import itertools

import pytest

from stages.corpus.readers import markup, rows, sources
from stages.settings.corpus import Source
from stages.shared import files
from stages.shared.codes import Wanted
from stages.shared.errors import UserError
from tests.corpus.readers.reading import NOTES, read

TEXTS = ("line", "text_en", "text_ko")


def unit(*variants, **attributes):
    given = "".join(f' {name}="{value}"' for name, value in attributes.items())
    texts = "".join(f'<tuv xml:lang="{lang}"><prop type="x">no</prop><seg>{seg}</seg></tuv>' for lang, seg in variants)
    return f"<tu{given}><note>no</note>{texts}</tu>\n"


def tmx(*units, head="", encoding="utf-8"):
    return (
        f'<?xml version="1.0" encoding="{encoding}"?>\n{head}<tmx version="1.4">'
        f'<header srclang="en-US" creationtool="t"/><body>\n{"".join(units)}</body></tmx>'
    ).encode(encoding)


def test_units_and_the_spellings_of_their_languages(here):
    (here / "m.tmx").write_bytes(
        tmx(
            unit(("EN-US", "one"), ("ko_KR", "하나"), ("ko_KR", "no"), ("ko-KR", "no"), tuid="7"),
            unit(("de", "zwei"), ("kor", "둘"), ("en-GB", "two"), tuid="7"),
            unit(("en", "three"), ("de", "drei")),
            '<tu><tuv lang="en"><seg>four</seg></tuv><tuv xml:lang="ko"></tuv></tu>',
        )
    )
    found = read("id", *TEXTS, source="tmx", path="m.tmx")
    # A tuid need not be unique, so it names nothing.
    assert found == [
        ("m.tmx#1", 1, "one", "하나"),
        ("m.tmx#2", 2, "two", "둘"),
        ("m.tmx#3", 3, "three", None),
        ("m.tmx#4", 4, "four", None),
    ]


def test_an_empty_variant_hides_no_filled_one(here):
    (here / "m.tmx").write_bytes(tmx(unit(("en", " "), ("en", "one"), ("ko", ""), ("ko", "하나"), ("ko", "no"))))
    assert read(*TEXTS, source="tmx", path="m.tmx") == [(1, "one", "하나")]


def test_the_closest_spelling_is_that_of_the_whole_memory(here):
    (here / "a.tmx").write_bytes(tmx(unit(("en", "one"), ("pt", "facto")), unit(("en-GB", "two"), ("pt", "dois"))))
    (here / "b.tmx").write_bytes(tmx(unit(("en", "one"), ("en-GB", "uno"), ("pt-BR", "fato"))))
    settings = {"source": "tmx", "path": "."}
    # `pt` is not Brazilian where the memory says so of others; `en` is also `en-GB` where there is nothing nearer.
    asked = ["en", "pt-BR"]
    assert read("text_en", "text_pt-BR", languages=asked, **settings) == [("one", None), ("two", None), ("one", "fato")]
    found = read("text_pt-PT", "text_pt-BR", languages=["pt-PT", "pt-BR"], **settings)
    assert found == [("facto", None), ("dois", None), (None, "fato")]
    # One spelling is never two languages.
    alone = settings | {"path": "a.tmx"}
    assert read("text_pt-PT", "text_pt-BR", languages=["pt-PT", "pt-BR"], **alone) == [(None, "facto"), (None, "dois")]


def test_codes_say_which_of_several_chineses_is_meant(here):
    (here / "m.tmx").write_bytes(tmx(unit(("en", "one"), ("ZH-TW", "繁"), ("ZH-CN", "简"), ("zz", "x"))))
    settings = {"source": "tmx", "path": "m.tmx"}
    assert read("text_zh-Hans", "text_zh-Hant", languages=["zh-Hans", "zh-Hant"], **settings) == [("简", "繁")]
    assert read("text_zh", languages=["zh"], **settings, codes={"zh": "zz"}) == [("x",)]


@pytest.mark.parametrize(
    ("seg", "text"),
    [
        ('Press <bpt i="1">&lt;b&gt;</bpt>OK<ept i="1">&lt;/b&gt;</ept>ay', "Press OKay"),
        (
            'one<ph x="1">&lt;br/&gt;<sub>alt</sub></ph>two<it pos="begin">x</it>three<ut>y</ut>four',
            "one two three four",
        ),
        ("a <hi>b <hi>c</hi></hi> d<!-- no --><?no no?>e", "a b c de"),
        ("&lt;i&gt; &amp; &#44032;<![CDATA[<b>]]>", "<i> & 가<b>"),
        ("line<br/>second<br></br>third", "line  second  third"),
        ("<p>one</p><p>two <b>w</b>ord</p>", " one  two word "),
        ("10&nbsp;km &eacute;&hellip;", "10\u00a0km é…"),
    ],
)
def test_inline_elements_leave_the_text(here, seg, text):
    (here / "m.tmx").write_bytes(tmx(unit(("en", seg), ("ko", "가"))))
    assert read("text_en", source="tmx", path="m.tmx") == [(text,)]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "euc-kr"])
def test_the_encoding_is_that_of_the_mark_or_declaration(here, encoding):
    text = tmx(unit(("en", "one"), ("ko", "하나")), head='<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n').decode()
    declared = "utf-8" if encoding == "utf-8-sig" else encoding
    (here / "m.tmx").write_bytes(text.replace("utf-8", declared, 1).encode(encoding))
    assert read(*TEXTS, source="tmx", path="m.tmx", encoding="cp949") == [(1, "one", "하나")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("head", ["", "<!-- <tmx> -->\n", '<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n'])
def test_names_of_html_are_its_characters_where_the_file_declares_none(here, head, encoding):
    body = tmx(unit(("en", "a&nbsp;b &#38; c"), ("ko", "가")), head=head, encoding=encoding.removesuffix("-sig"))
    text = body.decode(encoding.removesuffix("-sig"))
    (here / "m.tmx").write_bytes(text.encode(encoding))
    assert read("text_en", source="tmx", path="m.tmx") == [("a\u00a0b & c",)]


@pytest.mark.parametrize(
    ("head", "seg", "message"),
    [
        ("", "&mine;", r"m\.tmx:4 the entity &mine; is not read"),
        ('<!DOCTYPE tmx [<!ENTITY copy "Company">]>', "&copy;", r"m\.tmx:4 the entity &copy; is not read"),
        ('<!DOCTYPE tmx [<!ENTITY a "b">]>', "&nbsp;", r"m\.tmx:4 is no XML \(Entity 'nbsp' not defined\)"),
    ],
)
def test_an_entity_that_nobody_declares_is_named(here, head, seg, message):
    (here / "m.tmx").write_bytes(tmx("\n", unit(("en", seg), ("ko", "가")), head=head))
    with pytest.raises(UserError, match=message):
        read("text_en", source="tmx", path="m.tmx")


def test_a_unit_that_never_ends_is_refused(here, monkeypatch):
    monkeypatch.setattr(files, "LONGEST_LINE", 200_000)
    many = [unit(("en", "one"), ("ko", "하나"))] * 5_000
    (here / "m.tmx.gz").write_bytes(gzip.compress(tmx(*many)))
    assert len(read("line", source="tmx", path="m.tmx.gz")) == 5_000
    for body in (tmx(*many[:9], "<x/>" * 100_000), tmx(f"<tu>{'<tuv/>' * 100_000}</tu>")):
        (here / "m.tmx.gz").write_bytes(gzip.compress(body))
        with pytest.raises(
            UserError, match=r"m\.tmx\.gz has 0 MiB without the end of a unit, the most that one may be"
        ):
            read("line", source="tmx", path="m.tmx.gz")


@pytest.mark.parametrize("reference", ['SYSTEM "secret.txt"', 'SYSTEM "http://127.0.0.1:9/x"', '"inside"'])
def test_no_entity_is_ever_loaded(here, reference):
    (here / "secret.txt").write_text("SECRET")
    head = f"<!DOCTYPE tmx [<!ENTITY e {reference}>]>"
    (here / "m.tmx").write_bytes(tmx(unit(("en", "a &e; b"), ("ko", "가")), head=head))
    with pytest.raises(UserError, match=r"m\.tmx:\d+ the entity &e; is not read: write its text in its place"):
        read("text_en", source="tmx", path="m.tmx")


def test_entities_of_entities_are_not_expanded(here):
    names = "abcdefgh"
    levels = "".join(f'<!ENTITY {b} "{f"&{a};" * 40}">' for a, b in itertools.pairwise(names))
    head = f'<!DOCTYPE tmx [<!ENTITY a "{"x" * 40}">{levels}]>'
    (here / "m.tmx").write_bytes(tmx(unit(("en", "&h;"), ("ko", "가")), head=head))
    with pytest.raises(UserError, match=r"m\.tmx(:\d+ the entity &h; is not read|:1 is no XML \(.*amplification)"):
        read("text_en", source="tmx", path="m.tmx")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (tmx(unit(("en", "a"))).replace(b"a</seg>", b"a\x0b</seg>"), r"m\.tmx:3 is no XML \(PCDATA invalid Char"),
        (tmx(unit(("en", "a")))[:-9], r"m\.tmx:\d is no XML \(.*\): mend the file"),
        (b"not at all", r"m\.tmx:1 is no XML"),
        (b"", r"m\.tmx:1 is no XML"),
        (tmx(unit(("en", "é"))).decode().encode("latin-1"), r"m\.tmx:3 is no XML \("),
    ],
)
def test_xml_that_is_broken_is_told(here, body, message):
    (here / "m.tmx").write_bytes(body)
    with pytest.raises(UserError, match=message):
        read("text_en", source="tmx", path="m.tmx")


def test_a_folder_of_packed_memories(here):
    (here / "set/sub").mkdir(parents=True)
    body = tmx(unit(("en", "one"), ("ko", "하나"))) + b"\n" * 100_000
    (here / "set/sub/b.tmx.gz").write_bytes(gzip.compress(body))
    (here / "set/a.tmx").write_bytes(body)
    assert read("file", "id", source="tmx", path="set") == [
        ("set/a.tmx", "a.tmx#1"),
        ("set/sub/b.tmx.gz", "sub/b.tmx#1"),
    ]
    assert read("id", source="tmx", path="set", files="sub/*") == [("sub/b.tmx#1",)]
    (here / "set/sub/b.tmx.gz").write_bytes(gzip.compress(body)[:-20])
    with pytest.raises(UserError, match=r"b\.tmx\.gz cannot be read"):
        read("file", source="tmx", path="set")


def test_units_that_are_read_are_freed(here):
    (here / "m.tmx").write_bytes(tmx(*(unit(("en", str(i)), ("ko", str(i))) for i in range(3_000))))
    held = [len(element.getparent()) for element in markup.elements(here / "m.tmx", "tu")]
    assert len(held) == 3_000
    assert max(held) < 600  # those of a chunk that the parser is ahead by


def moses(here, **texts):
    (here / "set").mkdir(exist_ok=True)
    for lang, text in texts.items():
        (here / f"set/corpus.{lang}").write_bytes(text.encode())


MOSES = {"source": "moses", "path": "set", "files": "corpus.{lang}"}


def test_line_pairs_are_aligned_by_newlines_alone(here):
    moses(here, en="a\rb\u2028c\x0bd\x85\n\n e \r\nlast", ko="가\n나\n다\n라\n", de="x\n")
    assert read("id", *TEXTS, **MOSES) == [
        ("corpus.en#1", 1, "a\rb\u2028c\x0bd\x85", "가"),
        ("corpus.en#2", 2, "", "나"),
        ("corpus.en#3", 3, " e ", "다"),
        ("corpus.en#4", 4, "last", "라"),
    ]


@pytest.mark.parametrize(
    ("en", "ko", "counts"), [(5, 3, "5 .* 3"), (3, 5, "3 .* 5"), (0, 2, "0 .* 2"), (4, 5, "4 .* 5")]
)
def test_line_pairs_of_different_lengths_are_told_with_both(here, en, ko, counts):
    moses(here, en="a\n" * en, ko="b\n" * ko)
    first, second = counts.split(" .* ")
    message = rf"set/corpus\.en has {first} lines, set/corpus\.ko has {second} lines: line pairs need as many"
    with pytest.raises(UserError, match=message):
        read("id", **MOSES)


def test_line_pairs_by_pattern_and_code(here):
    (here / "set/news").mkdir(parents=True)
    (here / "set/news/v1.en-ko.en_US.gz").write_bytes(gzip.compress(b"one\n"))
    (here / "set/news/v1.en-ko.kr").write_text("하나\n")
    (here / "set/v2.en-ko.en_US").write_text("two\n")
    settings = {"source": "moses", "path": "set", "files": "**/*.en-ko.{lang}"}
    with pytest.raises(UserError, match=r"set has no \*\*/\*\.en-ko\.\{lang\} in ko: it has en_US, kr; name in corpus"):
        read("id", **settings)
    assert read("file", "id", *TEXTS, **settings, codes={"ko": "kr"}) == [
        ("set/news/v1.en-ko.en_US.gz", "news/v1.en-ko.en#1", 1, "one", "하나"),
        ("set/v2.en-ko.en_US", "v2.en-ko.en#1", 1, "two", None),
    ]
    (here / "set/en").mkdir()
    (here / "set/en/x.en").write_text("three\n")
    (here / "set/en/x.ko").write_text("no\n")
    assert read("text_en", languages=["en"], source="moses", path="set", files="{lang}/x.{lang}") == [("three",)]
    with pytest.raises(UserError, match=r"in ko: it has en; name"):
        read("id", source="moses", path="set", files="{lang}/x.{lang}")
    with pytest.raises(UserError, match=r"set has no file x\.\{lang\}"):
        read("id", source="moses", path="set", files="x.{lang}")


def test_line_pairs_are_read_as_they_are_asked_for(here, monkeypatch):
    read_lines = 0

    def lines(path, encoding):
        nonlocal read_lines
        for number in range(300_000):
            read_lines += 1
            yield f"{number}\n"

    moses(here, en="", ko="")
    monkeypatch.setattr(files, "lines", lines)
    batches = sources.batches(Source(**MOSES), Wanted(["en", "ko"]), NOTES)
    sizes = []
    for number, batch in enumerate(batches, 1):
        assert read_lines <= 2 * number * rows.ROWS
        sizes.append(batch.rows.height)
    assert sizes == [rows.ROWS] * 15
    assert batch.rows["line"][-1] == 300_000
