"""The forms under which a word is looked up: as it is, and without what its place in a sentence has added to it.

Snowball's stemmers (Porter 2001) for the languages that they know, and rules of our own for Korean, of which Snowball
knows nothing: its particles and endings follow one another, so that they are taken off one by one, and each step is a
form. A morphological analyser would know more (`고양이`, a cat, is cut to `고양`), but all forms of a word are cut
alike, which is what a lexicon needs. Words of other languages have one form.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any

import langcodes
import regex
import snowballstemmer

# What Snowball calls languages otherwise than CLDR does.
SNOWBALL_NAMES = {"nb": "norwegian", "nn": "norwegian", "no": "norwegian", "st": "sesotho"}

# Korean is cut in Unicode's decomposed form, in which a syllable's final consonant is a letter of its own: the first
# of an ending may be one (`가다`, `갑니다`), and which form a particle has depends on it.
SYLLABLE = r"[ᄀ-ᄒ][ᅡ-ᅵ][ᆨ-ᇂ]?"
# Of other scripts the rules do not know the sound.
AFTER_CONSONANT, AFTER_VOWEL, AFTER_VOWEL_OR_L = (f"(?<=[{sound}]|[^ᄀ-ᇂ])" for sound in ("ᆨ-ᇂ", "ᅡ-ᅵ", "ᅡ-ᅵᆯ"))
# A particle of one syllable is one only after two others: `회의` is no `회` with a particle.
LONG_PARTICLES = (
    "에서 에게 에게서 한테 한테서 까지 부터 보다 처럼 마다 조차 마저 밖에 만큼 로서 로써 으로 으로서 으로써 "
    "이라는 이라고 입니다"
)
SHORT_PARTICLES = "의 에 도 만 께 들 뿐 인"
# Those that tell themselves by the sound before.
CONSONANT_PARTICLES, VOWEL_PARTICLES = "이 과 이나 이며 이고 이란 이다", "가 와 로 라는 라고 란"
TOPIC_OR_OBJECT = (("은", AFTER_CONSONANT), ("을", AFTER_CONSONANT), ("는", ""), ("를", AFTER_VOWEL))
# Of verbs, after one syllable and after two.
LONG_ENDINGS = (
    "습니다 습니까 ᆸ니다 ᆸ니까 었습니다 았습니다 었다 았다 는다 지만 도록 는데 으면 으며 으니 어서 아서 거나 든지 "
    "려고 으려고 려면 으려면 세요 으세요 십시오 으십시오 어요 아요 어야 아야 었던 았던"
)
# What `었` is after a vowel; `있`, to be there, is no past.
CONTRACTED_ENDINGS, NOT_THERE = "ᆻ습니다 ᆻ다 ᆻ던 ᆻ고 ᆻ으며 ᆻ지만", "(?<!ᅵ)"
SHORT_ENDINGS = "다 고 며 면 지 게 기 던 어 아"
# What makes verbs of nouns, with all that may follow: `사용`, use, in `사용하였습니다`.
LIGHT_VERBS = "하 해 되 돼 시키 시켜"
IN_ENDINGS = "고 며 면 여 서 야 지 기 게 는 던 다 니 까 십 시 오 세 요 려 도 록 거 나 데 만 습 음 으 자 라 었 았 였 겠"


def _any(words: str) -> str:
    return "|".join(sorted(unicodedata.normalize("NFD", words).split(), key=len, reverse=True))


def _cut(words: str, syllables: int, before: str = "") -> str:
    return rf"(?P<stem>(?:{SYLLABLE}|[^ᄀ-ᇂ]){{{syllables},}}?){before}(?:{_any(words)})"


# The first that takes something off does.
_KOREAN = [
    regex.compile(pattern)
    for pattern in (
        _cut(LIGHT_VERBS, 2) + f"[ᆫᆯᆷᆸᆻ]?(?:{_any(IN_ENDINGS)}){{0,5}}",
        _cut(LONG_PARTICLES, 1),
        _cut(LONG_ENDINGS, 1),
        _cut(CONTRACTED_ENDINGS, 1, NOT_THERE),
        _cut("다", 1, "(?<=[ᆨ-ᇂ])"),
        _cut(CONSONANT_PARTICLES, 2, AFTER_CONSONANT),
        _cut(VOWEL_PARTICLES, 2, AFTER_VOWEL_OR_L),
        *(_cut(word, 1, before) for word, before in TOPIC_OR_OBJECT),
        _cut(SHORT_PARTICLES, 2),
        _cut(SHORT_ENDINGS, 2),
    )
]


@lru_cache(maxsize=2**18)
def lookups(word: str, lang: str) -> tuple[str, ...]:
    """The forms of `word` (any case and Unicode form) in the language `lang` (BCP-47), in lower case and NFC, best
    first: the word itself, and what is left of it after each cut; the last is its stem."""
    whole = unicodedata.normalize("NFC", word.lower())
    language = langcodes.Language.get(lang)
    if language.language == "ko":
        return _korean(whole)
    stemmer = _stemmer(language.language) if language.script is None else None
    stem = unicodedata.normalize("NFC", stemmer.stemWord(whole)) if stemmer else whole
    return (whole, stem) if stem not in ("", whole) else (whole,)


def stem(word: str, lang: str) -> str:
    """The last form under which `word` is looked up, which its inflected forms share."""
    return lookups(word, lang)[-1]


@lru_cache
def _stemmer(language: str) -> Any:
    name = SNOWBALL_NAMES.get(language, langcodes.Language.get(language).display_name().lower())
    return snowballstemmer.stemmer(name) if name in snowballstemmer.algorithms() else None


def _korean(word: str) -> tuple[str, ...]:
    found = [word]
    rest = unicodedata.normalize("NFD", word)
    while cut := next((match for pattern in _KOREAN if (match := pattern.fullmatch(rest))), None):
        rest = cut["stem"]
        found.append(unicodedata.normalize("NFC", rest))
    return tuple(found)
