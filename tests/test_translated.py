"""translated: a model ranks what a lexicon, or a language model, has translated."""

import json
from pathlib import Path

import polars as pl
import pytest

from stages.schemas.lexicons import LEXICON
from stages.schemas.runs import RUN
from stages.shared import encoder, tables
from stages.shared.errors import UserError
from tests.conftest import ROOT
from tests.fakes.checkpoints import static_model
from tests.fakes.endpoint import Endpoint
from tests.fakes.writer import text_of
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
    tables.write_json({"source": "alignment"}, "data/lexicons/mine/about.json")
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


ENGLISH = {"물 물": "w1 w1", "물": "w1", "불 바람": "w2 w7", "땅": "w5"}
KEY = "key-of-an-endpoint"


def translating(body):
    prompt = text_of(body["messages"][0]["content"])
    asked = json.loads(prompt.split("Texts: ")[1])
    return json.dumps({"texts": [ENGLISH[text] for text in asked]})


def by_llm(study, endpoint, monkeypatch, **changes):
    """Have the row `t` translate by the model of `endpoint`."""
    monkeypatch.setenv("ENDPOINT_KEY", KEY)
    llm = {
        **{"llm__provider": "openai", "llm__base_url": endpoint.url, "llm__key_env": "ENDPOINT_KEY"},
        **{"llm__cache": str(study.path / "llm.sqlite"), "llm__retries": 1, "llm__max_failed": 0.0},
    }
    prompt = str(ROOT / "stages/synthesize/prompts/translate.md")
    study.edit(**llm | changes, lexicons={"model": {"source": "llm", "path": prompt}}, translated__t__lexicon="model")
    study.run("lexicons", "model")
    return study


def test_a_language_model_translates_whole_texts_once(study, monkeypatch):
    """Titles by themselves; what is in the language already is not sent, nor is what was asked for before."""
    with Endpoint(key=KEY, writer=translating, faults=lambda body, nth: "500" if nth == 0 else None) as endpoint:
        by_llm(study, endpoint, monkeypatch).run("translated", "t")
        found = {row[:4]: row[5] for row in run().iter_rows()}
        assert found["ko-en", "q", "p1", "en"] == pytest.approx(score("w1 w1", "w1 w2"), abs=1e-6)
        assert found["ko-*", "q", "p1", "ko"] == pytest.approx(score("w1 w1", "w1 w2 w7"), abs=1e-6)
        assert json.loads(Path("data/runs/t/about.json").read_text()) == {
            **{"name": "translate-test", "model": "models/base", "lexicon": "model", "into": "en", "side": "both"},
            "by": "isogloss-mini",
        }
        # The query, the passage with its title, and the other one.
        assert sorted(endpoint.answers().values()) == [1, 1, 1]
        endpoint.reset()
        study.edit(translated__t__side="query").run("translated", "t")
        assert not endpoint.requests
        found = {row[:4]: row[5] for row in run().iter_rows()}
        assert found["ko-ko", "q", "p1", "ko"] == pytest.approx(score("w1 w1", "물 불 바람"), abs=1e-6)


def test_what_a_language_model_does_not_translate_stays_and_is_counted_or_refused(study, monkeypatch):
    with Endpoint(
        key=KEY, writer=translating, faults=lambda body, nth: "400" if "땅" in str(body) else None
    ) as endpoint:
        by_llm(study, endpoint, monkeypatch)
        with pytest.raises(
            UserError, match=r"1 of 3 texts were not translated, .* the first is the passage '땅' from ko"
        ):
            study.run("translated", "t")
        assert not Path("data/runs/t").exists()
        study.edit(llm__max_failed=0.5).run("translated", "t")
    assert json.loads(Path("data/runs/t/about.json").read_text())["untranslated"] == {"ko": 1}
    found = {row[:4]: row[5] for row in run().iter_rows()}
    assert found["en-ko", "q", "p2", "ko"] == pytest.approx(score("w1", "땅"), abs=1e-6)


def test_a_language_model_costs_no_more_than_the_budget(study, monkeypatch):
    limits = {"prices": {"input": 1000.0, "output": 1000.0}, "parameters": {"max_completion_tokens": 100}}
    with Endpoint(key=KEY, writer=translating) as endpoint:
        by_llm(study, endpoint, monkeypatch, llm__max_cost_usd=0.1, **{f"llm__{k}": v for k, v in limits.items()})
        with pytest.raises(UserError, match=r"translated, translations: stopped at \$.* llm\.max_cost_usd \(\$0\.1\)"):
            study.run("translated", "t")
        assert not endpoint.requests


def test_recorded_replies_that_there_are_not_are_one_sentence(study, monkeypatch):
    with Endpoint(key=KEY) as endpoint:
        by_llm(study, endpoint, monkeypatch, llm__provider="recorded", llm__recorded="replies.jsonl")
    study.jsonl("replies.jsonl", [])
    with pytest.raises(UserError, match=r"no reply to 3 of 3 requests .*, remove the row of `translated`, or set"):
        study.run("translated", "t")
