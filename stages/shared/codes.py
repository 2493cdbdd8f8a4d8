"""What a source calls a language: `ko`, `ko_KR`, `kor_Hang`, `Korean`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import langcodes

from stages.shared.languages import SCRIPTS


def find(language: str, spellings: Iterable[str], given: Mapping[str, str] | None = None) -> str | None:
    """The one of `spellings` that means `language`, a BCP-47 tag; None if none does.

    `given` (`corpus.codes`) says it outright. Else an equal tag wins, then the closest of the same language in the
    same script, so that `hi-Latn` is never taken for `hi-IN`, nor `zh-Hant` for `zh_CN`; of equals the first.
    """
    spellings = list(dict.fromkeys(spellings))
    wanted = given[language] if given and language in given else language
    for spelling in spellings:
        if _plain(spelling) == _plain(wanted):
            return spelling
    if wanted != language:
        return None
    near = {spelling: distance for spelling in spellings if (distance := _distance(wanted, spelling)) is not None}
    return min(near, key=near.__getitem__, default=None)


def _plain(spelling: str) -> str:
    return spelling.replace("_", "-").casefold()


def _distance(wanted: str, spelling: str) -> int | None:
    """How far apart two regional forms of a language are; None: they are not the same language in the same script."""
    tag = _tag(spelling)
    if tag is None:
        return None
    a, b = (langcodes.Language.get(t).prefer_macrolanguage() for t in (wanted, tag))
    if a.language is None or a.language != b.language or not _same_script(a.maximize().script, b.maximize().script):
        return None
    return langcodes.tag_distance(wanted, tag)


def _tag(spelling: str) -> str | None:
    spelling = spelling.partition(".")[0]  # the encoding of a locale's name, ko_KR.UTF-8
    if langcodes.tag_is_valid(spelling):
        return spelling
    try:
        return langcodes.find(spelling).to_tag()
    except LookupError:
        return None


def _same_script(a: str | None, b: str | None) -> bool:
    # Korean is written in Kore, of which FLORES and its kin name the Hang alone.
    return a == b or a in SCRIPTS.get(b or "", ()) or b in SCRIPTS.get(a or "", ())
