"""The forms of what is written, and what is checked of it before it is taken."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from stages.shared.llm.converse import Filled, Form
from stages.shared.llm.texts import wrong_language


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


def check_queries(reply: Queries, count: int, lang: str, name: str) -> str | None:
    found = reply.queries
    if len(found) != count:
        return f"{len(found)} queries where {count} were asked for"
    if len(set(found)) < len(found):
        return "the same query twice"
    return wrong_language(found, lang, name)
