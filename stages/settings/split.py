"""`corpus.split`: shares of the passages."""

from __future__ import annotations

from pydantic import model_validator

from stages.settings.reading import value
from stages.settings.types import Group, Share


class Split(Group):
    train: Share
    dev: Share
    test: Share

    @model_validator(mode="after")
    def _whole(self) -> Split:
        if abs(self.train + self.dev + self.test - 1) > 1e-9:
            raise ValueError("train, dev and test must add up to 1")
        return self


def read_split() -> Split:
    return value("corpus.split", Split)
