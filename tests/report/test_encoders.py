"""The base and the teacher as they were run, and a warning where prompts may be missing."""

import json
import re
from pathlib import Path

import pytest

from tests.report.conftest import edit, page, section, write


def test_encoders_are_shown_as_they_were_run(study):
    text, _ = page()
    assert "none: it was trained without" in text and "runs without prompts" not in text
    record = {
        "name": "m5",
        "preset": None,
        "revision": "abc123",
        "pooling": "mean",
        "dtype": "float32",
        "padding": None,
    }
    write("models/base/encoder.json", record | {"prompts": {"query": "<q>: ", "passage": ""}})
    write("data/candidates/teacher.json", {"name": "acme/teacher", "preset": "acme/teacher", "prompts": {}})
    text, _ = page()
    own = section(text, "encoders")
    rows = dict(re.findall(r'<th scope="row">(.*?)</th><td>(.*?)</td>', own))
    assert rows == {
        "name": "acme/teacher",
        "revision": "abc123",
        "pooling": "mean",
        "dtype": "float32",
        "prompt of a query": '<code class="exact">&lt;q&gt;: </code>',
        "prompts": "none: acme/teacher needs none",
    }
    assert own.index("m5") < own.index("acme/teacher") and "runs without prompts" not in text
    card = Path("metrics/report/model_card.md").read_text()
    assert '- query: "\\<q\\>: "' in card and "ranked by `acme/teacher`" not in card
    tables = Path("metrics/report/tables.md").read_text()
    assert "- base: m5, revision abc123, pooling mean, dtype float32; before a query:" in tables


def test_weights_that_are_not_the_published_ones_are_said(study):
    edit(lambda params: params["base"].update(name="package:multilingual-e5-small"))
    record = {
        "name": "package:e5",
        "revision": "carrier 1.0",
        "weights": "4-bit, dequantised",
        "prompts": {"query": "q"},
    }
    write("models/base/encoder.json", record)
    text, _ = page()
    assert '<th scope="row">weights</th><td>4-bit, dequantised</td>' in section(text, "encoders")
    for file in ("model_card.md", "tables.md"):
        assert "weights 4-bit, dequantised" in Path(f"metrics/report/{file}").read_text()


def test_what_a_tokenizer_does_not_know_and_a_pooling_that_is_assumed_are_said(study):
    record = {"name": "m5", "prompts": {"query": "q"}, "unknown": {"en": 0.0, "ko": 0.31}, "pooling_assumed": True}
    edit(lambda params: params["base"].update(name="acme/m5"))
    write("models/base/encoder.json", record)
    text, _ = page()
    assert '<th scope="row">unknown tokens</th><td>en 0%, ko 31%</td>' in section(text, "encoders")
    said = "the model states none; if it was trained with another, set base.pooling"
    assert f"The pooling of the base, <code>m5</code>, is assumed: {said}." in text.split("<main>")[0]
    assert f"pooling assumed: {said}" in Path("metrics/report/tables.md").read_text()


@pytest.mark.parametrize(
    ("role", "prompts", "preset", "note"),
    [
        ("base", None, None, "the model states none, and is not known to need none"),
        ("base", "none", "intfloat/e5", "base.prompts says so"),
        ("base", None, "BAAI/bge", None),
        ("teacher", None, None, "set teacher.prompts"),
        ("teacher", "none", None, "teacher.prompts says so"),
    ],
)
def test_an_encoder_that_may_lack_its_prompts_is_warned_of_at_the_top(study, role, prompts, preset, note):
    edit(lambda params: params[role].update(name="acme/encoder", prompts=prompts))
    file = {"base": "models/base/encoder.json", "teacher": "data/candidates/teacher.json"}[role]
    write(file, {"name": "acme/encoder", "preset": preset, "prompts": {"query": "", "passage": ""}})
    text, _ = page()
    top = text.split("<main>")[0]
    if note is None:
        assert "runs without prompts" not in top and f"none: {preset} needs none" in text
    else:
        assert f"The {role}, <code>acme/encoder</code>, runs without prompts: " in top and note in top
        assert 'class="high">none: ' in text.split('<section id="encoders"')[1]
    if role == "base":
        assert (note or "needs none") in Path("metrics/report/model_card.md").read_text()


def test_how_many_documents_were_read_in_windows_is_said(study):
    found = json.loads(Path("metrics/references.json").read_text())
    write("metrics/references.json", found | {"base": {"windows": {"documents": 1200, "several": 30, "mean": 1.05}}})
    text, _ = page()
    said = "30 of 1,200 documents have several; 1.05 on average"
    assert f'<th scope="row">windows</th><td>{said}</td>' in section(text, "encoders")
