"""codeswitch: which texts are switched, from the lexicon's tables, and what is told of them."""

import json
from pathlib import Path

import polars as pl
import pytest

from stages.schemas.codeswitched import CODESWITCHED
from stages.schemas.lexicons import LEXICON
from stages.settings.codeswitch import Codeswitch
from stages.shared import tables
from stages.shared.errors import UserError

FOLDER = Path("data/codeswitched")


def lexicon(pair, *words):
    """Write a table of the lexicon `aligned`, its words being (word, translation), the best first."""
    rows = [(word, translation, -float(i), "given") for i, (word, translation) in enumerate(words)]
    table = pl.DataFrame(rows, LEXICON, orient="row").sort("word", "score", descending=[False, True])
    tables.write(table, f"data/lexicons/aligned/{pair}.parquet", LEXICON)


@pytest.fixture
def study(workspace):
    """Two passages, one of dev, and two queries of a word each; a lexicon from English to Korean, and none back."""
    texts = {"en": ("Big", "house"), "ko": ("큰", "집")}
    workspace.corpus([("a", "train", texts), ("b", "dev", texts)], [("q1", "a"), ("q2", "b")])
    lexicon("en-ko", ("big", "큰"), ("big", "커다란"), ("house", "집"), ("en", "영어"))
    return workspace


def rows(name="switched"):
    return tables.read(FOLDER / f"{name}.parquet", CODESWITCHED).rows()


def told():
    return json.loads(Path("metrics/codeswitch.json").read_text())


def test_training_queries_and_all_passages_are_switched_with_the_best_translation(study):
    study.edit(codeswitch__switched__probability=1.0).run("codeswitch")
    assert rows() == [
        ("passage", "a", "en", 0, "큰 집"),
        ("passage", "b", "en", 0, "큰 집"),
        ("query", "q1", "en", 0, "q1|영어"),
    ]
    assert told() == {
        "switched": {
            "en": {
                "texts": 3,
                "words": 6,
                "switched": 0.83333,
                "out_of_lexicon": 0.16667,
                "samples": [["Big house", "큰 집"], ["Big house", "큰 집"], ["q1|en", "q1|영어"]],
            }
        }
    }


def test_variants_have_sides_and_draws_and_do_not_touch_each_other(study):
    lexicon("ko-en", ("집", "house"))
    other = {"lexicon": "aligned", "kind": "bilingual", "targets": ["ko"], "side": "query", "draws": 3}
    study.edit(codeswitch__other=other, codeswitch__switched__targets=None).run("codeswitch")
    assert [row[:4] for row in rows("other")] == [("query", "q1", "en", draw) for draw in range(3)]
    assert {row[2] for row in rows()} == {"en", "ko"}
    before = [(FOLDER / f"{name}.parquet").read_bytes() for name in ("switched", "other")]
    study.edit(codeswitch__other=other | {"probability": 1.0}).run("codeswitch")
    after = [(FOLDER / f"{name}.parquet").read_bytes() for name in ("switched", "other")]
    assert before[0] == after[0] and before[1] != after[1]


def test_lexicons_that_lead_nowhere_are_told(study):
    study.edit(codeswitch__switched__targets=["ko", "de"])
    with pytest.raises(UserError, match=r"^codeswitch\.switched\.targets needs data/lexicons/aligned/en-de\.parquet"):
        study.run("codeswitch")
    study.edit(codeswitch__switched__targets=["de"])
    with pytest.raises(UserError, match=r"switches nothing: data/lexicons/aligned has no table .* to de: name another"):
        study.run("codeswitch")
    assert not FOLDER.exists()
    study.edit(codeswitch={}).run("codeswitch")
    assert list(FOLDER.iterdir()) == [] and told() == {}


def test_kinds_have_the_targets_and_probabilities_of_the_paper():
    with pytest.raises(ValueError, match="bilingual has one target"):
        Codeswitch(lexicon="x", kind="bilingual", targets=["ko", "de"])
    multilingual, titles = (Codeswitch(lexicon="x", kind=kind) for kind in ("multilingual", "titles"))
    assert (multilingual.share, multilingual.by_phrase, titles.share, titles.by_phrase) == (0.5, False, 1.0, True)
