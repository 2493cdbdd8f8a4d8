"""The forms of replies, and what is checked of them before they are taken."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

import regex
from pydantic import AfterValidator

from stages.shared.languages import scripts
from stages.synthesize.llm.converse import Filled, Form, Text

# A reply is asked for again if so small a share of its letters is of the script it should be written in; what is
# in between is for the filter `script` to judge.
OTHER_SCRIPT = 0.2


def _some(queries: list[str]) -> list[str]:
    if not queries:
        raise ValueError("no query")
    return queries


class Queries(Form):
    # By a validator, as other constraints are (converse): the schema is part of each request's key.
    queries: Annotated[list[Filled], AfterValidator(_some)]


class Triple(Form):
    query: Filled
    positive: Filled
    hard_negative: Filled


class Texts(Form):
    texts: list[Text]


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


def check_queries(reply: Queries, count: int, lang: str, name: str) -> str | None:
    found = reply.queries
    if len(found) != count:
        return f"{len(found)} queries where {count} were asked for"
    if len(set(found)) < len(found):
        return "the same query twice"
    return wrong_language(found, lang, name)


def check_texts(reply: Texts, sources: list[str], lang: str, name: str) -> str | None:
    if len(reply.texts) != len(sources):
        return f"{len(reply.texts)} texts where {len(sources)} were to be translated"
    for source, text in zip(sources, reply.texts, strict=True):
        if bool(source) != bool(text):
            return f"the translation of {source[:60]!r} is {text[:60]!r}"
    return wrong_language(reply.texts, lang, name)


def stand_in(form: type[Form], texts: list[str]) -> dict[str, Any]:
    """A reply made of `texts`."""
    names = list(form.model_fields)
    return {names[0]: texts} if len(names) == 1 else dict(zip(names, texts, strict=True))
