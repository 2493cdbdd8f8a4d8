"""`windows`: how passages that are longer than a window are scored."""

from __future__ import annotations

from pydantic import model_validator

from stages.settings.reading import value
from stages.settings.types import Count, Group


class Windows(Group):
    size: Count
    stride: Count
    best: Count

    @model_validator(mode="after")
    def _gapless(self) -> Windows:
        if self.stride > self.size:
            raise ValueError(
                f"stride is {self.stride}, beyond size, {self.size}, so that tokens would be in no window: lower it"
            )
        return self


def read_windows() -> Windows | None:
    return value("windows", Windows | None)
