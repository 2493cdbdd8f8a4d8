"""`train.freeze`: what of a transformer is not trained. Stages that only run models read it as well: what is frozen is
computed once for all models (`shared.trunk`)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from stages.settings.reading import value
from stages.settings.types import Group, Positive

Precision = Literal["half", "int8"]


class Freeze(Group):
    """So many lower `layers`, and the `embeddings` before them; what they make of texts is kept in `precision`, in
    `disk` gigabytes at most."""

    layers: Annotated[int, Field(ge=0)]
    embeddings: bool
    precision: Precision = "half"
    disk: Positive | None = None

    @property
    def record(self) -> dict[str, Any]:
        """What a trained model tells of it."""
        return self.model_dump(include={"layers", "embeddings"})

    @property
    def is_trunk(self) -> bool:
        """Whether what is frozen is computed before all else, so that its outcome can be kept."""
        return self.embeddings and self.layers > 0


def read_freeze() -> Freeze | None:
    return value("train.freeze", Freeze | None)
