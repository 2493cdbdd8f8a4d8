"""What a source calls a language: `ko`, `ko_KR`, `kor_Hang`, `Korean`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import langcodes
from langcodes.data_dicts import MACROLANGUAGES

from stages.shared.errors import UserError
from stages.shared.languages import SCRIPTS

# CLDR's distance of two codes for nearly one language, as Norwegian and Bokmål; Indonesian and Malay, or Nynorsk and
# Norwegian, are farther apart.
ONE_LANGUAGE = 9
# Nearer than any distance of CLDR: the tag letter by letter, and but for case and hyphens.
SAME, EQUAL = -2, -1


class Nearness(NamedTuple):
    """How near a spelling is to a language, the nearest first."""

    distance: int
    regional: bool  # of two that are equally far, the one that names no region is meant more broadly
    member: str  # the code of a language that the one asked for includes (`pbt` of `ps`), else ''


@dataclass
class Wanted:
    """The languages that are asked of a source, and how it was found to spell them.

    Each spelling is that of the language it is nearest to, of all that are asked for, so that no text is two
    languages'. `given` says outright how the source spells one, under the key of params.yaml that `key` names.
    """

    languages: list[str]
    given: Mapping[str, str] = field(default_factory=dict)
    key: str = "corpus.codes"
    languages_key: str = "corpus.languages"
    # Of each language the spellings read that are not its tag, in the order in which they were found.
    spelt: dict[str, dict[str, None]] = field(default_factory=dict)
    found: set[str] = field(default_factory=set)  # all spellings, read or not

    def each(self, spellings: Iterable[str], place: str) -> dict[str, str]:
        """The spelling of each language that is there: the closest of all.

        An equal tag wins, then the closest of the same language in the same script, so that `hi-Latn` is never taken
        for `hi-IN`, nor `zh-Hant` for `zh_CN`. Raises `UserError`, which begins with `place`, if several are as close.
        """
        found = self._ranked(spellings, place)
        for lang, ranks in found.items():
            nearest = list(ranks.values())
            if len(nearest) > 1 and nearest[0] == nearest[1]:
                raise self._unclear(place, lang, [s for s, near in ranks.items() if near == nearest[0]])
        first = {lang: next(iter(ranks)) for lang, ranks in found.items()}
        for lang, spelling in first.items():
            self._note(lang, [spelling])
        return first

    def all(self, spellings: Iterable[str], place: str) -> dict[str, dict[str, int]]:
        """The spellings of each language that is there with their ranks, 0 for the closest, of a source whose texts are
        each in a spelling of their own: `en` is also `en-GB` where a text is in that alone, but `pt-BR` is not `pt`.
        Raises `UserError` if the closest may be several languages."""
        found: dict[str, dict[str, int]] = {}
        for lang, nears in self._ranked(spellings, place).items():
            first = next(iter(nears.values()))
            same = [near for near in dict.fromkeys(nears.values()) if near.member == first.member]
            order = {near: rank for rank, near in enumerate(same if _broad(lang) else [first])}
            found[lang] = {spelling: order[near] for spelling, near in nears.items() if near in order}
            self._note(lang, found[lang])
        return found

    def missing(self, lang: str) -> str:
        """What to say after 'has nothing in ko: ': what was found, and the mend."""
        some = sorted(spelling for spelling in self.found if spelling)
        has = ", ".join(some[:10]) + (f" and {len(some) - 10:,} more" if len(some) > 10 else "")
        mend = f"name in {self.languages_key} those that are there, or say in {self.key} how it spells {lang}"
        return f"it has {has}; {mend}" if has else mend

    def _ranked(self, spellings: Iterable[str], place: str) -> dict[str, dict[str, Nearness]]:
        """The spellings of each language that has some, the nearest first."""
        spellings = list(dict.fromkeys(spellings))
        self.found.update(spellings)
        found = self._told(spellings)
        told = {spelling for ranks in found.values() for spelling in ranks} | {
            s for s in spellings if any(_plain(s) == _plain(lang) for lang in self.given)
        }
        rest = [lang for lang in self.languages if lang not in self.given]
        found |= _shared_out(rest, [spelling for spelling in spellings if spelling not in told])
        found = {lang: dict(sorted(ranks.items(), key=lambda item: item[1])) for lang, ranks in found.items() if ranks}
        for lang, ranks in found.items():
            # Which of the languages that a macro-language includes is meant is not for us to say.
            if len({near.member for near in ranks.values()}) > 1 and next(iter(ranks.values())).member:
                raise self._unclear(place, lang, list(ranks))
        return found

    def _told(self, spellings: list[str]) -> dict[str, dict[str, Nearness]]:
        """The spellings of the languages whose spelling is given."""
        owner: dict[str, str] = {}
        for lang in self.languages:
            if lang in self.given and (other := owner.setdefault(_plain(self.given[lang]), lang)) != lang:
                raise UserError(
                    f"{self.key} says that {other} and {lang} are both {self.given[lang]!r}: a text is in one language"
                )
        found: dict[str, dict[str, Nearness]] = {}
        for spelling in spellings:
            if told := owner.get(_plain(spelling)):
                found.setdefault(told, {})[spelling] = _equal(spelling, self.given[told])
        return found

    def _unclear(self, place: str, lang: str, some: list[str]) -> UserError:
        return UserError(
            f"{place} has {', '.join(some)}, each of which may be {lang}: say in {self.key} which is meant, e.g. "
            f"{{{lang}: {some[0]}}}"
        )

    def _note(self, lang: str, spellings: Iterable[str]) -> None:
        self.spelt.setdefault(lang, {}).update((s, None) for s in spellings if s != lang)

    def told(self) -> dict[str, str]:
        """What was read for each language that the source spells otherwise than by its tag."""
        return {lang: ", ".join(spellings) for lang, spellings in sorted(self.spelt.items()) if spellings}


def said(source: str, told: Mapping[str, str]) -> str:
    """What `Wanted.told` gives of a source, as a line of the log."""
    return f"languages as {source} spells them: {', '.join(f'{lang} is {spelling}' for lang, spelling in told.items())}"


def same(language: str, spellings: Iterable[str]) -> set[str]:
    """Those of `spellings` that say no other region than `language` does, or than it is taken to say."""
    return {spelling for spelling in spellings if (near := _near(language, spelling)) and near.distance <= 0}


def columns(template: str, names: Collection[str], wanted: Wanted, place: str) -> dict[str, str]:
    """The one of `names` for each language that is there, `{lang}` standing in `template` for the language."""
    if "{lang}" not in template:
        return dict.fromkeys(wanted.languages, template) if template in names else {}
    expression = re.compile("(.+)".join(map(re.escape, template.split("{lang}", 1))).replace(r"\{lang\}", r"\1"))
    spelled = {match[1]: name for name in names if (match := expression.fullmatch(name))}
    return {lang: spelled[spelling] for lang, spelling in wanted.each(spelled, place).items()}


def _shared_out(languages: list[str], spellings: list[str]) -> dict[str, dict[str, Nearness]]:
    """Each spelling to the language it is nearest to; to none if it is as near to two.

    A language with a region takes its nearest spelling of all or none, and leaves the others to those that have none.
    """
    ranks = {lang: {s: near for s in spellings if (near := _near(lang, s))} for lang in languages}
    owned: dict[str, dict[str, Nearness]] = {lang: {} for lang in languages}
    left = dict.fromkeys(spellings)
    for distance in sorted({near.distance for row in ranks.values() for near in row.values()}):
        open_ = [
            lang
            for lang, row in ranks.items()
            if _broad(lang) or distance == min((near.distance for near in row.values()), default=None)
        ]
        for spelling in list(left):
            claims = [lang for lang in open_ if (near := ranks[lang].get(spelling)) and near.distance == distance]
            claims = [lang for lang in claims if _broad(lang)] or claims
            if claims:
                del left[spelling]
            if len(claims) == 1:
                owned[claims[0]][spelling] = ranks[claims[0]][spelling]
    return owned


@lru_cache(10_000)
def _near(wanted: str, spelling: str) -> Nearness | None:
    """None: they are not the same language in the same script."""
    if _plain(spelling) == _plain(wanted):
        return _equal(spelling, wanted)
    tag = _tag(spelling)
    if tag is None:
        return None
    a, b = (langcodes.Language.get(t).prefer_macrolanguage() for t in (wanted, tag))
    if a.language is None or not _same_script(a.maximize().script, b.maximize().script):
        return None
    distance = langcodes.tag_distance(wanted, tag)
    if a.language == b.language:
        return Nearness(distance, b.territory is not None, "")
    within = MACROLANGUAGES.get(str(b.language)) == a.language
    around = MACROLANGUAGES.get(a.language) == b.language
    if (within or around) and distance <= ONE_LANGUAGE:
        return Nearness(distance, b.territory is not None, str(b.language) if within else "")
    # Two letters are a language's own: Indonesian (`id`) is no Malay, though ISO 639-3 has it so. `nn` is Norwegian.
    if within and (len(str(b.language)) == 3 or a.language == "no"):
        return Nearness(distance, b.territory is not None, str(b.language))
    return None


def _equal(spelling: str, wanted: str) -> Nearness:
    """Of a spelling that is the tag asked for, but for case and hyphens."""
    return Nearness(SAME if spelling == wanted else EQUAL, False, "")


def _broad(lang: str) -> bool:
    return langcodes.Language.get(lang).territory is None


def _plain(spelling: str) -> str:
    return spelling.replace("_", "-").casefold()


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
