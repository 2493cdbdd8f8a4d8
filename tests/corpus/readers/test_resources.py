"""Keyed resource files: each format, keys that languages share, and what is told."""

import json
from collections import Counter

import pytest

from stages.shared.errors import UserError
from tests.corpus.readers.reading import read

TEXTS = ("text_en", "text_ko")
ANDROID = (
    '<?xml version="1.0" encoding="utf-8"?>\n<resources><string name="open">{0}</string>'
    '<string name="app" translatable="false">App</string>'
    '<plurals name="files"><item quantity="other">{1}</item></plurals></resources>'
)


@pytest.mark.parametrize(
    ("name", "content", "keys"),
    [
        ("l/{}.json", json.dumps({"menu": {"open": "{0}"}, "files": "{1}"}), ("menu.open", "files")),
        (
            "l/app_{}.arb",
            json.dumps({"@@locale": "x", "open": "{0}", "@open": {"a": "b"}, "files": "{1}"}),
            ("open", "files"),
        ),
        ("res/{}/strings.xml", ANDROID, ("open", "files")),
        ("l/{}.yml", 'xx:\n  menu:\n    open: "{0}"\n  files: "{1}"\n', ("menu->open", "files")),
        ("l/{}.yaml", 'menu:\n  open: "{0}"\nfiles: "{1}"\n', ("menu->open", "files")),
        ("l/m_{}.properties", "menu.open = {0}\n# no\nfiles = {1}\n", ("menu.open", "files")),
        ("{}.lproj/l.strings", '/* no */\n"open" = "{0}";\n"files" = "{1}";\n', ("open", "files")),
    ],
)
def test_each_format(here, name, content, keys):
    said = {"en": ("Open the file", "Some files"), "ko": ("파일 열기", "파일 몇 개")}
    for lang, texts in said.items():
        path = here / "app" / name.format(lang)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content.replace("{0}", texts[0]).replace("{1}", texts[1]))
    # What is in no language that is asked for is not read.
    broken = here / "app" / name.format("de")
    broken.parent.mkdir(exist_ok=True)
    broken.write_text("{[")
    found = read("id", *TEXTS, source="resources", path="app", files=name.format("{lang}"))
    assert [(name.partition("#")[2], *texts) for name, *texts in found] == [
        (key, en, ko) for key, en, ko in zip(keys, said["en"], said["ko"], strict=True)
    ]


def test_keys_of_one_language_alone_have_no_text_in_the_others(here, caplog):
    caplog.set_level("INFO")
    (here / "en.json").write_text(json.dumps({"a": "A", "b": "B" * 50, "n": 3}))
    (here / "ko.json").write_text(json.dumps({"a": "가", "c": "다"}))
    found = read("id", "line", *TEXTS, source="resources", path=".", files="{lang}.json", dropped=Counter())
    assert found == [
        ("en.json#a", 1, "A", "가"),
        ("en.json#b", 2, "B" * 50, None),
        ("en.json#n", 3, "3", None),
        ("en.json#c", 4, None, "다"),
    ]
    assert ".: 3 of 4 strings are shorter than 40 characters" in caplog.text


def test_android_has_its_original_in_a_folder_without_a_language(here):
    for folder, text in (("values", "Open"), ("values-ko", "열기")):
        (here / "res" / folder).mkdir(parents=True)
        (here / "res" / folder / "strings.xml").write_text(ANDROID.replace("{0}", text).replace("{1}", text))
    files = {"en": "values/*.xml", "ko": "values-ko/*.xml"}
    assert read("id", *TEXTS, source="resources", path="res", files=files)[0] == ("strings#open", "Open", "열기")


@pytest.mark.parametrize("name", ["a.json", "a.xml", "a.yml", "a.arb", "a.csv"])
def test_a_broken_file_is_named(here, name):
    for lang in ("en", "ko"):
        (here / f"{lang}.{name}").write_text("{[")
    message = rf"en\.{name} (cannot be read \(|is no resource file that is read)"
    with pytest.raises(UserError, match=message):
        read("id", source="resources", path=".", files=f"{{lang}}.{name}")
