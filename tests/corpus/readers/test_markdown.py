"""The reader of parallel Markdown: which sections of pages are each other's translation."""

from collections import Counter

import pytest

from stages.shared.errors import UserError
from tests.corpus.readers.reading import read

PAGES = {"source": "markdown", "path": "docs", "files": "{lang}/**/*.md*"}
TITLED = ("title_en", "title_ko", "text_en", "text_ko")


def page(here, name, **texts):
    for lang, text in texts.items():
        path = here / "docs" / lang / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_sections_and_their_titles(here):
    page(
        here,
        "a/b.md",
        en="---\ntitle: Page\n---\nIntro.\n\n## One\n\nP.\n\n- l\n\n### Sub\n\nS.\n\n## Empty\n",
        ko="\ufeff---\ntitle: 쪽\n---\n머리.\n\n## 하나\n\n문.\n\n- 목\n\n### 아래\n\n글.\n\n## 빈\n".replace(
            "\n", "\r\n"
        ),
    )
    dropped = Counter()
    assert read("file", "id", "line", *TITLED, **PAGES, dropped=dropped) == [
        ("docs/en/a/b.md", "en/a/b.md#1", 1, "Page", "쪽", "Intro.", "머리."),
        ("docs/en/a/b.md", "en/a/b.md#2", 2, "Page: One", "쪽: 하나", "P.\nl", "문.\n목"),
        ("docs/en/a/b.md", "en/a/b.md#3", 3, "Page: Sub", "쪽: 아래", "S.", "글."),
    ]
    assert not +dropped


def test_sections_are_matched_by_anchor_before_order(here):
    page(
        here,
        "a.md",
        en="## A {#a}\n\nA.\n\n## Only {#only}\n\nNo.\n\n### Sub\n\nNo.\n\n## B {#b}\n\nB.\n",
        ko="## 나 {#b}\n\n나.\n\n## 가 {#a}\n\n가.\n",
    )
    # The anchor that a renderer makes of an English heading is one that translators write out.
    page(here, "b.md", en="## First steps!\n\nOne.\n\n## New\n\nNo.\n", ko="## 첫걸음 {#first-steps}\n\n하나.\n")
    dropped = Counter()
    found = read("text_en", "text_ko", **PAGES, dropped=dropped)
    assert found == [("A.", "가."), ("B.", "나."), ("One.", "하나.")]
    assert dropped == {"sections that the languages do not share": 3}


def test_an_anchor_that_several_sections_have_matches_none(here):
    page(here, "a.md", en="## Note\n\nA.\n\n## Note\n\nB.\n", ko="## Note\n\n가.\n")
    dropped = Counter()
    assert read("text_en", **PAGES, dropped=dropped) == []
    assert dropped == {"sections that the languages do not share": 2}


def test_as_many_sections_in_another_order_are_not_taken_for_each_other(here):
    page(here, "a.md", en="## A {#a}\n\nA.\n\n## B\n\nB.\n", ko="## 나\n\n나.\n\n## 가 {#a}\n\n가.\n")
    dropped = Counter()
    assert read("text_en", "text_ko", **PAGES, dropped=dropped) == [("A.", "가.")]
    assert dropped == {"sections that the languages do not share": 1}


def test_sections_without_a_common_order_or_anchor_are_left_out(here, caplog):
    caplog.set_level("INFO")
    page(here, "a.md", en="I.\n\n## A\n\nA.\n\n## B\n\nB.\n\n### C\n\nC.\n", ko="머리.\n\n## 가\n\n가.\n")
    page(here, "b.md", en="Both.", ko="둘.")
    page(here, "c.md", en="## A\n\nText.\n", ko="## 가\n\n### 나\n\n글.\n")
    dropped = Counter()
    assert read("text_en", "text_ko", **PAGES, dropped=dropped) == [("I.", "머리."), ("Both.", "둘.")]
    assert dropped == {"sections that the languages do not share": 5}
    assert "pages with sections that the languages do not share: {lang}/a.md, {lang}/c.md" in caplog.text


def test_pages_of_some_languages_are_counted_and_named(here, caplog):
    caplog.set_level("INFO")
    page(here, "a.md", en="A.", ko="가.", de="A.")
    for number in range(10):
        page(here, f"n{number}.md", en="No.", ko="아니.")
    page(here, "ko.md", ko="아니.")
    dropped = Counter()
    found = read("text_en", "text_ko", "text_de", languages=["en", "ko", "de"], **PAGES, dropped=dropped)
    assert found == [("A.", "가.", "A.")]
    assert dropped == {"pages that not every language has": 11}
    assert "{lang}/ko.md, {lang}/n0.md" in caplog.text
    assert "{lang}/n7.md" not in caplog.text
    assert "and 3 more" in caplog.text


def test_long_sections_are_cut_between_blocks_that_agree(here):
    words = [100, 60, 30, 500, 10]
    en = "\n\n".join(" ".join([f"w{i}"] * n) for i, n in enumerate(words))
    ko = "\n\n".join(f"글{i}" for i in range(5))
    page(here, "a.md", en=f"# T\n\n{en}\n", ko=f"# 제목\n\n{ko}\n")
    page(here, "b.md", en=f"# T\n\n{en}\n", ko=f"# 제목\n\n{ko}\n\n- 더\n")
    found = read("title_en", "text_en", "text_ko", **PAGES)
    assert [ko for _, _, ko in found] == ["글0\n글1", "글2", "글3", "글4", "글0\n글1\n글2\n글3\n글4\n더"]
    assert [len(en.split()) for _, en, _ in found] == [160, 30, 500, 10, 700]
    assert {title for title, *_ in found} == {"T"}


def test_words_of_a_language_without_spaces_are_characters(here):
    page(here, "a.md", zh="很好" * 50 + "\n\n" + "很好" * 50, en="One.\n\nTwo.")
    assert read("text_en", languages=["zh", "en"], **PAGES) == [("One.",), ("Two.",)]
    assert read("text_en", languages=["en", "zh"], **PAGES) == [("One.\nTwo.",)]


def test_a_language_without_a_folder_is_told(here):
    page(here, "a.md", en="A.", ko_KR="가.")
    assert read("text_ko", **PAGES) == [("가.",)]
    with pytest.raises(UserError, match=r"docs has no \{lang\}/\*\*/\*\.md\* in de: it has en, ko_KR; name in"):
        read("id", languages=["en", "de"], **PAGES)
