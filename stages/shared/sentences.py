"""Texts to sentences, by punctuation."""

import re

# A full stop, question or exclamation mark of either width, then white space.
END = re.compile(r"(?<=[.!?。！？])\s+")


def split(text: str) -> list[str]:
    """The sentences of `text`, none of them empty. Abbreviations end a sentence too: good enough to hold out a lead."""
    return [sentence for sentence in END.split(text) if sentence]
