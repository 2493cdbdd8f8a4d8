"""coverage: what lexicons translate of the training texts, and precision and coverage against dictionaries by hand."""

import json
from pathlib import Path

import polars as pl
import pytest

from stages.schemas.lexicons import LEXICON
from stages.shared import tables


def lexicon(name, source, entries):
    rows = [(word, translation, 1.0, source) for word, translation in entries]
    tables.write(pl.DataFrame(rows, schema=LEXICON, orient="row"), f"data/lexicons/{name}/en-ko.parquet", LEXICON)
    record = {"source": source, "pairs": [["en", "ko"]], "lacking": ["ko-en"], "dropped": {}}
    tables.write_json(record, f"data/lexicons/{name}/about.json")


@pytest.fixture
def measured(workspace):
    """Eight running words in train: cats twice, dog, eat and eats, zebra, quickly, run."""
    texts = {"en": ("Cats", "cats, dog eat: eats zebra quickly run"), "ko": ("고양이", "x")}
    hidden = {"en": ("", "hidden hidden"), "ko": ("", "x")}
    workspace.corpus([("p", "train", texts), ("q", "test", hidden)])
    workspace.edit(lexicons={"mine": {"source": "titles", "path": "x"}, "book": {"source": "titles", "path": "x"}})
    lexicon(
        "mine",
        "alignment",
        [("cat", "고양이를"), ("cat", "개"), ("dog", "고양이"), ("eat", "먹는다"), ("run", "달린다")],
    )
    lexicon(
        "book",
        "dictionary",
        [("cat", "고양이"), ("dog", "개"), ("dog", "강아지"), ("eat", "먹다"), ("zebra", "얼룩말")],
    )
    workspace.run("coverage")
    return json.loads(Path("metrics/lexicons.json").read_text())


def test_coverage_and_precision_are_of_the_words_that_the_dictionary_knows(measured):
    """It knows cats, dog, eat, eats and zebra; of these the lexicon knows four, cats, eat and eats as the dictionary
    has them but for their endings, and dog otherwise."""
    pair = measured["mine"]["pairs"]["en-ko"]
    assert pair["dictionaries"] == {"book": {"words": 5, "coverage": 0.8, "precision": 0.75}}
    # cats twice, dog, eat, eats and run of eight.
    assert (pair["words"], pair["entries"], pair["translated"]) == (4, 5, 0.75)


def test_a_lexicon_is_measured_by_others_that_are_dictionaries(measured):
    assert measured["book"]["pairs"]["en-ko"]["dictionaries"] == {}
    assert measured["book"]["lacking"] == ["ko-en"]


def test_no_lexicon_is_told_too(workspace):
    workspace.edit(lexicons={})
    workspace.run("coverage")
    assert json.loads(Path("metrics/lexicons.json").read_text()) == {}
