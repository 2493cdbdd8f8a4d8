"""Accelerators of menus and buttons: the sign before the letter that a key press stands for (`&Open`, `Save _As`), and,
where the letter is not of the translation's script, both in brackets behind it (`열기(&O)`)."""

from __future__ import annotations

import re

# Not `AT & T`, `&amp;`, `&&`, `_emphasis_`, `__init__` or `?a=1&b=2`.
BRACKETED = {mark: re.compile(rf"\s?\({mark}\w\)") for mark in "&_"}
ACCELERATOR = {
    "&": re.compile(r"(?<![&?=/.:\d])&(?=\w)(?!\w+;)"),
    "_": re.compile(r"(?<![_?=/.:&])_(?=[^\W_])(?!\w*_)"),
}


def without(texts: dict[str, str]) -> dict[str, str]:
    """One message's texts in several languages, by language, without their accelerators.

    A text has at most one. A sign within a word is one only if every other text has one too, in another word, and small
    letters beside it: `R&D` and `snake_case` stay as they are.
    """
    for mark in "&_":
        found = {lang: _of(text, mark) for lang, text in texts.items()}
        within = [word for word, start in found.values() if word and not start]
        certain = any(word and start for word, start in found.values())
        apart = len({word for word, _ in found.values()}) == len(found) > 1 and all(word for word, _ in found.values())
        if certain or (within and apart):
            texts = {
                lang: _freed(text, mark) if found[lang][0] and (apart or found[lang][1]) else text
                for lang, text in texts.items()
            }
    return texts


def _of(text: str, mark: str) -> tuple[str, bool]:
    """The word with the accelerator, or '' if there is not one alone; whether it stands where only one can."""
    signs = list(ACCELERATOR[mark].finditer(text))
    if len(signs) != 1 or text.count(mark) != 1:
        return "", False
    at = signs[0].start()
    before, after = re.split(r"[^\w&]", text[:at])[-1], re.split(r"[^\w&]", text[at:])[0]
    if before and not re.search("[a-z]", before[-1] + after[1]):
        return "", False  # R&D
    return before + after, not before


def _freed(text: str, mark: str) -> str:
    text, bracketed = BRACKETED[mark].subn("", text)
    return text if bracketed else ACCELERATOR[mark].sub("", text)
