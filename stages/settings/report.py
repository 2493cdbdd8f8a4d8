"""`report`: what the page is called."""

from __future__ import annotations

from stages.settings.reading import value
from stages.settings.types import Group


class Report(Group):
    title: str


def read_report() -> Report:
    return value("report", Report)
