"""Prompts: the shipped ones, ones of one's own, and what is told of those that cannot be used."""

import pytest

from stages.shared.errors import UserError
from stages.shared.llm.prompts import Prompts
from stages.synthesize import jobs
from tests.conftest import prompts_of
from tests.fakes.endpoint import Endpoint
from tests.synthesize.writing import REPLIES, change, recorded, refused


def test_a_changed_prompt_finds_no_recorded_reply(workspace, prompt_files):
    recorded(workspace, 3)
    workspace.run("synthesize")
    change(prompt_files / "queries.md")
    text = refused(workspace)
    assert f"{REPLIES} has no reply to 6 of 6 requests of queries (the first: kdc-010-01 in en)" in text
    assert "restore the prompt and the settings" in text


def test_a_request_asks_in_the_passages_language():
    values = {
        "language": Prompts({}, jobs.PROMPTS_FOLDER).language("ko"),
        "count": 2,
        "title": "T",
        "text": "Some text.",
    }
    text = Prompts({}, jobs.PROMPTS_FOLDER).fill("key", "queries", **values)
    assert text.startswith("You write search queries in Korean for")
    assert "Write 2 different Korean queries" in text
    assert text.endswith("Title: T\nPassage: Some text.")


# The last are files, which no prompt's name leads to.
@pytest.mark.parametrize("name", ["querys", "a" * 300, "../taxonomies/../prompts/queries", "../../../README"])
def test_a_prompt_that_is_not_there_is_told(name):
    with pytest.raises(UserError) as caught:
        Prompts({}, jobs.PROMPTS_FOLDER).fill("synthesize.queries.prompt", name)
    text = str(caught.value)
    assert f"synthesize.queries.prompt is {name!r}, but prompts/ has labelled, queries, translate, triple" in text


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"Text: {{ text", ["mine.md:1 is no Jinja template"]),
        (b"\n\n{% if text %}", ["mine.md:3 is no Jinja template"]),
        (b"{{ text | shout }}", ["mine.md:1 is no Jinja template", "'shout'"]),
        (
            b"{{ txt }}",
            ["mine.md: 'txt' is undefined", "synthesize.queries.prompt may use count, language, text, title"],
        ),
        (b"{{ text.body }}", ["mine.md: ", "'body'", "may use count, language, text, title"]),
        (b"{{ count / 0 }}", ["mine.md cannot be filled in", "division by zero"]),
        (b"{% include 'queries.md' %}", ["mine.md cannot be filled in"]),
        (b"\xff{{ text }}", ["mine.md is not UTF-8"]),
    ],
)
def test_a_prompt_that_is_no_template_is_told(workspace, prompt_files, content, parts):
    recorded(workspace, 2)
    (prompt_files / "mine.md").write_bytes(content)
    workspace.edit(synthesize__queries__prompt="mine")
    text = refused(workspace)
    for part in parts:
        assert part in text, text


def test_a_prompt_of_ones_own_is_used(workspace, prompt_files):
    workspace.corpus([("a", "train")])
    mine = 'Ask {{ count }} times in {{ language }} about "{{ text }}".\n'
    (prompt_files / "mine.md").write_text(mine, encoding="utf-8")
    with Endpoint() as endpoint:
        workspace.asks(endpoint, synthesize__queries__per_passage=2, synthesize__queries__prompt="mine")
        workspace.edit(llm__max_failed=1.0, llm__reasks=0).run("synthesize")
    wanted = ['Ask 2 times in English about "a|en".', 'Ask 2 times in Korean about "a|ko".']
    assert prompts_of(endpoint) == wanted
