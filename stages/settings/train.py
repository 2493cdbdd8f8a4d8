"""`train`: how every recipe is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from stages.settings.reading import value
from stages.settings.types import Count, Group, Positive, Share, word_or

if TYPE_CHECKING:
    Targets = list[str] | Literal["all-linear"]
else:
    Targets = word_or("all-linear", Annotated[list[str], Field(min_length=1)])


class Lora(Group):
    rank: Count
    alpha: Positive
    targets: Targets
    dropout: Annotated[float, Field(ge=0, lt=1)]


class Train(Group):
    steps: Count
    batch_size: Count
    mini_batch_size: Count | None
    learning_rate: Positive
    warmup: Share
    weight_decay: Annotated[float, Field(ge=0)]
    temperature: Positive
    in_batch: bool
    precision: Literal["fp32", "bf16", "fp16"]
    gradient_checkpointing: bool
    lora: Lora | None
    max_length: Count | None
    log_every: Count
    checkpoint_every: Count

    @model_validator(mode="after")
    def _logged(self) -> Train:
        if self.log_every > self.steps:
            raise ValueError(f"log_every is {self.log_every}, but there are only {self.steps} steps: lower it")
        return self


def read_train() -> Train:
    return value("train", Train)
