"""`chosen`: what the chosen model is exported to, and what its card says of licences."""

from __future__ import annotations

from stages.settings.reading import value
from stages.settings.types import Count, Group


class Exports(Group):
    onnx: bool
    openvino: bool
    int8: bool
    dimensions: Count | None
    licenses: dict[str, str]


def read_chosen() -> Exports:
    return value("chosen", Exports)
