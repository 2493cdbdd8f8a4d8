"""`gate`: how much a commit may lose. `tools.gate` reads it, and no stage."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stages.settings.metrics import Metric
from stages.settings.types import Group

Tolerated = Annotated[float, Field(ge=0)]


class GroupTolerance(Group):
    mono: Tolerated
    cross: Tolerated
    multi: Tolerated


class Tolerance(GroupTolerance):
    bias: Tolerated


class Gate(Group):
    tolerance: Tolerance
    metrics: dict[Metric, GroupTolerance]
