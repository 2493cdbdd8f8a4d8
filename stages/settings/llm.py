"""`llm`: which language model writes, how it is asked, and what it may cost."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from stages.settings.connection import Connection
from stages.settings.reading import value
from stages.settings.types import Group, Positive, Share


class Prices(Group):
    """US dollars per million tokens."""

    input: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)]


# What a request is made of besides `llm.parameters`.
OWN = ("model", "messages", "response_format", "seed", "n", "stream")

LENGTHS = ("max_completion_tokens", "max_tokens")


class Llm(Connection):
    provider: Literal["recorded", "openai"]
    mode: Literal["direct", "batch"]
    recorded: str
    structured: Literal["auto", "schema", "json", "none"]
    parameters: dict[str, Any]
    seed: int | None
    cache: str | None
    reasks: Annotated[int, Field(ge=0)]
    max_failed: Share
    prices: Prices | None
    batch_size: Annotated[int, Field(ge=1, le=50_000)]
    poll_seconds: Positive

    @property
    def longest_reply(self) -> int | None:
        """The most tokens a reply may have; None: nothing bounds it."""
        given = [self.parameters[name] for name in LENGTHS if name in self.parameters]
        return given[0] if given else None

    @model_validator(mode="after")
    def _sendable(self) -> Llm:
        for name in OWN:
            if name in self.parameters:
                raise ValueError(f"parameters.{name} is set by the stage itself: remove it")
        if self.longest_reply is not None and (type(self.longest_reply) is not int or self.longest_reply < 1):
            raise ValueError(f"parameters: a reply's greatest length is {self.longest_reply!r}: write a whole number")
        if self.max_cost_usd is not None and (self.prices is None or self.longest_reply is None):
            raise ValueError(
                "max_cost_usd needs prices, and max_completion_tokens (or max_tokens) in parameters: "
                "without them nothing bounds what a request costs"
            )
        return self


def read_llm() -> Llm:
    return value("llm", Llm)
