"""`train.freeze`: what of a transformer is not trained. Stages that only run models read it as well: what is frozen is
computed once for all models (`shared.trunk`)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stages.settings.reading import value
from stages.settings.types import Group


class Freeze(Group):
    layers: Annotated[int, Field(ge=0)]
    embeddings: bool

    @property
    def is_trunk(self) -> bool:
        """Whether what is frozen is computed before all else, so that its outcome can be kept."""
        return self.embeddings and self.layers > 0


def read_freeze() -> Freeze | None:
    return value("train.freeze", Freeze | None)
