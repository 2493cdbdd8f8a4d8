"""`codeswitch`: variants of the training texts with words in other languages."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stages.settings.reading import value
from stages.settings.tags import Language
from stages.settings.types import Count, Group, Name, Share


class Codeswitch(Group):
    lexicon: Name
    kind: Literal["bilingual", "multilingual", "titles"]
    targets: Annotated[list[Language], Field(min_length=1)] | None = None
    probability: Share | None = None
    side: Literal["query", "passage", "both"] = "both"
    phrases: bool = False
    keep_names: bool = False
    draws: Count = 1

    @property
    def share(self) -> float:
        """The probability of each word (arXiv 2305.05295, section 3)."""
        if self.probability is None:
            return 1.0 if self.kind == "titles" else 0.5
        return self.probability

    @property
    def sides(self) -> list[str]:
        return ["query", "passage"] if self.side == "both" else [self.side]

    @property
    def by_phrase(self) -> bool:
        return self.phrases or self.kind == "titles"

    @model_validator(mode="after")
    def _one_target(self) -> Codeswitch:
        if self.kind == "bilingual" and len(self.targets or []) != 1:
            raise ValueError("bilingual has one target: name it alone in targets, or write kind multilingual")
        return self


def read_codeswitch() -> dict[str, Codeswitch]:
    return value("codeswitch", dict[Name, Codeswitch])
