"""translated: a model ranks what a lexicon has translated."""

import json
from pathlib import Path

import polars as pl
import pytest

from stages.schemas.lexicons import LEXICON
from stages.schemas.runs import RUN
from stages.shared import encoder, tables
from stages.shared.errors import UserError
from tests.fakes.checkpoints import static_model
from tests.test_retrieve import benchmark

PASSAGES = [("p1", "en", "w1", "w2"), ("p1", "ko", "물", "불 바람"), ("p2", "en", "", "w5"), ("p2", "ko", "", "땅")]


@pytest.fixture
def study(workspace):
    """Texts in English, which the model knows, and in Korean; a lexicon that lacks a word of it."""
    benchmark(
        "dev", PASSAGES, [("q", "en", "w1"), ("q", "ko", "물 물")], [("q", "p1", lang, 1) for lang in ("en", "ko")]
    )
    static_model().save_pretrained(str(workspace.path / "models/base"), create_model_card=False)
    rows = [
        ("물", "w1", 1.0, "given"),
        ("물", "w7", 0.5, "given"),
        ("불", "w2", 1.0, "given"),
        ("땅", "w5", 1.0, "given"),
    ]
    table = pl.DataFrame(rows, LEXICON, orient="row").sort("word", "score", descending=[False, True])
    tables.write(table, "data/lexicons/mine/ko-en.parquet", LEXICON)
    return workspace.edit(translated={"t": {"model": "models/base", "lexicon": "mine", "into": "en"}})


def run():
    return tables.read("data/runs/t/dev.run.parquet", RUN)


def score(query, passage):
    model = encoder.load(Path("models/base"), 2)
    return float(model.encode([query], "query")[0] @ model.encode([passage], "passage")[0])


def test_queries_and_passages_are_ranked_as_translated(study):
    study.run("translated", "t")
    found = {row[:4]: row[5] for row in run().iter_rows()}
    assert found["ko-en", "q", "p1", "en"] == pytest.approx(score("w1 w1", "w1 w2"), abs=1e-6)
    assert found["en-ko", "q", "p2", "ko"] == pytest.approx(score("w1", "w5"), abs=1e-6)
    assert found["ko-*", "q", "p1", "ko"] == pytest.approx(score("w1 w1", "w1 w2 바람"), abs=1e-6)
    # Six words of Korean, of which the lexicon lacks one.
    assert json.loads(Path("data/runs/t/about.json").read_text()) == {
        "name": "translate-test",
        "model": "models/base",
        "lexicon": "mine",
        "into": "en",
        "side": "both",
        "out_of_lexicon": {"ko": 0.16667},
    }
    assert tables.read("data/runs/t/dev.relevant.parquet", RUN).height == 4


def test_queries_alone(study):
    study.edit(translated__t__side="query").run("translated", "t")
    found = {row[:4]: row[5] for row in run().iter_rows()}
    assert found["ko-ko", "q", "p1", "ko"] == pytest.approx(score("w1 w1", "물 불 바람"), abs=1e-6)
    assert found["ko-en", "q", "p2", "en"] == pytest.approx(score("w1 w1", "w5"), abs=1e-6)


def test_a_pair_that_the_lexicon_lacks_is_told(study):
    study.edit(translated__t__into="de")
    with pytest.raises(UserError, match=r"^data/lexicons/mine/en-de\.parquet is missing, and .* has texts in en"):
        study.run("translated", "t")
    assert not Path("data/runs/t").exists()
