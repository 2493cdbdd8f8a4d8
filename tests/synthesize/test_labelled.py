"""Labelled queries: what is written and translated for a knowledge base."""

import json
import re

import polars as pl
import pytest

from stages.schemas.collected import KNOWLEDGE_ENTRIES
from stages.schemas.texts import LABELLED, LABELS, PASSAGES, QUERIES
from stages.shared import collection, tables
from stages.shared.errors import UserError
from stages.synthesize import jobs
from tests.conftest import KNOWLEDGE_BASE, ROOT, prompts_of
from tests.fakes.endpoint import Endpoint
from tests.synthesize.writing import HINGLISH, spoiling

pytestmark = pytest.mark.slow


def shipped(workspace, endpoint, **changes):
    """The shipped knowledge base; {(kind, split, origin, lang): {label: texts}} of its corpus."""
    workspace.edit(**KNOWLEDGE_BASE, corpus__path=str(ROOT / "data/collection/kb.jsonl"))
    workspace.asks(endpoint, **changes)
    workspace.run("corpus")
    labelled = tables.read("data/corpus/labelled.parquet", LABELLED)
    found = {}
    for kind in ("passage", "query"):
        name, schema = {"passage": ("passages", PASSAGES), "query": ("queries", QUERIES)}[kind]
        texts = tables.read(f"data/corpus/{name}.parquet", schema).rename({kind: "id"})
        rows = texts.select("id", "lang", "text").join(labelled.filter(kind=kind), on="id")
        for row in rows.iter_rows(named=True):
            own = found.setdefault((kind, row["split"], row["origin"], row["lang"]), {})
            own.setdefault(row["label"], set()).add(row["text"])
    return found


def entries():
    """The collection's training queries, which are documents of a knowledge base too."""
    return tables.read("data/collected/entries.parquet", KNOWLEDGE_ENTRIES)


def shown_in(prompt):
    return re.findall(r"^- (.+)$", prompt, re.M)


def every(by_label):
    return {text for texts in by_label.values() for text in texts}


def test_labelled_queries_are_shown_examples_of_their_own_label(workspace):
    with Endpoint() as endpoint:
        found = shipped(workspace, endpoint, synthesize__labelled__per_label=10)
        workspace.run("synthesize")
    descriptions = dict(tables.read("data/corpus/labels.parquet", LABELS).iter_rows())
    assert len(descriptions) == 48
    searched, trained = found["passage", "train", "labelled", "en"], found["query", "train", "labelled", "en"]
    own = {label: searched[label] | trained[label] for label in descriptions}
    queries, labelled = workspace.written("queries"), workspace.written("labelled")
    assert set(queries["lang"]) == {"hi-Latn"}
    sets = [f"s1.{n}" for n in range(1, 9)] + ["s2.1", "s2.2"]
    names = {f"{label}#{s}": label for label in sorted(own) for s in sets}
    assert queries["query"].to_list() == list(names)
    assert labelled.rows() == [("query", name, label, "synthetic", "train") for name, label in names.items()]
    assert workspace.written("qrels").is_empty()
    # They are all trained on.
    workspace.run("collect")
    assert entries().filter(pl.col("query").is_in(list(names))).equals(queries)
    stored = collection.read(["en", "hi-Latn"])
    joined = stored.queries.filter(pl.col("query").is_in(list(names)))
    assert joined.select("split", "origin").unique().rows() == [("train", "synthetic")]
    answered = stored.qrels.join(joined, on="query", how="semi")
    assert answered.select("query", "group").rows() == list(names.items())
    shown = {}
    for prompt in prompts_of(endpoint):
        assert prompt.startswith("You write example queries in Hinglish (Hindi in Latin letters")
        assert "Queries that belong to it (in English):" in prompt
        (label,) = [name for name, text in descriptions.items() if f"The label: {text}\n" in prompt]
        number = re.search(r"\(Set (\d):", prompt)[1]
        examples = shown_in(prompt)
        assert len(set(examples)) == 5
        assert set(examples) <= own[label]
        assert f"Write {8 if number == '1' else 2} different queries" in prompt
        shown[label, number] = examples
    assert set(shown) == {(label, number) for label in own for number in "12"}
    # Of what is searched and of what is trained on.
    both = {text for examples in shown.values() for text in examples}
    assert both & every(searched) and both & every(trained)
    # Drawn anew for each set and each seed.
    assert sum(shown[label, "1"] != shown[label, "2"] for label in own) > 40
    with Endpoint() as endpoint:
        workspace.asks(endpoint, seed=2).run("synthesize")
    assert len(endpoint.requests) > 80


@pytest.mark.parametrize("lang", ["en", "hi-Latn"])
def test_no_row_of_dev_or_test_is_shown_and_none_that_is_synthetic(workspace, lang):
    with Endpoint() as endpoint:
        many = {"per_label": 1, "examples": 1000, "examples_language": lang}
        found = shipped(workspace, endpoint, **{f"synthesize__labelled__{key}": value for key, value in many.items()})
        workspace.run("synthesize")
        asked = prompts_of(endpoint)
    shown = [set(shown_in(prompt)) for prompt in asked]
    wanted = found["query", "train", "labelled", lang]
    if lang == "en":
        wanted = {label: texts | found["passage", "train", "labelled", "en"][label] for label, texts in wanted.items()}
    assert sorted(map(sorted, shown)) == sorted(map(sorted, wanted.values()))
    hidden = [
        every(by_label)
        for (_, split, origin, _), by_label in found.items()
        if split in ("dev", "test") or origin == "synthetic"
    ]
    assert sum(map(len, hidden)) > 600
    for texts in hidden:
        assert not texts & set.union(*shown)
        assert not [text for text in texts if any(text in prompt for prompt in asked)]


def labels(workspace, endpoint, descriptions, **changes):
    """Two labels of which only the one has texts in Korean."""
    workspace.knowledge_base(
        [("a1", "a"), ("b1", "b")],
        [("q1", "a", "train", ["ko"]), ("q2", "b", "dev", ["ko"]), ("q3", "b", "train", ["ko"], "synthetic")],
        descriptions,
    )
    settings = {"per_label": 2, "language": "en", "examples_language": "ko"} | changes
    workspace.asks(endpoint, **{f"synthesize__labelled__{key}": value for key, value in settings.items()})
    workspace.run("synthesize")


ABOUT = {"a": "About a.", "b": "About b."}


def test_labels_may_go_without_examples(workspace):
    with Endpoint() as endpoint:
        labels(workspace, endpoint, ABOUT)
        one, other = prompts_of(endpoint)
        assert shown_in(one) == ["q1|ko"]
        assert "(in Korean)" in one
        assert "Queries that belong to it" not in other
        endpoint.reset()
        labels(workspace, endpoint, ABOUT, examples=0)
        assert len(prompts_of(endpoint)) == 1
        assert "Queries that belong to it" not in prompts_of(endpoint)[0]
    assert workspace.written("labelled")["id"].to_list() == ["a#s1.1", "a#s1.2", "b#s1.1", "b#s1.2"]


def test_a_label_without_a_description_is_told(workspace):
    with Endpoint() as endpoint:
        with pytest.raises(UserError, match=r"the label 'b' has no description, .*: add a table of the role labels"):
            labels(workspace, endpoint, ABOUT | {"b": ""})
        assert not endpoint.requests
        # Nobody is told of it if nothing is written for labels.
        labels(workspace, endpoint, ABOUT | {"b": ""}, per_label=0)
    assert workspace.written("labelled").is_empty()


def test_what_a_knowledge_base_has_is_not_written_again(workspace):
    """A query of dev or test that was trained on as well would measure nothing, and an entry answers itself."""
    has = {
        "passages": (PASSAGES, "how do i block the card that i have lost"),
        "queries": (QUERIES, "where is the money that you owe me"),
    }
    again = iter(["how do i block the card that i have lost ?", "WHERE IS THE MONEY that you owe me", "something new"])

    def spoil(prompt, reply):
        reply["queries"] = [*again, *reply["queries"]][: len(reply["queries"])]

    workspace.knowledge_base([("a1", "a")], [("q1", "a", "test", ["en"])])
    for table, (schema, text) in has.items():
        file = f"data/corpus/{table}.parquet"
        tables.write(tables.read(file, schema).with_columns(text=pl.lit(text)), file, schema)
    with Endpoint(writer=spoiling(spoil)) as endpoint:
        workspace.asks(endpoint, synthesize__labelled__per_label=4, synthesize__labelled__language="en")
        workspace.run("synthesize")
    assert workspace.written("dropped").select("item", "filter", "detail").rows() == [
        ("a#s1.1", "duplicate", "the same as a1"),
        ("a#s1.2", "duplicate", "the same as q1"),
    ]
    assert workspace.written("queries")["query"].to_list() == ["a#s1.3", "a#s1.4"]
    assert workspace.written("labelled")["id"].to_list() == ["a#s1.3", "a#s1.4"]
    workspace.run("collect")
    assert entries()["query"].to_list() == ["a#s1.3", "a#s1.4"]


def test_a_labels_queries_are_translated_together_and_stay_in_their_split(workspace):
    many = [(f"q{n}", "a", "train", ["en"]) for n in range(jobs.QUERIES_TOGETHER + 1)]
    others = [
        ("t1", "b", "train", ["en"]),
        ("t2", "b", "train", ["en", "hi-Latn"]),
        ("t3", "b", "dev", ["en"]),
        ("t4", "b", "test", ["en"]),
        ("t5", "b", "train", ["en"], "synthetic"),
        ("t6", "b", "train", ["ko"]),
    ]
    with Endpoint() as endpoint:
        workspace.knowledge_base([("a1", "a"), ("b1", "b")], many + others)
        workspace.asks(endpoint, synthesize__translations=HINGLISH).run("synthesize")
    asked = [json.loads(prompt.split("Texts: ")[1]) for prompt in prompts_of(endpoint)]
    # What is searched is not translated, nor what there is in the target language.
    own = [f"{name}|en" for name, *_ in sorted(many)]
    wanted = [own[: jobs.QUERIES_TOGETHER], own[jobs.QUERIES_TOGETHER :], ["t1|en", "t5|en"], ["t3|en"], ["t4|en"]]
    assert sorted(asked) == sorted(wanted)
    written = workspace.written("queries")
    trained = [*(name for name, *_ in many), "t1", "t5"]
    assert written.select("query", "lang").rows() == [(n, "hi-Latn") for n in sorted([*trained, "t3", "t4"])]
    # They have the label, the split and the origin of what they translate.
    for name in ("qrels", "labelled", "passages"):
        assert workspace.written(name).is_empty()
    workspace.run("collect")
    hinglish = entries().filter(lang="hi-Latn")
    assert hinglish["query"].to_list() == sorted([*trained, "t2"])
    assert hinglish.filter(pl.col("query") != "t2").rows() == written.filter(pl.col("query").is_in(trained)).rows()
    found = collection.read(["en", "hi-Latn"]).queries.filter(lang="hi-Latn")
    assert found.filter(split="train")["query"].to_list() == sorted([*trained, "t2"])
    assert found.filter(split="dev")["query"].to_list() == ["t3"]
    assert found.filter(split="test")["query"].to_list() == ["t4"]
    assert found.filter(origin="synthetic")["query"].to_list() == ["t5"]
