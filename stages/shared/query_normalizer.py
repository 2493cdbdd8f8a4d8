"""Queries in Latin letters as people type them (Hinglish and its kin), made alike before they are encoded.

Three parts, each on or off (`base.query_normalizer`). Elongation: "plzzzz" is "plz", "???" is "?". Script: Hindi and
its neighbours in their own letters become Latin, "मेरा पैसा" "mera paisa". Spelling: nhi, nahin and nahee, which sound
the same, become what training queries have most often, nahi. A word that the passages have is never changed.

What is learnt of queries and passages is one JSON file in a model's folder. `stages.shared.encoder` reads it; for
sentence-transformers, which knows nothing of it, the folder is a model that takes queries as they come.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from stages.shared import models, tables

# Of how queries are normalised: kept with what is learnt, so that vectors of queries made otherwise are not taken.
NORMALIZER_VERSION = 1
# Words of Latin letters alone: not a part of co2, naïve or don't.
LATIN_WORD = re.compile(r"(?<![\w'’])[A-Za-z]+(?![\w'’])")
ROMAN = set("IVXLCDM")
LONG = re.compile(r"([^\W\d_])\1{2,}", re.IGNORECASE)
DOUBLE = re.compile(r"(.)\1")
LETTERS = re.compile(r"[^\W\d_]+")
REPEATED_MARKS = re.compile(r"([!?])\1+|([^\w\s])\2{2,}")
# Devanagari, Bengali, Gurmukhi, Gujarati, Oriya, Tamil, Telugu, Kannada, Malayalam, with the (zero-width) joiners.
INDIC = re.compile("[\u0900-\u0963\u0966-\u0d7f][\u0900-\u0963\u0966-\u0d7f\u200c\u200d]*")
DANDAS = str.maketrans("।॥", "..")
# English t, d and short o are written with letters that few Hindi words have.
LOAN = re.compile("[टड](?!़)|[ऍऑॅॉ]")
# Shorter keys say too little of a word that training has not seen ("tv" is not "tav").
LONG_ENOUGH = 3
# And this many consonants are an English word, whatever its vowels: "rifand" is "refund".
CONSONANTS = 4


def learn(parts: dict[str, bool], queries: Iterable[str], passages: Iterable[str]) -> dict[str, Any]:
    """What the file holds: the parts that are on, the passages' words, and spellings learnt from training queries.

    `spellings`: the words of each sound key, the commonest first (ties by letters). `loans`: the passages' word of
    each skeleton of consonants, again the commonest in queries. Both and `vocabulary` are sorted.
    """
    words = {word.lower() for text in passages for word in LETTERS.findall(text)}
    # Of other alphabets those alone that could be taken for drawn out.
    vocabulary = {word for word in words if word.isascii() or DOUBLE.search(word)}
    state: dict[str, Any] = {
        "version": NORMALIZER_VERSION,
        **parts,
        "vocabulary": sorted(vocabulary),
        "spellings": {},
        "loans": {},
    }
    # Spellings are counted as they are after the parts before.
    texts = Normalizer({**state, "spelling": False})(list(queries))
    counts = Counter(word.lower() for text in texts for word in LATIN_WORD.findall(text))
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    if parts["spelling"]:
        groups = defaultdict(list)
        for word in ranked:
            if word not in vocabulary and len(word) > 1:
                groups[sound(word)].append(word)
        state["spellings"] = dict(sorted(groups.items()))
    if parts["script"]:
        loans: dict[str, str] = {}
        for word in sorted(vocabulary, key=lambda word: (-counts[word], word)):
            if word.isascii() and len(bones := skeleton(word)) >= CONSONANTS:
                loans.setdefault(bones, word)
        state["loans"] = dict(sorted(loans.items()))
    return state


def read(folder: Path) -> Normalizer | None:
    """The normaliser of a model's folder, None if it has none."""
    file = folder / models.NORMALIZER
    return Normalizer(tables.read_json(file)) if file.is_file() else None


class Normalizer:
    """Call it with texts for the same texts as training spells them, some 300,000 short ones a second; `state`: see
    `learn`."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.elongation, self.script, self.spelling = (state[part] for part in ("elongation", "script", "spelling"))
        self.vocabulary = frozenset(state["vocabulary"])
        self.spellings: dict[str, str] = {key: words[0] for key, words in state["spellings"].items()}
        self.seen = {word: words[0] for words in state["spellings"].values() for word in words}
        self.loans: dict[str, str] = state["loans"]
        # Texts repeat their words: each is looked at once.
        self._kept = lru_cache(2**18)(self._token)

    def __call__(self, texts: list[str]) -> list[str]:
        return [" ".join(map(self._kept, text.split(" "))) for text in texts]

    def _token(self, token: str) -> str:
        if self.elongation:
            token = REPEATED_MARKS.sub(lambda match: match[1] or match[2], LETTERS.sub(self._shorter, token))
        if self.script:
            token = INDIC.sub(self._latin, token.translate(DANDAS))
        return LATIN_WORD.sub(self._respelled, token) if self.spelling else token

    def _shorter(self, match: re.Match[str]) -> str:
        """Runs of three letters and more become one, or two if that alone is a word of the passages ("freee")."""
        word = match[0]
        # Nor a number in Roman numerals, nor an address.
        if word.lower() in self.vocabulary or not LONG.search(word) or set(word) <= ROMAN or "www" in word:
            return word
        one, two = LONG.sub(r"\1", word), LONG.sub(r"\1\1", word)
        known = self.vocabulary
        return two if two.lower() in known and one.lower() not in known else one

    def _latin(self, match: re.Match[str]) -> str:
        """In Latin letters; an English word of the passages as English spells it, which Devanagari does not say."""
        word = latin(match[0])
        if not LOAN.search(match[0]) or word in self.vocabulary or word in self.seen:
            return word
        return self.loans.get(skeleton(word), word)

    def _respelled(self, match: re.Match[str]) -> str:
        word = match[0]
        plain = word.lower()
        if plain in self.vocabulary:
            return word
        target = self.seen.get(plain)
        if target is None and len(key := sound(plain)) >= LONG_ENOUGH:
            target = self.spellings.get(key)
        if target is None or target == plain:
            return word
        return target.capitalize() if word[0].isupper() else target


# ── Sounds ────────────────────────────────────────────────────────────────────────────────────────────────────────────

# What people write for one sound, in this order. Vowels are kept but for a, which stands for the schwa and for the long
# vowel alike: it is left out between consonants (nhi, krna), except where its length or its presence tells words apart.
SOUNDS = [
    (re.compile(pattern), sound)
    for pattern, sound in [
        (r"c+h+(c+h+)?", "ch"),
        ("ph", "f"),
        ("jh|z", "j"),
        ("ck|(?<!^)q", "k"),
        ("w", "v"),
        ("ee+|ii+", "i"),
        ("oo+|uu+", "u"),
        ("ei", "e"),
        ("ey$", "e"),
        (r"([cgjkm])\1", r"\1"),
        (r"(?<=...)([bdfhlnprstv])\1$", r"\1"),
        # pehle is pahle; yeh is ye, wajah waja.
        ("e(?=h[^aeiou])", "a"),
        ("(?<=[eo])h$|(?<=[aeiou][^aeiou]a)h$", ""),
        # gae is gaye, chahie chahiye, gai gayi.
        ("(?<=i)(?=[aeou])|(?<=a)(?=e|i$)", "y"),
        # A nasal vowel: nahin, karun.
        ("(?<=[aeiou][^aeiou]i)n$|(?<=u)n$", ""),
        # kaam (work) is not kam (less), nor aapne apne.
        ("^([^aeiou]+)aa([^aeiou]+)$", r"\1A\2"),
        ("^aa(?=pn)", "A"),
        # lagane (to put) is not lagne (to seem).
        ("([aeiou][^aeiou]+)aa?([nt][aeiou]+)$", r"\1A\2"),
        ("aa+", "a"),
        # kaha (said) is not kha (eat).
        ("(?<=[^aeiouA])a(?=[^aeiouA])(?!(?<=[bcdgjkpst]a)h)", ""),
    ]
]


def sound(word: str) -> str:
    """The key that spellings of one word share; `word` in small Latin letters."""
    for pattern, written in SOUNDS:
        word = pattern.sub(written, word)
    return word


BONES = [
    (re.compile(pattern), written)
    for pattern, written in [
        ("tion|sion", "shn"),
        ("c(?=[eiy])", "s"),
        ("c(?!h)", "k"),
        ("g(?=e)|z|dge?", "j"),
        ("ph", "f"),
        ("x", "ks"),
        ("q", "k"),
        ("w", "v"),
        (r"(.)\1+", r"\1"),
        ("^[aeiou]", "@"),
        ("[aeiouy]", ""),
        (r"(.)\1+", r"\1"),
    ]
]


def skeleton(word: str) -> str:
    """A word's consonants, and @ for a vowel that begins it; English letters as they sound."""
    for pattern, written in BONES:
        word = pattern.sub(written, word)
    return word


# ── Scripts ───────────────────────────────────────────────────────────────────────────────────────────────────────────

# Unicode lays out these scripts alike, 128 characters each, after ISCII: a letter is its Devanagari counterpart's.
BLOCK, INDIC_BLOCKS = 0x80, range(0x900, 0xD80)
OTHERS = {
    "ੰ": "ं",
    "ৎ": "त्",
    "ৰ": "र",
    "ৱ": "व",
    "ॐ": "ओम्",
    "ൺ": "ण्",
    "ൻ": "न्",
    "ർ": "र्",
    "ൽ": "ल्",
    "ൾ": "ळ्",
    "ൿ": "क्",
}
TYPED = "k kh g gh n ch chh j jh n t th d dh n t th d dh n n p f b bh m y r r l l l v sh sh s h"
CONSONANT = dict(zip("कखगघङचछजझञटठडढणतथदधनऩपफबभमयरऱलळऴवशषसह", TYPED.split(), strict=True))
NUKTA = {"क": "q", "ज": "z", "झ": "z"}  # ख़, ग़, ड़, ढ़, फ़ are typed as without the dot
SAID = "a A i I u U ri e e e ai o o o au"
VOWEL = dict(zip("अआइईउऊऋऍऎएऐऑऒओऔ", SAID.split(), strict=True))
SIGN = dict(zip("ािीुूृॅॆेैॉॊोौ", SAID.split()[1:], strict=True))
SCHWA, NASAL = "@", "~"
VOWELS = {*VOWEL.values(), SCHWA}
# The languages of these scripts drop the schwa; those further south and Oriya pronounce it.
NORTHERN = range(0x900, 0xB00)


@lru_cache(2**16)
def latin(word: str) -> str:
    """A word of an Indic script in Latin letters, as it is typed in chats: a for a long vowel too, but in naam and aap.

    The schwa goes at the end (kab) and in VC_CV from the right (karna, badalna): Ohala, Aspects of Hindi Phonology,
    1983, as in Narasimhan, Sproat and Kiraz, Schwa-Deletion in Hindi Text-to-Speech Synthesis, 2004, without their
    morphology. Of libraries, uroman, anyascii, Unidecode and indic-transliteration write letter by letter (karanaa,
    krna, krnaa, karanA).
    """
    phones = _phones(word)
    if ord(word[0]) in NORTHERN:
        phones = _without_schwas(phones)
    return _typed(phones)


def _phones(word: str) -> list[str]:
    # NFC takes letters with a dot apart.
    alike = "".join(
        chr(0x900 + ord(char) % BLOCK) if ord(char) in INDIC_BLOCKS and char not in OTHERS else OTHERS.get(char, char)
        for char in unicodedata.normalize("NFC", word)
    )
    phones: list[str] = []
    last = ""
    for char in alike.replace("ज्ञ", "ग्य"):
        if char in CONSONANT:
            phones += [CONSONANT[char], SCHWA]
            last = char
        elif char == "़" and phones[-1:] == [SCHWA] and last in NUKTA:
            phones[-2] = NUKTA[last]
        elif char in SIGN and phones[-1:] == [SCHWA]:
            phones[-1] = SIGN[char]
        elif char == "्" and phones[-1:] == [SCHWA]:
            phones.pop()
        elif char in VOWEL:
            phones.append(VOWEL[char])
        elif char in "ँं":
            phones.append(NASAL)
        elif char.isdecimal():
            phones.append(str(unicodedata.decimal(char)))
        elif char.isalpha():
            phones.append(char)
    return phones


def _without_schwas(phones: list[str]) -> list[str]:
    kept = list(phones)
    if kept[-1:] == [SCHWA] and len(kept) > 2 and not (kept[-2] in ("r", "v", "y") and kept[-3] not in VOWELS):
        kept.pop()
    for at in range(len(kept) - 3, 1, -1):
        around = [phone in VOWELS for phone in kept[at - 2 : at + 3]]
        if kept[at] == SCHWA and NASAL not in kept[at - 1 : at + 2] and around == [True, False, True, False, True]:
            del kept[at]
    return kept


def _typed(phones: list[str]) -> str:
    # naam, theek, doodh: long in a word of one syllable that a consonant ends.
    closed = sum(phone in VOWELS for phone in phones) == 1 and phones[-1] not in VOWELS | {NASAL}
    written = ""
    for at, phone in enumerate(phones):
        before = phones[at - 1] if at else ""
        after = phones[at + 1] if at + 1 < len(phones) else ""
        if phone == SCHWA:
            # pehle, kehna
            written += "e" if after == "h" and phones[at + 2 : at + 3] and phones[at + 2] not in VOWELS else "a"
        elif phone == "A":
            written += "aa" if closed or at == 0 else "a"
        elif phone in ("I", "U"):
            glide = "y" if phone == "I" and (before == SCHWA or (before == "A" and at == 1)) else ""
            written += glide + ({"I": "ee", "U": "oo"} if closed else {"I": "i", "U": "u"})[phone]
        elif phone == "e":
            written += "ye" if before in (SCHWA, "a", "A", "i", "I") else "e"
        elif phone == "v":
            written += "w" if after in (SCHWA, "a", "A", "o") else "v"
        elif phone == NASAL:
            if after:
                written += "m" if after[0] in "pbmf" else "n"
            elif before not in ("I", "U"):  # nahi, hu
                written += "in" if before == "e" else "n"
        else:
            written += phone
    return written
