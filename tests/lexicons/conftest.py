"""A lexicon's settings, and what a stage has written."""

import json
from pathlib import Path

import pytest

from stages.schemas.lexicons import LEXICON
from stages.settings.lexicons import Lexicon
from stages.shared import tables

COLLECTED = "data/collected"


@pytest.fixture
def settings(workspace):
    """Call it with the settings of the study's only lexicon, `mine`, to have them in params and as they are read."""

    def write(**given):
        workspace.edit(lexicons={"mine": {"path": COLLECTED, **given}})
        return Lexicon(**{"path": COLLECTED, **given})

    return write


def entries(pair):
    """{word: [translations, best first]} of a table of `mine`."""
    found = {}
    for word, translation in tables.read(f"data/lexicons/mine/{pair}.parquet", LEXICON)["word", "translation"].rows():
        found.setdefault(word, []).append(translation)
    return found


def record():
    return json.loads(Path("data/lexicons/mine/about.json").read_text())
