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

    @property
    def any(self) -> bool:
        """Whether the model is exported at all."""
        return self.onnx or self.openvino or self.int8 or self.dimensions is not None


def read_chosen() -> Exports:
    return value("chosen", Exports)
