"""`train`: how every recipe is trained, and every re-ranker where it says nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from stages.settings.distillation import Distillation
from stages.settings.early_stopping import EarlyStopping
from stages.settings.freeze import Freeze
from stages.settings.reading import PARAMS, validated, value
from stages.settings.types import Count, Group, Positive, Share, word_or
from stages.shared.errors import UserError

if TYPE_CHECKING:
    Targets = list[str] | Literal["all-linear"]
else:
    Targets = word_or("all-linear", Annotated[list[str], Field(min_length=1)])


class Lora(Group):
    rank: Count
    alpha: Positive
    targets: Targets
    dropout: Annotated[float, Field(ge=0, lt=1)]


class Hardness(Group):
    """How much more a negative counts, the nearer it is to its query: names as sentence-transformers has them."""

    mode: Literal["in_batch_negatives", "hard_negatives", "all_negatives"]
    strength: Positive


# What suits the kind of base, where `learning_rate` is null.
LEARNING_RATES = {"static": 3e-3, "transformer": 2e-5, "lora": 1e-4}
# Beyond, all that a transformer has learnt is lost.
MOST_OF_A_TRANSFORMER = 2e-3

FITTED = {
    *("steps", "batch_size", "warmup", "weight_decay", "max_grad_norm", "precision", "gradient_checkpointing"),
    *("sparse_embeddings", "log_every", "checkpoint_every"),
}


# What is of bi-encoders' loss alone, and so no re-ranker's.
OF_BI_ENCODERS = ("guided", "matryoshka", "hardness", "distillation", "early_stopping", "mini_batch_tokens")


def _distinct(sizes: list[int]) -> list[int]:
    if len(set(sizes)) < len(sizes):
        raise ValueError(f"{sizes} names a size twice: write it once")
    return sizes


class Train(Group):
    steps: Count
    batch_size: Count
    mini_batch_size: Count | None
    mini_batch_tokens: Count | None
    learning_rate: Positive | None
    warmup: Share
    weight_decay: Annotated[float, Field(ge=0)]
    max_grad_norm: Positive | None
    temperature: Positive
    in_batch: bool
    symmetric: bool
    guided: Annotated[float, Field(ge=0)] | None
    matryoshka: Annotated[list[Count], Field(min_length=1), AfterValidator(_distinct)] | None
    hardness: Hardness | None
    distillation: Distillation | None
    early_stopping: EarlyStopping | None
    precision: Literal["fp32", "bf16", "fp16"]
    gradient_checkpointing: bool
    sparse_embeddings: bool
    dropout: Annotated[float, Field(ge=0, lt=1)] | None
    freeze: Freeze | None
    lora: Lora | None
    max_length: Count | None
    log_every: Count
    checkpoint_every: Count

    @property
    def fitted(self) -> dict[str, Any]:
        """What the trainer takes as params have it."""
        return self.model_dump(include=FITTED)

    def rate(self, static: bool) -> float:
        """The learning rate: what suits the kind of base, static or a transformer, where none is set."""
        return self.learning_rate or LEARNING_RATES["static" if static else "lora" if self.lora else "transformer"]

    def transformer_rate(self, base: str, key: str = "train") -> float:
        """The learning rate for the transformer `base`; raises `UserError`, which names the group `key`, if it is a
        static base's."""
        rate = self.rate(static=False)
        if not self.lora and rate > MOST_OF_A_TRANSFORMER:
            raise UserError(
                f"{key}.learning_rate is {rate:g}, which suits a static base, but {base} is a transformer: write null, "
                f"which is {LEARNING_RATES['transformer']:g}, or what suits it"
            )
        return rate

    def changed(self, differing: dict[str, Any], key: str) -> Train:
        """These settings with those that `differing`, the group `key` of params, has instead; raises `UserError` if
        they do not go together."""
        found: Train = validated(self.model_dump() | differing, Train, PARAMS, key.split("."))
        return found

    @property
    def of_pairs(self) -> Train:
        """Without what is of bi-encoders alone, which would stand in a cross-encoder's way."""
        return self.model_copy(update=dict.fromkeys(OF_BI_ENCODERS))

    @model_validator(mode="after")
    def _consistent(self) -> Train:
        if self.guided is not None and self.freeze and self.freeze.is_trunk:
            raise ValueError(
                "guided has the base itself judge each batch, of which freeze runs the lower layers apart: write null "
                "for one of them"
            )
        if self.sparse_embeddings and (self.lora or (self.freeze and self.freeze.embeddings)):
            raise ValueError("sparse_embeddings is of embeddings that lora or freeze leave as they are: write false")
        if self.sparse_embeddings and self.weight_decay:
            raise ValueError(
                "sparse_embeddings updates those rows alone that a batch reads, and weight_decay "
                f"{self.weight_decay:g} is of all: write 0.0 or false"
            )
        if self.mini_batch_size and self.mini_batch_tokens:
            raise ValueError(
                "mini_batch_size and mini_batch_tokens both say what is encoded at once: write null for one"
            )
        if self.hardness and self.hardness.mode == "in_batch_negatives" and not self.in_batch:
            raise ValueError(
                "hardness.mode in_batch_negatives is of negatives that in_batch false leaves out: write hard_negatives"
            )
        stopping = self.early_stopping
        if stopping and (stopping.every % self.log_every or self.steps % stopping.every):
            raise ValueError(
                f"early_stopping.every is {stopping.every}: it must be a multiple of log_every, {self.log_every}, and "
                f"divide steps, {self.steps}"
            )
        if self.log_every > self.steps:
            raise ValueError(f"log_every is {self.log_every}, but there are only {self.steps} steps: lower it")
        return self


def read_train() -> Train:
    return value("train", Train)


def read_steps() -> int:
    """Gradient steps, unless a recipe has others."""
    return value("train.steps", Count)


def read_batch_size() -> int:
    """Queries a step, likewise."""
    return value("train.batch_size", Count)
