"""What one model may be trained with instead of what `train` says: of a recipe, and of a re-ranker."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from stages.settings.freeze import Freeze
from stages.settings.types import Count, Group, Positive, Share

# The type of a key that may be left out: its value is then the one of `train`, and never this.
AS_IN_TRAIN: Any = Field(None)


class Differing(Group):
    """What differs from `train` for one model; of its keys those that leave the loss of bi-encoders as it is, and
    `lora`, which may only be turned off."""

    steps: Count = AS_IN_TRAIN
    batch_size: Count = AS_IN_TRAIN
    mini_batch_size: Count | None = AS_IN_TRAIN
    mini_batch_tokens: Count | None = AS_IN_TRAIN
    learning_rate: Positive | None = AS_IN_TRAIN
    warmup: Share = AS_IN_TRAIN
    weight_decay: Annotated[float, Field(ge=0)] = AS_IN_TRAIN
    max_grad_norm: Positive | None = AS_IN_TRAIN
    precision: Literal["fp32", "bf16", "fp16"] = AS_IN_TRAIN
    gradient_checkpointing: bool = AS_IN_TRAIN
    sparse_embeddings: bool = AS_IN_TRAIN
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = AS_IN_TRAIN
    freeze: Freeze | None = AS_IN_TRAIN
    lora: None = AS_IN_TRAIN
    max_length: Count | None = AS_IN_TRAIN
    log_every: Count = AS_IN_TRAIN
    checkpoint_every: Count = AS_IN_TRAIN

    @property
    def written(self) -> dict[str, Any]:
        """The keys that are written, with their values."""
        return self.model_dump(exclude_unset=True)
