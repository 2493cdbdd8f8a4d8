"""What a reply must hold to become queries."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

Query = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")
    queries: Annotated[list[Query], Field(min_length=1)]


def queries(content: str, count: int, max_chars: int) -> list[str]:
    """The queries of a reply, `count` different ones of at most `max_chars`; raises `ValueError` with the reason."""
    try:
        found = Reply.model_validate_json(content).queries
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"not the JSON asked for ({first['msg']})") from None
    if len(found) != count:
        raise ValueError(f"{len(found)} queries where {count} were asked for")
    if len(set(found)) < len(found):
        raise ValueError("the same query twice")
    longest = max(map(len, found))
    if longest > max_chars:
        raise ValueError(f"a query of {longest} characters, more than synthesize.max_query_chars")
    return found
