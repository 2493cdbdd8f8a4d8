"""The chosen model's card."""

import json
from pathlib import Path

import pytest
import yaml

from stages.report.__main__ import main
from tests.report.conftest import page, write


def test_the_card(study):
    main()
    _, front, body = Path("metrics/report/model_card.md").read_text().split("---\n", 2)
    matter = yaml.safe_load(front)
    assert matter["language"] == ["en", "ko"]
    assert matter["library_name"] == "sentence-transformers" and matter["pipeline_tag"] == "sentence-similarity"
    assert "merge" in matter["tags"] and "base_model" not in matter
    assert 'SentenceTransformer("models/chosen")' in body
    assert "- 25 % `koenen`: Korean queries, English positives, English negatives" in body
    assert "- 75 % `both`" in body
    assert "| Mono | 50.0 | 61.0 | +11.0 (+10.0 to +12.0) | +3.0 (+2.0 to +4.0) |" in body
    assert "ignores the order of words" in body
    assert "### test" in body and "### plain" in body and "### dev" not in body


@pytest.mark.parametrize("name", ["base", "koenen"])
def test_the_card_of_other_models_of_a_hub_base(study, name):
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("name: static", "name: acme/encoder"))
    summary = json.loads(Path("metrics/summary.json").read_text())
    write("metrics/summary.json", summary | {"chosen_model": name})
    page()
    card = Path("metrics/report/model_card.md").read_text()
    assert yaml.safe_load(card.split("---\n")[1])["base_model"] == "acme/encoder"
    assert "ignores the order of words" not in card


def test_the_card_of_the_base_holds_nothing_of_training(study):
    summary = json.loads(Path("metrics/summary.json").read_text())
    write("metrics/summary.json", summary | {"chosen_model": "base"})
    page()
    card = Path("metrics/report/model_card.md").read_text()
    assert "training sets hold" not in card and "were ranked by" not in card


def test_the_card_says_how_to_answer(by_label):
    page()
    card = Path("metrics/report/model_card.md").read_text()
    assert 'python -m tools.answer --model models/merged/avg --threshold 0.6125 "..."' in card
    assert "at which 90 % of the answers or more were right on `dev`" in card
    assert "| plain | hi-Latn-en | 70.0 | 60.0 | 75.0 |" in card and "| dev | en-en |" not in card
    summary = json.loads(Path("metrics/summary.json").read_text())
    write("metrics/summary.json", summary | {"chosen_model": "base"})
    text, _ = page()
    card = Path("metrics/report/model_card.md").read_text()
    assert 'tools.answer --model models/base "..."' in card and "No threshold was found at which 90 %" in card
    assert "confusions-dev" not in text
