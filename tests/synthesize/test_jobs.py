"""What is written: each job against a live endpoint, and what is kept of it together."""

import json
import re

import polars as pl
import pytest

from stages.schemas.benchmarks import BENCHMARK_QRELS
from stages.schemas.texts import LABELLED, LABELS, PASSAGES, QUERIES
from stages.schemas.trainsets import TRAINING_ROWS, TRAINING_TEXTS
from stages.schemas.triples import TRIPLES
from stages.shared import collection, tables
from stages.shared.errors import UserError
from stages.synthesize import forms, jobs
from tests.conftest import KNOWLEDGE_BASE, ROOT, prompts_of
from tests.fakes.endpoint import Endpoint, write

TOPICS = [{"id": str(n), "topic": {"en": f"Topic {n}", "ko": f"주제 {n}"}} for n in range(6)]


def first_message(body):
    return body["messages"][0]["content"]


def replies(endpoint):
    """What the endpoint's model wrote, by prompt."""
    return {first_message(r.body): json.loads(write(r.body)) for r in endpoint.requests}


# ── Triples from topics ──


def topical(workspace, endpoint, per_topic=1, **changes):
    """Triples of a corpus that has nothing of its own."""
    workspace.asks(endpoint, corpus__source="none", synthesize__topics__per_topic=per_topic, **changes)
    workspace.run("corpus")
    workspace.run("synthesize")


def test_a_triple_is_parallel_and_judged(workspace, topics):
    topics(TOPICS)
    with Endpoint() as endpoint:
        topical(workspace, endpoint, per_topic=2)
    names = [f"mine-{t['id']}-{n}" for t in TOPICS for n in (1, 2)]
    passages, queries = workspace.written("passages"), workspace.written("queries")
    assert queries.select("query", "lang").rows() == [(f"{n}#query", lang) for n in names for lang in ("en", "ko")]
    assert passages.select("passage", "lang").rows() == [
        (f"{name}#{kind}", lang) for name in names for kind in ("negative", "positive") for lang in ("en", "ko")
    ]
    assert workspace.written("qrels").rows() == [
        (f"{name}#query", f"{name}#{kind}", relevance)
        for name in names
        for kind, relevance in (("negative", 0), ("positive", 1))
    ]
    # The texts are the model's, in their places, and the Korean ones are the translations of the English ones.
    found = {(name, lang): text for name, lang, text in queries.iter_rows()}
    found |= {(name, lang): text for name, lang, text in passages.select("passage", "lang", "text").iter_rows()}
    asked = replies(endpoint)
    assert len(asked) == 24
    for prompt, reply in asked.items():
        if "hard_negative" not in reply:
            continue
        english = [reply["query"], reply["positive"], reply["hard_negative"]]
        (name,) = [n for n in names if found[f"{n}#query", "en"] == reply["query"]]
        kinds = [f"{name}#{kind}" for kind in ("query", "positive", "negative")]
        assert [found[kind, "en"] for kind in kinds] == english
        (translated,) = [r["texts"] for p, r in asked.items() if p.endswith(json.dumps(english))]
        assert [found[kind, "ko"] for kind in kinds] == translated
        topic, number = name.split("-")[1:]
        assert f"about one topic: Topic {topic}." in prompt
        assert f"(this is number {number} on the topic" in prompt


def test_both_passages_of_a_triple_are_in_one_split_and_topics_in_all(workspace, topics):
    topics(TOPICS[:2])
    with Endpoint() as endpoint:
        topical(workspace, endpoint, per_topic=20)
    passages = workspace.written("passages")
    splits = dict(passages.select("passage", "split").iter_rows())
    assert all(splits[name] == splits[name.replace("#negative", "#positive")] for name in splits)
    for topic in ("0", "1"):
        own = [splits[f"mine-{topic}-{number}#positive"] for number in range(1, 21)]
        assert [own.count(split) for split in ("train", "dev", "test")] == [12, 3, 5]
    assert set(passages["stratum"]) == {"mine-0", "mine-1"}


def drawn(workspace, endpoint, topics, **changes):
    """The prompts of triples under a cache of its own, and the bytes of what came of them."""
    endpoint.reset()
    (workspace.path / "llm.sqlite").unlink(missing_ok=True)
    topical(workspace, endpoint, per_topic=4, **changes)
    files = {f.name: f.read_bytes() for f in (workspace.path / "data/synthetic").iterdir()}
    return [prompt for prompt in prompts_of(endpoint) if "hard_negative" in prompt], files


def test_what_a_triple_is_to_be_like_is_drawn_by_seed(workspace, topics):
    topics(TOPICS)
    with Endpoint() as endpoint:
        one = drawn(workspace, endpoint, topics)
        assert drawn(workspace, endpoint, topics) == one
        other, _ = drawn(workspace, endpoint, topics, seed=2)
    assert other != one[0]
    assert len(one[0]) == 24
    # Every knob has all of its values, whatever the others have.
    knobs = [r"Kind: (.+?)\. ", r"Difficulty: (.+?)\. ", r"Register: (.+?)\.\n", r"a passage of (.+?) that"]
    values = [tuple(re.search(knob, prompt)[1] for knob in knobs) for prompt in one[0]]
    assert [len(set(column)) for column in zip(*values, strict=True)] == [4, 3, 3, 3]
    assert len({kind[1:] for kind in values}) > 9


def test_further_triples_leave_those_before_them_as_they_are(workspace, topics):
    topics(TOPICS)
    with Endpoint() as endpoint:
        topical(workspace, endpoint, per_topic=1)
        before = workspace.written("passages")
        endpoint.reset()
        topical(workspace, endpoint, per_topic=2)
        assert len(endpoint.requests) == 6 * 2
    after = workspace.written("passages").drop("split")
    assert after.join(before, on=["passage", "lang", "text"], how="semi").equals(before.drop("split"))


def test_a_triple_in_one_language_needs_no_translation(workspace, topics):
    topics(TOPICS)
    recipes = {"a": {"compositions": ["kokoko"], "negatives": "window"}}
    with Endpoint() as endpoint:
        topical(workspace, endpoint, languages=["ko"], recipes=recipes, merges={})
        assert len(endpoint.requests) == 6
    assert set(workspace.written("passages")["lang"]) == {"ko"}
    assert all("in Korean, about one topic: 주제" in prompt for prompt in prompts_of(endpoint))


# ── Queries for passages ──


def test_queries_are_written_in_each_language(workspace):
    workspace.corpus([("a", "train"), ("b", "dev")])
    with Endpoint() as endpoint:
        workspace.asks(endpoint, synthesize__queries__per_passage=3).run("synthesize")
    asked = replies(endpoint)
    wanted = []
    for name in "ab":
        for lang in ("en", "ko"):
            (found,) = [r["queries"] for p, r in asked.items() if p.endswith(f"Passage: {name}|{lang}")]
            wanted += [(f"{name}#q{n}", lang, text) for n, text in enumerate(found, 1)]
    assert workspace.written("queries").rows() == sorted(wanted)
    assert workspace.written("qrels").rows() == [(f"{p}#q{n}", p, 1) for p in "ab" for n in (1, 2, 3)]


def test_queries_written_once_are_translated_and_numbered_alike(workspace):
    workspace.corpus([("a", "train"), ("b", "dev")])
    with Endpoint() as endpoint:
        workspace.asks(endpoint, synthesize__queries__per_passage=2, synthesize__queries__written="once")
        workspace.run("synthesize")
    asked = replies(endpoint)
    assert len(asked) == 4
    wanted = []
    for name in "ab":
        (english,) = [r["queries"] for p, r in asked.items() if p.endswith(f"Passage: {name}|en")]
        (korean,) = [r["texts"] for p, r in asked.items() if p.endswith(json.dumps(english))]
        for lang, texts in (("en", english), ("ko", korean)):
            wanted += [(f"{name}#q{n}", lang, text) for n, text in enumerate(texts, 1)]
    assert workspace.written("queries").rows() == sorted(wanted)
    assert not [prompt for prompt in asked if "|ko" in prompt]


# ── Translations ──


def english(workspace, endpoint, **changes):
    """A corpus in English alone, of which synthesize makes one in Korean too."""
    rows = [
        {"id": n, "title_en": f"Title {n}" if n != "c" else "", "text_en": f"Text {n} has some words in it. " * 3}
        for n in "abcde"
    ]
    workspace.jsonl("in.jsonl", rows)
    columns = {"id": "id", "title": "title_{lang}", "text": "text_{lang}", "stratum": None}
    into = {"korean": {"of": "passages", "source": "en", "target": "ko"}}
    settings = {"corpus__path": "in.jsonl", "corpus__columns": columns, "corpus__languages": ["en"]}
    settings |= {"synthesize__translations": into}
    workspace.asks(endpoint, **settings | changes).run("corpus")


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
    assert collection.read_passages().height == 15


def test_a_passage_whose_translation_failed_is_left_out_of_the_collection(workspace):
    def faults(body, nth):
        text = first_message(body)
        return "refusal" if ("Text b" in text and "into Korean" in text) or "Passage: Text c" in text else None

    with Endpoint(faults=faults) as endpoint:
        english(workspace, endpoint, synthesize__queries__per_passage=1, llm__max_failed=0.2)
        workspace.run("synthesize")
    why = "refused: I can't help with that."
    assert workspace.written("failures").rows() == [("korean", "b into ko", why), ("queries", "c in en", why)]
    stored = collection.read(["en", "ko"])
    assert sorted(set(stored.passages["passage"])) == list("acde")
    assert sorted(set(stored.queries["query"])) == [f"{n}#q1" for n in "ade"]
    # A query in one language alone serves nobody.
    assert workspace.written("dropped").select("item", "lang", "filter").rows() == [
        ("b#q1", "en", "parallel"),
        ("c#q1", "ko", "parallel"),
    ]


HINGLISH = {"hinglish": {"of": "queries", "source": "en", "target": "hi-Latn"}}


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
    count = jobs.TOGETHER + 3
    with Endpoint() as endpoint:
        workspace.asks(endpoint, synthesize__queries__per_passage=count, synthesize__translations=HINGLISH)
        workspace.run("synthesize")
    asked = [json.loads(p.split("Texts: ")[1]) for p in prompts_of(endpoint) if p.startswith("You translate")]
    assert sorted(map(len, asked)) == [3, jobs.TOGETHER]
    assert workspace.written("queries").filter(lang="hi-Latn").height == count


# ── Labelled queries ──


def shipped(workspace, endpoint, **changes):
    """The shipped knowledge base; {(kind, split, origin, lang): {label: texts}} of its corpus."""
    workspace.edit(**KNOWLEDGE_BASE, corpus__path=str(ROOT / "data/collection/kb.jsonl"))
    workspace.asks(endpoint, **changes)
    workspace.run("corpus")
    labelled = tables.read("data/corpus/labelled.parquet", LABELLED)
    found = {}
    for kind in ("passage", "query"):
        name = {"passage": "passages", "query": "queries"}[kind]
        texts = tables.read(f"data/corpus/{name}.parquet", getattr(tables, name.upper())).rename({kind: "id"})
        rows = texts.select("id", "lang", "text").join(labelled.filter(kind=kind), on="id")
        for row in rows.iter_rows(named=True):
            own = found.setdefault((kind, row["split"], row["origin"], row["lang"]), {})
            own.setdefault(row["label"], set()).add(row["text"])
    return found


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
    # They are all trained on.
    assert workspace.written("entries").equals(queries)
    assert workspace.written("qrels").is_empty()
    stored = collection.read(["en", "hi-Latn"])
    joined = stored.queries.filter(pl.col("query").is_in(list(names)))
    assert joined.select("split", "synthetic").unique().rows() == [("train", True)]
    assert stored.labels_of("query", joined["query"]).to_list() == [names[query] for query in joined["query"]]
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
    has = {"passages": "how do i block the card that i have lost", "queries": "where is the money that you owe me"}
    again = iter(["how do i block the card that i have lost ?", "WHERE IS THE MONEY that you owe me", "something new"])

    def spoil(prompt, reply):
        reply["queries"] = [*again, *reply["queries"]][: len(reply["queries"])]

    workspace.knowledge_base([("a1", "a")], [("q1", "a", "test", ["en"])])
    for table, text in has.items():
        schema = getattr(tables, table.upper())
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
    assert workspace.written("entries")["query"].to_list() == ["a#s1.3", "a#s1.4"]
    assert workspace.written("labelled")["id"].to_list() == ["a#s1.3", "a#s1.4"]


def test_a_labels_queries_are_translated_together_and_stay_in_their_split(workspace):
    many = [(f"q{n}", "a", "train", ["en"]) for n in range(jobs.TOGETHER + 1)]
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
    wanted = [own[: jobs.TOGETHER], own[jobs.TOGETHER :], ["t1|en", "t5|en"], ["t3|en"], ["t4|en"]]
    assert sorted(asked) == sorted(wanted)
    written = workspace.written("queries")
    trained = [*(name for name, *_ in many), "t1", "t5"]
    assert written.select("query", "lang").rows() == [(n, "hi-Latn") for n in sorted([*trained, "t3", "t4"])]
    # They have the label, the split and the origin of what they translate.
    for name in ("qrels", "labelled", "passages"):
        assert workspace.written(name).is_empty()
    assert workspace.written("entries").rows() == written.filter(pl.col("query").is_in(trained)).rows()
    found = collection.read(["en", "hi-Latn"]).queries.filter(lang="hi-Latn")
    assert found.filter(split="train")["query"].to_list() == sorted([*trained, "t2"])
    assert found.filter(split="dev")["query"].to_list() == ["t3"]
    assert found.filter(split="test")["query"].to_list() == ["t4"]
    assert found.filter(synthetic=True)["query"].to_list() == ["t5"]


# ── What is kept together ──


def spoiling(spoil):
    """A writer whose texts are `spoil`ed: it is called with a prompt and the reply, which it may change."""

    def writer(body):
        reply = json.loads(write(body))
        spoil(first_message(body), reply)
        return json.dumps(reply, ensure_ascii=False)

    return writer


def counted(workspace):
    """What metrics/synthesis.json counts of each job, without noughts; checked against what is listed."""
    report = json.loads((workspace.path / "metrics/synthesis.json").read_text(encoding="utf-8"))["filters"]
    for job, counts in report.items():
        listed = workspace.written("dropped").filter(job=job)["filter"].to_list()
        reasons = [name for name in counts if name not in ("texts", "kept")]
        assert [counts[name] for name in reasons] == [listed.count(name) for name in reasons]
        assert counts["texts"] == counts["kept"] + len(listed)
    return {job: {name: count for name, count in counts.items() if count} for job, counts in report.items()}


APOLOGY = "I'm sorry, but as an AI language model I cannot help with that."
LATIN = "only latin letters here, and nothing but words in english"


def test_a_query_goes_in_every_language_if_it_is_spoilt_in_one(workspace):
    def spoil(prompt, reply):
        if prompt.endswith("Passage: a|en"):
            reply["queries"][0] = APOLOGY
        if prompt.endswith("Passage: b|ko"):
            reply["queries"][1] = LATIN

    workspace.corpus([(name, "train") for name in "abc"])
    with Endpoint(writer=spoiling(spoil)) as endpoint:
        workspace.asks(endpoint, synthesize__queries__per_passage=2).run("synthesize")
    assert workspace.written("dropped").select("item", "lang", "filter").rows() == [
        ("a#q1", "en", "boilerplate"),
        ("a#q1", "ko", "parallel"),
        ("b#q2", "en", "parallel"),
        ("b#q2", "ko", "script"),
    ]
    kept = ["a#q2", "b#q1", "c#q1", "c#q2"]
    assert workspace.written("queries").select("query", "lang").rows() == [(q, g) for q in kept for g in ("en", "ko")]
    assert workspace.written("qrels").rows() == [(q, q[0], 1) for q in kept]
    assert counted(workspace) == {
        "queries": {"texts": 12, "script": 1, "boilerplate": 1, "parallel": 2, "kept": 8},
    }


def test_a_query_that_one_language_lacks_goes_in_the_others(workspace):
    def spoil(prompt, reply):
        if prompt.endswith("Passage: a|ko"):
            del reply["queries"][1:]

    workspace.corpus([("a", "train"), ("b", "train")])
    with Endpoint(writer=spoiling(spoil)) as endpoint:
        workspace.asks(endpoint, synthesize__queries__per_passage=2, llm__reasks=1).run("synthesize")
        assert len(endpoint.requests) == 5  # asked again once
    assert workspace.written("dropped").select("item", "lang", "filter").rows() == [("a#q2", "en", "parallel")]
    assert workspace.written("queries")["query"].unique(maintain_order=True).to_list() == ["a#q1", "b#q1", "b#q2"]


def test_a_triple_goes_as_a_whole(workspace, topics):
    topics(TOPICS)

    def spoil(prompt, reply):
        if "topic: Topic 3." in prompt:
            reply["hard_negative"] = APOLOGY

    with Endpoint(writer=spoiling(spoil)) as endpoint:
        topical(workspace, endpoint)
    dropped = workspace.written("dropped")
    assert counted(workspace) == {"topics": {"texts": 36, "boilerplate": 1, "parallel": 5, "kept": 30}}
    assert dropped.filter(filter="boilerplate").select("item", "lang").rows() == [("mine-3-1#negative", "en")]
    assert set(dropped.filter(filter="parallel")["item"]) == {
        f"mine-3-1#{k}" for k in ("query", "positive", "negative")
    }
    for name, column in (("passages", "passage"), ("queries", "query"), ("qrels", "query")):
        found = workspace.written(name)[column]
        assert found.str.split("#").list.first().unique().sort().to_list() == [f"mine-{n}-1" for n in (0, 1, 2, 4, 5)]


def test_a_hard_negative_that_is_the_positive_again_costs_the_triple(workspace, topics):
    topics(TOPICS)

    def spoil(prompt, reply):
        if "topic: Topic 3." in prompt:
            reply["hard_negative"] = reply["positive"]

    with Endpoint(writer=spoiling(spoil)) as endpoint:
        topical(workspace, endpoint, llm__reasks=1)
        assert len(endpoint.requests) == 6 + 1 + 6
    assert workspace.written("dropped").height == 6
    assert workspace.written("queries").height == 10


def test_a_translation_goes_with_the_query_that_it_translates(workspace):
    def spoil(prompt, reply):
        if prompt.endswith("Passage: a|ko"):
            reply["queries"][1] = LATIN

    workspace.corpus([("a", "train")])
    with Endpoint(writer=spoiling(spoil)) as endpoint:
        workspace.asks(endpoint, synthesize__queries__per_passage=2, synthesize__translations=HINGLISH)
        workspace.run("synthesize")
    assert workspace.written("queries").select("query", "lang").rows() == [("a#q1", g) for g in ("en", "hi-Latn", "ko")]
    assert workspace.written("dropped").select("job", "item", "lang", "filter").rows() == [
        ("hinglish", "a#q2", "hi-Latn", "parallel"),
        ("queries", "a#q2", "en", "parallel"),
        ("queries", "a#q2", "ko", "script"),
    ]
    assert counted(workspace) == {
        "queries": {"texts": 4, "script": 1, "parallel": 1, "kept": 2},
        "hinglish": {"texts": 2, "parallel": 1, "kept": 1},
    }


def test_a_query_stays_if_its_translation_into_a_further_language_is_spoilt(workspace):
    def spoil(prompt, reply):
        if "into Hinglish" in prompt:
            reply["texts"][0] = APOLOGY

    workspace.corpus([("a", "train")])
    with Endpoint(writer=spoiling(spoil)) as endpoint:
        workspace.asks(endpoint, synthesize__queries__per_passage=2, synthesize__translations=HINGLISH)
        workspace.run("synthesize")
    assert workspace.written("dropped").select("item", "lang", "filter").rows() == [("a#q1", "hi-Latn", "boilerplate")]
    assert workspace.written("queries").height == 5


def test_passages_of_which_none_is_left_in_a_language_are_told(workspace):
    def spoil(prompt, reply):
        if "into Korean" in prompt:
            reply["texts"] = [LATIN] * len(reply["texts"])

    with Endpoint(writer=spoiling(spoil)) as endpoint:
        english(workspace, endpoint, llm__reasks=0)
        with pytest.raises(UserError, match=r"no passage in ko is left: data/synthetic/dropped\.parquet lists"):
            workspace.run("synthesize")
    assert workspace.written("dropped").select("item", "filter").rows() == [(name, "script") for name in "abcde"]


def test_a_reply_without_a_query_is_a_failure(workspace):
    def spoil(prompt, reply):
        if prompt.endswith("Passage: a|ko"):
            reply["queries"].clear()

    workspace.corpus([("a", "train"), ("b", "train")])
    with Endpoint(writer=spoiling(spoil)) as endpoint:
        workspace.asks(endpoint, synthesize__queries__per_passage=1, llm__reasks=1, llm__max_failed=0.25)
        workspace.run("synthesize")
    ((job, task, reason),) = workspace.written("failures").rows()
    assert (job, task) == ("queries", "a in ko")
    assert reason.startswith("no usable reply in 2 tries: ")
    assert set(workspace.written("queries")["query"]) == {"b#q1"}


# ── A study of nothing else ──


def test_a_collection_that_was_written_alone_is_mined_and_becomes_training_sets(workspace, topics, training):
    """From topics to training sets: what was written as a hard negative is one, and no stage takes it for an answer."""
    topics(TOPICS)
    tiny = {"vocabulary": 400, "dimension": 8, "steps": 2, "batch_size": 16}
    strategy = {"k": 3, "rank_min": 1, "rank_max": 20, "relative_margin": None, "written": True}
    with Endpoint() as endpoint:
        workspace.edit(**{f"base__static__{key}": value for key, value in tiny.items()}, candidates__depth=20)
        workspace.edit(**{f"negatives__window__{key}": value for key, value in strategy.items()})
        topical(workspace, endpoint, per_topic=5)
    for run in ("base", "candidates", "negatives", "triples", "trainsets", "benchmarks dev", "benchmarks test"):
        workspace.run(*run.split())

    stored = collection.read(["en", "ko"])
    train = sorted(set(stored.queries.filter(split="train")["query"]))
    assert len(train) == 30 - 7 - 4  # without test's and dev's shares
    counts = json.loads((workspace.path / "metrics/negatives.json").read_text())["window"]["ko-en"]
    assert (counts["queries"], counts["written"], counts["short"]) == (19, 19, 0)
    for name in ("enenen", "koenko"):
        triples = tables.read(f"data/triples/window/{name}.parquet", TRIPLES)
        assert triples["query"].to_list() == train
        for query, positive, negatives in triples.iter_rows():
            triple = query.removesuffix("#query")
            assert positive == f"{triple}#positive"
            assert negatives[0] == f"{triple}#negative"
            assert len(set(negatives)) == 3
            assert positive not in negatives
    texts = tables.read("data/trainsets/koenko/texts.parquet", TRAINING_TEXTS)["text"]
    rows = tables.read("data/trainsets/koenko/rows.parquet", TRAINING_ROWS)
    by_lang = {
        lang: set(stored.passages.filter(lang=lang)["text"]) | set(stored.queries.filter(lang=lang)["text"])
        for lang in ("en", "ko")
    }
    assert {texts[n] for n in rows["query"]} <= by_lang["ko"]
    assert {texts[n] for n in rows["positive"]} <= by_lang["en"]
    assert {texts[n] for n in rows["negatives"].explode()} <= by_lang["ko"]
    for split in ("dev", "test"):
        qrels = tables.read(f"data/benchmarks/{split}/qrels.parquet", BENCHMARK_QRELS)
        assert len(qrels) > 0
        assert all(passage == query.replace("#query", "#positive") for query, passage, *_ in qrels.iter_rows())
        assert not set(qrels["query"]) & set(train)


def test_a_title_that_is_but_a_name_is_no_reason_to_ask_again():
    sources = ["useState", "This hook keeps a value between two renderings."]
    kept = forms.Texts(texts=["useState", "이 훅은 렌더링 사이에 값을 보관한다."])
    assert forms.check_texts(kept, sources, "ko", "Korean") is None
    missed = forms.Texts(texts=["useState", "This hook keeps a value."])
    assert forms.check_texts(missed, sources, "ko", "Korean") == "'useState This hook keeps a value.' is not in Korean"
