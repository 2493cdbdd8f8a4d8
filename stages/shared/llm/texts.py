"""Texts translated by a language model, and what is checked of texts in whatever language they should be in."""

from __future__ import annotations

from collections.abc import Generator
from functools import cache, partial
from typing import Any

import regex

from stages.settings.llm import Llm
from stages.shared.languages import scripts
from stages.shared.llm.converse import Form, Text, ask
from stages.shared.llm.prompts import Prompts
from stages.shared.llm.request import Failed, Reply, Request

# A reply is asked for again if so small a share of its letters is of the script it should be written in; what is
# in between is for the filter `script` to judge.
OTHER_SCRIPT = 0.2


class Texts(Form):
    texts: list[Text]


def translated(
    llm: Llm, prompts: Prompts, key: str, prompt: str, texts: list[str], source: str, target: str
) -> Generator[Request, Reply, list[str]]:
    """Steps that end in `texts` translated, one for one, by the prompt that params.yaml names under `key`."""
    name = prompts.language(target)
    asked = prompts.fill(key, prompt, source=prompts.language(source), target=name, texts=texts)
    check = partial(check_texts, sources=texts, lang=target, name=name)
    reply = yield from ask(llm, asked, Texts, stand_in(Texts, texts), check)
    if len(reply.texts) != len(texts):
        raise Failed(f"{len(reply.texts)} translations of {len(texts)} texts into {target}")
    return reply.texts


def check_texts(reply: Texts, sources: list[str], lang: str, name: str) -> str | None:
    if len(reply.texts) != len(sources):
        return f"{len(reply.texts)} texts where {len(sources)} were to be translated"
    for source, text in zip(sources, reply.texts, strict=True):
        if bool(source) != bool(text):
            return f"the translation of {source[:60]!r} is {text[:60]!r}"
    return wrong_language(reply.texts, lang, name)


def wrong_language(texts: list[str], lang: str, name: str) -> str | None:
    """What is wrong if `texts` are in another script than `lang`, which prompts call `name`: all of them
    taken together, since a title or a query may be nothing but a name."""
    own, letters = _letters(lang)
    text = " ".join(texts)
    if own and len(own.findall(text)) < OTHER_SCRIPT * len(letters.findall(text)):
        return f"{text[:60]!r} is not in {name}"
    return None


@cache
def _letters(lang: str) -> tuple[regex.Pattern | None, regex.Pattern]:
    """The letters of the language's script, if Unicode has it, and all letters."""
    own = "".join(rf"\p{{Script={script}}}" for script in scripts(lang))
    return regex.compile(f"[{own}]") if own else None, regex.compile(r"\p{L}")


def stand_in(form: type[Form], texts: list[str]) -> dict[str, Any]:
    """A reply made of `texts`."""
    names = list(form.model_fields)
    return {names[0]: texts} if len(names) == 1 else dict(zip(names, texts, strict=True))
