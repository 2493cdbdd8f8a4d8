"""Texts to sentences, by punctuation.

Rules of our own: Unicode's (UAX 29) end no sentence before a lower-case letter, as Korean begins some with, and
splitters with lists of abbreviations know few languages. Abbreviations end a sentence too: good enough to hold out a
lead.
"""

import regex

# What stands between two blocks of a text: a paragraph's or a list item's end ends a sentence, whatever it ends in.
BLOCK_END = "\u2029"

# Marks that end a sentence before white space: full stops, question and exclamation marks, dandas, and those of the
# Arabic, Armenian, Ethiopic, Burmese and Khmer scripts.
_BEFORE_SPACE = "[.!?。！？｡।॥؟۔։።፧။។]"
_ALONE = "[。！？｡।॥።။។]"  # those that need none
_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}]"
# Closing marks belong to their sentence and end it, but for those after which Japanese goes on: 「...。」と.
_CLOSING, _GOING_ON = "[”’）】》)]", "[」』]"
_END = regex.compile(
    rf"{_BEFORE_SPACE}(?=\s)|{_ALONE}{_CLOSING}*+(?!{_ALONE}|{_GOING_ON})"
    # The half-width marks, where nothing but a sentence's end can be meant.
    rf"|[!?](?<={_UNSPACED}.)(?={_UNSPACED})",
    regex.V1,
)


def split(text: str) -> list[str]:
    """The sentences of `text`, none of them empty."""
    pieces = _END.sub(rf"\g<0>{BLOCK_END}", text).split(BLOCK_END)
    return [sentence for piece in pieces if (sentence := piece.strip())]
