"""What a training set is made of: that of a recipe, and that of a re-ranker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from stages.settings.types import Group, Name, Share, word_or

if TYPE_CHECKING:
    Draw = float | Literal["uniform", "size"]
else:
    Draw = word_or(("uniform", "size"), Share)


class BatchScheme(Group):
    """Which rows may share a batch; the names are those of arXiv 2408.10536 and 2004.05484."""

    scheme: Literal["composition", "x-x-mono", "x-x", "x-y", "hybrid"] = "composition"
    alpha: Share | None = None
    draw: Draw | None = None

    @model_validator(mode="after")
    def _consistent(self) -> BatchScheme:
        if self.alpha is not None and self.scheme != "hybrid":
            raise ValueError("alpha belongs to the scheme hybrid, and only to it")
        if self.draw is not None and not self.mono:
            raise ValueError("draw belongs to the schemes x-x-mono and hybrid, which draw the language of a batch")
        return self

    @property
    def mono(self) -> float:
        """The share of batches in one language."""
        return {"x-x-mono": 1.0, "hybrid": 0.5 if self.alpha is None else self.alpha}.get(self.scheme, 0.0)

    @property
    def exponent(self) -> float:
        """Languages are drawn in proportion to their rows to the power of this."""
        if isinstance(self.draw, float | int):
            return float(self.draw)
        return 1.0 if self.draw == "size" else 0.0


class SwitchedShare(Group):
    """How many rows are code-switched, and by which variant."""

    variant: Name
    share: Share


class TrainingSet(Group):
    compositions: Annotated[
        list[str], Field(min_length=1), BeforeValidator(lambda found: [found] if isinstance(found, str) else found)
    ]
    negatives: Name
    batches: BatchScheme = BatchScheme()
    synthetic: Share | None = None
    switched: SwitchedShare | None = None
    sample: Annotated[float, Field(gt=0, le=1)] | None = None
    domains: Annotated[list[Name], Field(min_length=1)] | None = None
    part: Annotated[list[Share], Field(min_length=2, max_length=2)] | None = None

    @model_validator(mode="after")
    def _some_part(self) -> TrainingSet:
        if self.part and self.part[0] >= self.part[1]:
            raise ValueError(f"part {self.part} is empty: write where it begins, then where it ends, e.g. [0.0, 0.5]")
        return self
