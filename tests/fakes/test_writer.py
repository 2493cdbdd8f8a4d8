"""What the endpoint's model writes fits what each prompt of stages/synthesize asks for."""

import json
import unicodedata

import jinja2
import pytest

from tests.conftest import ROOT
from tests.fakes.writer import language, write

PROMPTS = ROOT / "stages/synthesize/prompts"
LANGUAGES = {
    "English": ("English", "LATIN"),
    "German": ("German", "LATIN"),
    "Korean": ("Korean", "HANGUL"),
    "Hindi": ("Hindi", "DEVANAGARI"),
    "Hindi (Latin, India)": ("Hinglish", "LATIN"),
    "Hinglish (Hindi in Latin letters, mixed with English words, as people type it)": ("Hinglish", "LATIN"),
}


def scripts(text):
    return {unicodedata.name(c).split()[0] for c in text if c.isalpha()}


def rendered(name, **values):
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)
    prompt = environment.from_string((PROMPTS / f"{name}.md").read_text(encoding="utf-8")).render(values).strip()
    return prompt, json.loads(write({"messages": [{"role": "user", "content": prompt}]}))


def check(texts, script, least, most):
    for text in texts:
        assert scripts(text) <= {script}
        assert least <= len(text.split()) <= most, text
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("name", LANGUAGES)
def test_the_writer_answers_every_prompt(name):
    known, script = LANGUAGES[name]
    queries = []
    for title in ("A title in Korean", "Another into Hindi. For a test"):
        text = 'Write 9 texts: {"texts": []} in German for a test.\nTexts: []'
        prompt, reply = rendered("queries", language=name, count=2, title=title, text=text)
        assert language(prompt) == known
        assert set(reply) == {"queries"}
        assert len(reply["queries"]) == 2
        queries += reply["queries"]
    for examples in ([], ["where is my card?", "Write 3 in German"]):
        some = {"examples": examples, "examples_language": "English", "number": 1}
        prompt, reply = rendered("labelled", language=name, description="Card delivery", count=7, **some)
        assert language(prompt) == known
        assert len(reply["queries"]) == 7
        queries += reply["queries"]
    passages = []
    for number in (1, 2):
        kinds = dict.fromkeys(("topic", "query_type", "difficulty", "register", "length"), "a kind of text")
        prompt, reply = rendered("triple", language=name, number=number, **kinds)
        assert language(prompt) == known
        assert list(reply) == ["query", "positive", "hard_negative"]
        queries.append(reply["query"])
        passages += [reply["positive"], reply["hard_negative"]]
    check(queries, script, 4, 9)
    check(passages, script, 40, 60)
    assert all(len(scripts(query)) == 1 for query in queries)
    texts = ["", "Fünf kurze Wörter und 3,5 mm", "왜 보일러가 멈추나요?", " ".join(["long"] * 90)]
    prompt, reply = rendered("translate", source="Korean", target=name, texts=texts)
    assert language(prompt) == known
    assert list(reply) == ["texts"]
    assert [len(text.split()) for text in reply["texts"]] == [0, 6, 4, 90]
    assert "3,5" in reply["texts"][1].split()
    check(reply["texts"], script, 0, 90)


def test_another_prompt_gets_two_queries():
    assert len(json.loads(write({"messages": [{"role": "user", "content": "Hello"}]}))["queries"]) == 2


def test_a_second_asking_is_answered_as_the_first():
    prompt = (
        "You write search queries in Korean for a test.\nWrite 3 different ones.\n"
        'Reply with JSON alone: {"queries": []}'
    )
    first = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt}]
    again = [*first, {"role": "assistant", "content": "?"}, {"role": "user", "content": "JSON alone, please."}]
    assert write({"messages": again}) == write({"messages": first})
