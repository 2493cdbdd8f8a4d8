"""Language tags: what they are called, and the scripts they are written in."""

from __future__ import annotations

import langcodes
import regex

MUTUAL = 34  # CLDR's distance, each way, of Malay and Indonesian; Russian and Ukrainian are 84 apart one way


def language_name(tag: str) -> str:
    """The English name of a BCP-47 tag: `ko` -> `Korean`, `hi-Latn` -> `Hindi (Latin)`."""
    return langcodes.Language.get(tag).display_name()


def is_language(tag: str) -> bool:
    return langcodes.tag_is_valid(tag)


def related(tag: str, other: str) -> bool:
    """Whether a text may rightly be the same in both: forms of one language (en-GB, en-US; hi, hi-Latn), or languages
    whose speakers read each other's (Bokmål and Danish, Czech and Slovak), each way by CLDR's distances."""
    one, two = (langcodes.Language.get(t).prefer_macrolanguage() for t in (tag, other))
    if one.language == two.language:
        return True
    # In a script that both may be written in: Serbian as Croatian is.
    shared = [script for script in scripts(tag) if script in scripts(other)]
    pairs = [(f"{one.language}-{script}", f"{two.language}-{script}") for script in shared]
    return any(max(langcodes.tag_distance(a, b), langcodes.tag_distance(b, a)) <= MUTUAL for a, b in pairs)


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
# Languages that are written in several scripts, so that their code alone tells none (CLDR's languageData).
IN_SEVERAL = {
    "az": ("Latn", "Cyrl", "Arab"),
    "bs": ("Latn", "Cyrl"),
    "ha": ("Latn", "Arab"),
    "iu": ("Cans", "Latn"),
    "kk": ("Cyrl", "Latn", "Arab"),
    "ks": ("Arab", "Deva"),
    "ku": ("Latn", "Arab", "Cyrl"),
    "mn": ("Cyrl", "Mong"),
    "mni": ("Beng", "Mtei"),
    "ms": ("Latn", "Arab"),
    "pa": ("Guru", "Arab"),
    "sat": ("Olck", "Deva", "Beng", "Orya", "Latn"),
    "sd": ("Arab", "Deva"),
    "sr": ("Cyrl", "Latn"),
    "tk": ("Latn", "Cyrl", "Arab"),
    "tt": ("Cyrl", "Latn"),
    "ug": ("Arab", "Cyrl", "Latn"),
    "uz": ("Latn", "Cyrl", "Arab"),
    "zgh": ("Tfng", "Latn"),
}


def scripts(tag: str) -> tuple[str, ...]:
    """Unicode's scripts in which a language is written, as ISO 15924 codes; none if Unicode lacks it."""
    language = langcodes.Language.get(tag)
    if language.script is None and language.language in IN_SEVERAL:
        return IN_SEVERAL[language.language]
    script = language.maximize().script or ""
    if script in SCRIPTS:
        return SCRIPTS[script]
    try:
        regex.compile(rf"\p{{Script={script}}}")
    except regex.error:
        return ()
    return (script,)
