"""contamination: what is planted in training sets is found, in its slot and language, and nothing else is."""

import json
import random

import polars as pl
import pytest

from stages.contamination import __main__ as stage
from stages.contamination.examples import EXAMPLES, EXAMPLES_FILE
from stages.contamination.limits import CONTAMINATION_METRICS
from stages.shared import duplicates, tables
from tests.contamination.conftest import BUS, BUS_KO, MOSS, OTHER, QUESTION, bench, train


def run(study, benchmark="dev", recipe="one"):
    """The shares of a benchmark and recipe, and all examples."""
    study.run("contamination")
    return json.loads(CONTAMINATION_METRICS.read_text())[benchmark][recipe], examples()


def examples():
    return tables.read(EXAMPLES_FILE, EXAMPLES).rows(named=True)


def brief(rows):
    return [(row["kind"], row["name"], row["lang"], row["slot"], row["match"]) for row in rows]


def test_clean_training_has_none(study):
    train("one", (OTHER[1], OTHER[2], ["Nothing of the kind, " + OTHER[1]]))
    shares, shown = run(study)
    assert set(shares) == {"en", "ko", "*"}
    assert shown == []
    for found in shares.values():
        assert set(found) == {f"{kind}{end}" for kind in ("queries", "passages") for end in ("", "_exact", "_negative")}
        assert set(found.values()) == {0.0}


@pytest.mark.parametrize("slot", ["query", "positive", "negative"])
def test_what_is_planted_is_found_in_its_slot_and_language(study, slot):
    triple = {"query": OTHER[0], "positive": OTHER[1], "negative": OTHER[2]} | {slot: BUS}
    train("one", (triple["query"], triple["positive"], [OTHER[2] + " Twice.", triple["negative"]]))
    shares, shown = run(study)
    assert brief(shown) == [("passage", "p1", "en", slot, "exact")]
    assert shown[0]["text"] == shown[0]["trained"] == BUS and shown[0]["similarity"] == 1.0
    # A negative alone is told, and does not count.
    key = "passages_negative" if slot == "negative" else "passages"
    assert {k: v for k, v in shares["en"].items() if v} == (
        {key: 0.5} | ({} if slot == "negative" else {f"{key}_exact": 0.5})
    )
    assert not any(shares["ko"].values())
    # One of the two passages, in any language.
    assert shares["*"][key] == 0.5


def test_a_text_that_is_a_positive_somewhere_counts_and_is_no_negative_alone(study):
    train("one", (OTHER[0], OTHER[1], [BUS]), (OTHER[2], BUS, [OTHER[1]]))
    shares, shown = run(study)
    assert (shares["en"]["passages"], shares["en"]["passages_negative"]) == (0.5, 0.0)
    assert brief(shown) == [("passage", "p1", "en", "positive", "exact")]


@pytest.mark.parametrize(
    "spelling",
    [
        "when does the last tram to the HARBOUR leave on weekdays",
        "When does the last tram to the harbour leave, on weekdays?!",
        "  When does the  last tram\nto the harbour leave on weekdays? ",
        "Ｗｈｅｎ does the last tram to the harbour leave on weekdays?",
    ],
)
def test_case_width_punctuation_and_spaces_tell_no_texts_apart(study, spelling):
    train("one", (spelling, OTHER[1], [OTHER[2]]))
    shares, shown = run(study)
    assert brief(shown) == [("query", "q1", "en", "query", "exact")]
    assert shares["en"]["queries"] == shares["en"]["queries_exact"] == 0.5
    assert (shown[0]["text"], shown[0]["trained"]) == (QUESTION, spelling)


def test_a_near_copy_is_found_with_its_similarity_and_looked_for_only_if_asked(study):
    copy = BUS.replace("earlier than that", "earlier")
    similarity = duplicates.jaccard(*(duplicates.grams(duplicates.plain(text)) for text in (BUS, copy)))
    train("one", (OTHER[0], copy, [OTHER[2]]))
    for near, hit in ((similarity, True), (similarity + 0.001, False), (None, False)):
        study.edit(contamination__near=near)
        shares, shown = run(study)
        assert shares["en"]["passages"] == (0.5 if hit else 0.0), near
        assert shares["en"]["passages_exact"] == 0.0
        assert brief(shown) == ([("passage", "p1", "en", "positive", "near")] if hit else [])
    study.edit(contamination__near=similarity)
    assert run(study)[1][0]["similarity"] == similarity


def test_a_letter_of_a_short_text_makes_another(study):
    study.edit(contamination__near=0.5)
    bench("dev", {("q1", "en"): "tax forms", ("q2", "en"): "am"}, {("p1", "en"): MOSS}, [("q1", "p1", "en")])
    train("one", ("tax form", OTHER[0], ["ham"]), ("Am?", OTHER[1], [OTHER[0]]))
    shares, shown = run(study)
    assert brief(shown) == [("query", "q2", "en", "query", "exact")]
    assert shares["en"]["queries"] == 0.5


def test_a_translation_of_what_is_asked_counts_for_its_group(study):
    """English alone is planted: no Korean text occurs, and yet the group is known."""
    bench(
        "dev",
        {("q1", "en"): QUESTION, ("q1", "ko"): "항구행 막차는 언제 떠나나요?", ("q2", "ko"): "이끼는 어디서 자라나요?"},
        {("p1", "en"): BUS, ("p1", "ko"): BUS_KO, ("p2", "ko"): "이끼에는 뿌리가 없다."},
        [("q1", "p1", "en"), ("q1", "p1", "ko"), ("q2", "p2", "ko")],
    )
    train("one", (QUESTION, BUS_KO, [OTHER[0]]))
    shares, shown = run(study)
    assert [shares[lang]["queries"] for lang in ("en", "ko", "*")] == [1.0, 0.0, 0.5]
    assert [shares[lang]["passages"] for lang in ("en", "ko", "*")] == [0.0, 0.5, 0.5]
    assert brief(shown) == [("passage", "p1", "ko", "positive", "exact"), ("query", "q1", "en", "query", "exact")]


def test_only_relevant_passages_count_in_the_languages_they_are_judged_in(study):
    train("one", (OTHER[1], OTHER[0], [OTHER[2]]), (OTHER[2], BUS_KO, [OTHER[1]]))
    shares, _ = run(study)
    assert shares["en"]["passages"] == 0.0
    assert shares["ko"]["passages"] == 1.0
    judged = [("q1", "p1", "en"), ("q2", "p2", "en"), ("q2", "p3", "en", 0)]
    bench("dev", {("q1", "en"): "a", ("q2", "ko"): "b"}, {("p1", "en"): BUS, ("p3", "en"): OTHER[0]}, judged)
    shares, _ = run(study)
    assert set(shares["ko"]) == {"queries", "queries_exact", "queries_negative"}
    assert shares["*"]["passages"] == 0.0


def test_titles_are_part_of_a_passage_as_training_has_it(study):
    bench("dev", {("q1", "en"): "a"}, {("p1", "en"): f"Trams|{BUS}"}, [("q1", "p1", "en")])
    train("one", ("b", f"Trams {BUS}", ["c"]))
    assert run(study)[0]["en"]["passages_exact"] == 1.0


def test_each_recipe_and_benchmark_has_its_own(study):
    recipe = {"compositions": ["koenen"], "negatives": "window"}
    study.edit(
        recipes={"one": recipe, "two": recipe},
        benchmarks={name: {"source": "beir", "path": "x"} for name in ("dev", "test")},
    )
    bench("test", {("q1", "en"): OTHER[0]}, {("p1", "en"): MOSS}, [("q1", "p1", "en")])
    train("one", (OTHER[0], OTHER[1], [OTHER[2]]))
    train("two", (OTHER[1], MOSS, [OTHER[0]]))
    study.run("contamination")
    report = json.loads(CONTAMINATION_METRICS.read_text())
    found = {(b, r): (s["*"]["queries"], s["*"]["passages"]) for b, of in report.items() for r, s in of.items()}
    assert found == {
        ("dev", "one"): (0.0, 0.0),
        ("dev", "two"): (0.0, 0.5),
        ("test", "one"): (1.0, 0.0),
        ("test", "two"): (0.0, 1.0),
    }
    assert report["test"]["two"]["en"]["queries_negative"] == 1.0
    assert [(row["benchmark"], row["recipe"], row["name"]) for row in examples()] == [
        ("dev", "two", "p2"),
        ("test", "one", "q1"),
        ("test", "two", "p1"),
        ("test", "two", "q1"),
    ]


@pytest.mark.parametrize("slot", ["query", "positive", "negative"])
def test_passages_of_a_benchmark_by_label_are_known_but_do_not_count(study, slot):
    judged = [("q1", "p1", "en"), ("q1", "p2", "en"), ("q2", "p2", "en")]
    asked = {("q1", "en"): QUESTION, ("q2", "en"): "Where does moss grow?"}
    bench("dev", asked, {("p1", "en"): BUS, ("p2", "en"): MOSS, ("p3", "en"): OTHER[0]}, judged, by_label=True)
    triple = {"query": OTHER[0], "positive": OTHER[1], "negative": OTHER[2]} | {slot: BUS}
    train("one", (triple["query"], triple["positive"], [triple["negative"]]))
    shares, shown = run(study)
    assert shares["en"] == {
        "queries": 0.0,
        "queries_exact": 0.0,
        "queries_negative": 0.0,
        "passages_known": 0.5,
    }
    assert shares["*"] == shares["en"]
    assert brief(shown) == [("passage", "p1", "en", slot, "exact")]
    # Its queries count as any benchmark's do.
    train("one", (QUESTION, MOSS, [BUS]))
    shares, _ = run(study)
    assert shares["en"] == {
        "queries": 0.5,
        "queries_exact": 0.5,
        "queries_negative": 0.0,
        "passages_known": 1.0,
    }


def test_examples_are_few_and_the_telling_ones(study):
    texts = [f"{BUS} It is tram number {number}." for number in range(9)]
    passages = {(f"p{number}", "en"): text for number, text in enumerate(texts)}
    bench("dev", {("q1", "en"): "a"}, passages, [("q1", name, lang) for name, lang in passages])
    train("one", ("b", texts[7], texts[:4]))
    for most in (0, 1, 3):
        study.edit(contamination__examples=most)
        shares, shown = run(study)
        # All are nearly the one that is trained on; the others' copies as negatives say less.
        assert shares["en"]["passages"] == 1.0
        assert shares["en"]["passages_exact"] == pytest.approx(1 / 9, abs=1e-5)
        assert len(shown) == most
    assert {row["name"]: row["match"] for row in shown} == {"p0": "near", "p1": "near", "p7": "exact"}
    assert {row["slot"] for row in shown} == {"positive"}


def variants(rng, words, count):
    """Texts of which some are others with a few words exchanged."""
    texts = [" ".join(rng.choices(words, k=rng.randint(3, 30))) for _ in range(count // 3)]
    while len(texts) < count:
        changed = rng.choice(texts).split()
        for _ in range(rng.randint(0, 2)):
            changed[rng.randrange(len(changed))] = rng.choice(words)
        texts.append(" ".join(changed))
    return texts


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_random_texts_are_matched_as_by_comparing_all_with_all(seed, monkeypatch):
    monkeypatch.setattr(stage, "TEXTS_AT_ONCE", 37)
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefghijklmnop전차이끼", k=rng.randint(2, 8))) for _ in range(300)]
    texts = variants(rng, words, 400)
    plains = pl.Series([duplicates.plain(text) for text in texts[::2]]).unique().sort()
    trained = pl.Series(texts[1::2]).unique().sort()
    wanted = set()
    for number, own in enumerate(plains):
        for text in trained:
            other = duplicates.plain(text)
            similarity = duplicates.jaccard(duplicates.grams(own), duplicates.grams(other))
            if own == other:
                wanted.add((number, text, "exact", 1.0))
            elif similarity >= 0.8 and len(duplicates.grams(own)) >= stage.FEWEST:
                wanted.add((number, text, "near", similarity))
    found = stage.matches(plains, trained, 0.8).rows()
    assert len(found) == len(set(found))
    assert set(found) <= wanted
    # At most one in a thousand goes unseen.
    assert len(wanted) - len(found) <= 1
    assert {match for *_, match, _ in wanted} == {"exact", "near"}
    assert set(stage.matches(plains, trained, None).rows()) == {row for row in wanted if row[2] == "exact"}


def test_a_share_is_rounded_but_never_to_none():
    assert stage._share(1, 10_000_000) == 0.00001
    assert stage._share(0, 10_000_000) == 0.0
    assert stage._share(1, 3) == 0.33333


def test_the_same_inputs_give_the_same_bytes(study):
    train("one", (QUESTION, BUS, [MOSS, OTHER[0]]), (OTHER[1], MOSS, [BUS_KO, OTHER[2]]))
    written = []
    for _ in range(2):
        study.run("contamination")
        written.append([file.read_bytes() for file in (CONTAMINATION_METRICS, EXAMPLES_FILE)])
    assert written[0] == written[1]
