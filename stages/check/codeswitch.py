"""Contradictions of what lexicons are for: those that there are not."""

from __future__ import annotations

from collections.abc import Iterator

from stages.check.groups import Params
from stages.schemas.lexicons import LLM
from stages.settings.reading import meant


def contradictions(params: Params) -> Iterator[str]:
    known = list(params.lexicons)
    for group, members in (("codeswitch", params.codeswitch), ("translated", params.translated)):
        for name, lexicon in ((name, member.lexicon) for name, member in members.items()):
            if lexicon not in known:
                others = f", or name one of {', '.join(known)}" if known else f", or remove {group}.{name}"
                yield (
                    f"{group}.{name}.lexicon is {lexicon!r}, which there is not{meant(lexicon, known)}: "
                    f"add lexicons.{lexicon}{others}"
                )
            elif group == "codeswitch" and params.lexicons[lexicon].source == LLM:
                yield (
                    f"codeswitch.{name}.lexicon is {lexicon!r}, a language model that has no words to switch: name "
                    "another lexicon"
                )
