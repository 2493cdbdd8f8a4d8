"""Language tags: what they are called, and the scripts they are written in."""

from __future__ import annotations

import langcodes
import regex


def language_name(tag: str) -> str:
    """The English name of a BCP-47 tag: `ko` -> `Korean`, `hi-Latn` -> `Hindi (Latin)`."""
    return langcodes.Language.get(tag).display_name()


def is_language(tag: str) -> bool:
    return langcodes.tag_is_valid(tag)


# ISO 15924 codes that stand for several scripts of Unicode, or for a style of one.
SCRIPTS = {
    "Kore": ("Hang", "Hani"),
    "Jpan": ("Hani", "Hira", "Kana"),
    "Hrkt": ("Hira", "Kana"),
    "Hans": ("Hani",),
    "Hant": ("Hani",),
    "Hanb": ("Hani", "Bopo"),
    "Aran": ("Arab",),
    "Latf": ("Latn",),
    "Latg": ("Latn",),
}


def scripts(tag: str) -> tuple[str, ...]:
    """Unicode's scripts in which a language is written, as ISO 15924 codes; none if Unicode lacks it."""
    script = langcodes.Language.get(tag).maximize().script or ""
    if script in SCRIPTS:
        return SCRIPTS[script]
    try:
        regex.compile(rf"\p{{Script={script}}}")
    except regex.error:
        return ()
    return (script,)
