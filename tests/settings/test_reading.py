"""What a stage reads of params.yaml: its own groups, typed, and nothing of the others."""

import pytest

from stages.settings.fetch import read_fetch
from stages.settings.languages import read_languages
from stages.settings.merges import read_merge
from stages.settings.recipes import read_recipes
from stages.settings.seed import read_seed
from stages.settings.split import read_split
from stages.settings.train import read_train
from stages.shared.errors import UserError


def test_values_are_those_of_the_file(workspace):
    assert (read_seed(), read_train().temperature) == (1, 0.05)
    assert read_merge("avg-four").weights == {"enenen": 0.25, "enkoko": 0.25, "koenen": 0.25, "kokoko": 0.25}
    assert read_languages() == ["en", "ko"]
    assert read_recipes()["joint"].compositions == ["enenen", "enkoko", "koenen", "kokoko"]
    assert read_split().dev == 0.15
    workspace.edit(train__temperature=2e-5, seed=7)
    assert (read_seed(), read_train().temperature) == (7, 2e-5)


def test_what_dvc_writes_for_a_small_rate_is_a_number(workspace):
    text = workspace.params.read_text(encoding="utf-8")
    workspace.params.write_text(text.replace("temperature: 0.05 ", "temperature: 2e-05 "), encoding="utf-8")
    assert read_train().temperature == 2e-5


def test_a_key_that_is_not_there_is_named(workspace):
    with pytest.raises(UserError, match=r"params.yaml has no merges.avg-for \(did you mean avg-four\?\)"):
        read_merge("avg-for")
    with pytest.raises(UserError, match=r"params.yaml has no fetch.belebele$"):
        read_fetch("belebele")
    workspace.edit(train=...)
    with pytest.raises(UserError, match=r"params.yaml has no train"):
        read_train()


UNKNOWN = "params.yaml: unknown key {} (did you mean {}?): rename or remove it"


@pytest.mark.parametrize(
    ("read", "changes", "sentence"),
    [
        (read_train, {"train__stepz": 1}, UNKNOWN.format("train.stepz", "steps")),
        (read_train, {"train__steps": ...}, "params.yaml: train.steps is missing: add it"),
        (read_train, {"train": 3}, "params.yaml: train must hold a group of keys, but is 3"),
        (read_seed, {"seed": -1}, "params.yaml: seed is -1: input should be greater than or equal to 0"),
        (read_recipes, {"recipes__joint__negative": "w"}, UNKNOWN.format("recipes.joint.negative", "negatives")),
        (read_split, {"corpus__split__test": 0.5}, "params.yaml: corpus.split: train, dev and test must add up to 1"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_whole_key(workspace, read, changes, sentence):
    workspace.edit(**changes)
    with pytest.raises(UserError) as caught:
        read()
    assert str(caught.value) == sentence


def test_a_mistake_elsewhere_is_for_check_to_tell(workspace):
    workspace.edit(train__steps="many", sead=1)
    assert read_seed() == 1
