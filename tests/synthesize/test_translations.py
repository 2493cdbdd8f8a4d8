"""Translations of passages and of queries, and the collection that they make whole."""

import json

from stages.schemas.texts import PASSAGES, QUERIES
from stages.shared import collection, tables
from stages.synthesize import jobs
from tests.conftest import prompts_of
from tests.fakes.endpoint import Endpoint
from tests.synthesize.writing import HINGLISH, english, first_message, replies


def test_translated_passages_make_the_collection_whole(workspace):
    with Endpoint() as endpoint:
        english(workspace, endpoint, synthesize__queries__per_passage=1)
        workspace.run("synthesize")
    corpus = tables.read("data/corpus/passages.parquet", PASSAGES)
    assert set(corpus["lang"]) == {"en"}
    found = workspace.written("passages")
    assert found.select("passage", "lang", "stratum", "split").rows() == [
        (name, "ko", "", split) for name, split in corpus.select("passage", "split").iter_rows()
    ]
    asked = replies(endpoint)
    for name, title, text in corpus.select("passage", "title", "text").iter_rows():
        texts = [title, text] if title else [text]
        (translated,) = [r["texts"] for p, r in asked.items() if p.endswith(f"Texts: {json.dumps(texts)}")]
        assert found.filter(passage=name).select("title", "text").row(0) == (
            (translated[0] if title else ""),
            translated[-1],
        )
    workspace.run("collect")
    stored = collection.read(["en", "ko"])
    assert stored.passages.select("passage", "lang").rows() == [(n, lang) for n in "abcde" for lang in ("en", "ko")]
    # Queries come after the translations, in both languages.
    assert stored.queries.select("query", "lang").rows() == [
        (f"{n}#q1", lang) for n in "abcde" for lang in ("en", "ko")
    ]
    korean = {text for (text,) in found.select("text").iter_rows()}
    assert {p.split("Passage: ")[1] for p in asked if " Korean queries" in p} == korean


def test_translations_may_be_translated_on(workspace):
    """From a third language, in the order in which they are written."""
    onwards = {
        "korean": {"of": "passages", "source": "en", "target": "ko"},
        "german": {"of": "passages", "source": "ko", "target": "de"},
    }
    recipes = {"a": {"compositions": ["dekoen"], "negatives": "window"}}
    changes = {"languages": ["en", "ko", "de"], "synthesize__translations": onwards, "recipes": recipes, "merges": {}}
    with Endpoint() as endpoint:
        english(workspace, endpoint, **changes)
        workspace.run("synthesize")
    found = workspace.written("passages")
    assert found.select("passage", "lang").rows() == [(n, lang) for n in "abcde" for lang in ("de", "ko")]
    asked = "\n".join(prompts_of(endpoint))
    for row in found.filter(lang="ko").iter_rows(named=True):
        assert row["text"] in asked
    workspace.run("collect")
    assert collection.read(["en", "ko", "de"]).passages.height == 15


def test_a_passage_whose_translation_failed_is_left_out_of_the_collection(workspace):
    def faults(body, nth):
        text = first_message(body)
        return "refusal" if ("Text b" in text and "into Korean" in text) or "Passage: Text c" in text else None

    with Endpoint(faults=faults) as endpoint:
        english(workspace, endpoint, synthesize__queries__per_passage=1, llm__max_failed=0.2)
        workspace.run("synthesize")
    why = "refused: I can't help with that."
    assert workspace.written("failures").rows() == [("korean", "b into ko", why), ("queries", "c in en", why)]
    workspace.run("collect")
    stored = collection.read(["en", "ko"])
    assert sorted(set(stored.passages["passage"])) == list("acde")
    assert sorted(set(stored.queries["query"])) == [f"{n}#q1" for n in "ade"]
    # A query in one language alone serves nobody.
    assert workspace.written("dropped").select("item", "lang", "filter").rows() == [
        ("b#q1", "en", "parallel"),
        ("c#q1", "ko", "parallel"),
    ]


def test_queries_in_a_further_language_are_written_and_kept_apart(workspace):
    workspace.corpus([("a", "train"), ("b", "dev")], [("own", "a")])
    with Endpoint() as endpoint:
        workspace.asks(endpoint, synthesize__queries__per_passage=2, synthesize__translations=HINGLISH)
        workspace.run("synthesize")
    names = ["a#q1", "a#q2", "b#q1", "b#q2"]
    queries = workspace.written("queries")
    assert queries.filter(lang="hi-Latn")["query"].to_list() == [*names, "own"]
    # Those of a passage are asked for together, those of the corpus among them, by the name that params.yaml gives.
    asked = [p for p in prompts_of(endpoint) if p.startswith("You translate")]
    assert len(asked) == 2
    for prompt in asked:
        assert "from English into Hinglish (Hindi in Latin letters, mixed with English words, as people" in prompt
    english = dict(queries.filter(lang="en").select("query", "text").iter_rows()) | {"own": "own|en"}
    texts = [json.loads(prompt.split("Texts: ")[1]) for prompt in asked]
    assert sorted(texts) == sorted([[english[n] for n in ("a#q1", "a#q2", "own")], [english["b#q1"], english["b#q2"]]])
    # They are judged as what they translate, and no stage sees them unless the study names their language.
    assert workspace.written("qrels").rows() == [(name, name[0], 1) for name in names]
    workspace.run("collect")
    assert set(collection.read(["en", "ko"]).queries["lang"]) == {"en", "ko"}


def test_what_is_there_in_a_language_is_not_translated_into_it(workspace):
    into = {f"of-{of}": {"of": of, "source": "en", "target": "ko"} for of in ("passages", "queries")}
    workspace.corpus([("a", "train"), ("b", "dev")], [("own", "a")])
    file = workspace.path / "data/corpus/queries.parquet"
    tables.write(tables.read(file, QUERIES).filter(lang="en"), file, QUERIES)
    with Endpoint() as endpoint:
        workspace.asks(endpoint, synthesize__queries__per_passage=1, synthesize__translations=into)
        workspace.run("synthesize")
    assert [p.split("Texts: ")[1] for p in prompts_of(endpoint) if p.startswith("You translate")] == ['["own|en"]']
    assert workspace.written("passages").is_empty()
    assert workspace.written("queries").select("query", "lang").rows() == [
        *[(f"{name}#q1", lang) for name in "ab" for lang in ("en", "ko")],
        ("own", "ko"),
    ]


def test_a_passages_queries_are_translated_so_many_at_once(workspace):
    workspace.corpus([("a", "train")])
    count = jobs.QUERIES_TOGETHER + 3
    with Endpoint() as endpoint:
        workspace.asks(endpoint, synthesize__queries__per_passage=count, synthesize__translations=HINGLISH)
        workspace.run("synthesize")
    asked = [json.loads(p.split("Texts: ")[1]) for p in prompts_of(endpoint) if p.startswith("You translate")]
    assert sorted(map(len, asked)) == [3, jobs.QUERIES_TOGETHER]
    assert workspace.written("queries").filter(lang="hi-Latn").height == count
