"""alignment: model 1 by hand, both directions agreeing, and lexicons of parallel texts."""

from itertools import product

import numpy as np
import pytest

from stages.lexicons import alignment
from tests.lexicons.conftest import entries, record


def aligned(rows):
    found = alignment.align([(np.array(a, np.int32), np.array(b, np.int32)) for a, b in rows])
    return {(int(s), int(t)): count for s, t, count in zip(found.source, found.target, found.together, strict=True)}


def test_one_round_of_model_1_is_that_of_the_paper(monkeypatch):
    """Two texts, {0, 1} = {0, 1} and {0} = {0}. Chances begin at 1/2; none makes a word as often as it occurs, 2/3 and
    1/3. In the first text p(0 from 0) = 1/2 / (1/2 + 1/2 + 2/3) = 3/10, and so from 1; 1 from either is 1/2 / (1 + 1/3)
    = 3/8; in the second 0 from 0 is 1/2 / (1/2 + 2/3) = 3/7. So of 0 the chances are 51/70 and 3/8 to their sum, and of
    1 they are 3/10 and 3/8 to theirs."""
    monkeypatch.setattr(alignment, "ROUNDS_ALONE", 1)
    monkeypatch.setattr(alignment, "ROUNDS_AGREEING", 0)
    both = {(0, 0): 51 / 70, (0, 1): 3 / 8}
    zero = {pair: count / sum(both.values()) for pair, count in both.items()}
    one = {(1, 0): 4 / 9, (1, 1): 5 / 9}
    made = ([zero[0, 0], one[1, 0]], 2 / 3), ([zero[0, 1], one[1, 1]], 1 / 3)
    forth = [[chance / (sum(column) + none) for chance in column] for column, none in made]
    alone = zero[0, 0] / (zero[0, 0] + 2 / 3)
    # Both directions are the same here, with source and target changed.
    wanted = {
        (0, 0): forth[0][0] ** 2 + alone**2,
        (0, 1): forth[1][0] * forth[0][1],
        (1, 0): forth[0][1] * forth[1][0],
        (1, 1): forth[1][1] ** 2,
    }
    assert aligned([([0, 1], [0, 1]), ([0], [0])]) == pytest.approx(wanted)


def test_words_that_always_come_together_translate_each_other():
    """Each pair of words occurs without the others somewhere: 0 = 0, 1 = 1, 2 = 2. In ten texts each, which none makes
    with 1/3, so that both directions have 1 / (1 + 1/3)."""
    found = aligned([([0, 1], [0, 1]), ([1, 2], [1, 2]), ([0, 2], [0, 2])] * 5)
    wanted = {(s, t): 10 * (3 / 4) ** 2 if s == t else 0 for s, t in found}
    assert len(found) == 9 and found == pytest.approx(wanted, abs=1e-3)


TRAIN = [
    ("a", "train", {"en": ("", "The cats sleep. Dogs bark."), "ko": ("", "고양이가 잔다. 강아지는 짖는다.")}),
    ("b", "train", {"en": ("Cats", "A cat eats."), "ko": ("고양이", "고양이는 먹는다.")}),
    ("c", "train", {"en": ("", "Dogs eat."), "ko": ("", "강아지가 먹는다.")}),
    ("d", "train", {"en": ("", "A dog sleeps."), "ko": ("", "강아지가 잔다.")}),
]


def test_the_forms_of_a_word_are_aligned_as_one(workspace, settings):
    settings(source="alignment", threshold=0.3, most=1)
    unseen = ("z", "test", {"en": ("", "Zebras run."), "ko": ("", "얼룩말이 달린다.")})
    workspace.corpus([*TRAIN, unseen])
    workspace.run("lexicons", "mine")
    there = entries("en-ko")
    # Both occur three times and more; the cat is written without the particle that it mostly has.
    assert (there["cat"], there["dog"]) == (["고양이"], ["강아지가"])
    back = entries("ko-en")
    assert (back["고양"][0].lower(), back["강아"][0].lower()) in product(("cat", "cats"), ("dog", "dogs"))
    assert "zebra" not in there
    assert record() == {"source": "alignment", "pairs": [["en", "ko"], ["ko", "en"]], "lacking": [], "dropped": {}}
    first = workspace.path.joinpath("data/lexicons/mine/en-ko.parquet").read_bytes()
    workspace.run("lexicons", "mine")
    assert workspace.path.joinpath("data/lexicons/mine/en-ko.parquet").read_bytes() == first


def test_parallel_texts_may_be_given(workspace, settings):
    settings(source="alignment", path="given", text="{lang}_text", languages=["en", "de"], most=1)
    workspace.jsonl("given/a.jsonl", [{"en_text": "one house", "de_text": "ein Haus"}, {"en_text": "house"}])
    workspace.jsonl("given/b.jsonl", [{"en_text": "house", "de_text": "Haus"}, {"en_text": "!", "de_text": "?"}])
    workspace.run("lexicons", "mine")
    assert entries("de-en")["haus"] == ["house"] and entries("en-de")["hous"] == ["Haus"]
    assert record()["dropped"] == {"texts without words": 1}


def test_of_very_many_texts_some_are_read_evenly(workspace, settings, monkeypatch):
    settings(source="alignment", path="given.jsonl", languages=["en", "de"], threshold=0.1)
    workspace.jsonl("given.jsonl", [{"en": f"w{n} x", "de": f"w{n} y"} for n in range(10)])
    monkeypatch.setattr(alignment, "MOST_PAIRS", 20)
    workspace.run("lexicons", "mine")
    assert record()["dropped"] == {"texts beyond what is read": 5}
    assert [word for word in entries("en-de") if word != "x"] == ["w0", "w2", "w4", "w6", "w8"]


def test_a_study_in_one_language_has_an_empty_lexicon(workspace, settings, caplog):
    workspace.edit(languages=["en"])
    settings(source="alignment")
    workspace.path.joinpath("data/collected").mkdir(parents=True)
    workspace.run("lexicons", "mine")
    assert record() == {"source": "alignment", "pairs": [], "lacking": [], "dropped": {}}
    assert "en is the study's only language: the lexicon is empty" in caplog.text
