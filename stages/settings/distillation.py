"""`train.distillation`: how training heeds the teacher's scores. `trainsets`, which looks them up, reads it as well."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from stages.settings.reading import value
from stages.settings.types import Group, Positive


class Distillation(Group):
    kind: Literal["kl", "margin_mse"]
    weight: Annotated[float, Field(gt=0, le=1)]
    temperature: Positive


def read_distillation() -> Distillation | None:
    return value("train.distillation", Distillation | None)
