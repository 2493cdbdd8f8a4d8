"""Searched weights: which are tried, which win, and what is kept of them."""

import json

import pytest

from stages.plans import search
from stages.plans.search import evolve, grid, hundredths
from stages.settings.merges import Objective
from stages.shared import files, tables
from stages.shared.errors import UserError
from stages.shared.merging import save
from tests.fakes.checkpoints import save_record, static_model
from tests.test_retrieve import benchmark


def test_a_grid_holds_every_weighting_in_its_steps_once():
    assert list(grid(2, 4)) == [(0.0, 1.0), (0.25, 0.75), (0.5, 0.5), (0.75, 0.25), (1.0, 0.0)]
    found = list(grid(3, 10))
    assert len(found) == len(set(found)) == 66
    assert all(sum(weights) == pytest.approx(1) for weights in found)


def test_rounded_weights_add_up_to_one():
    import numpy as np

    assert hundredths(np.array([1.0, 1.0, 1.0])) == (0.34, 0.33, 0.33)
    assert hundredths(np.array([0.0, 2.0])) == (0.0, 1.0)


def test_the_search_comes_near_the_best_weights_within_its_budget_the_same_way_each_time():
    def walk():
        tried = {}

        def value(weights):
            return tried.setdefault(
                weights, -sum((w - b) ** 2 for w, b in zip(weights, (0.15, 0.6, 0.25), strict=True))
            )

        evolve(value, tried, 3, 40, seed=5)
        return tried

    tried = walk()
    assert len(tried) <= 40 and list(tried)[:2] == [(0.34, 0.33, 0.33), (1.0, 0.0, 0.0)]
    assert max(tried.values()) > -0.005 > tried[(0.34, 0.33, 0.33)]
    assert list(walk()) == list(tried)


def test_an_objective_counts_points_and_ranks():
    told = {"mono": 0.8, "cross": 0.5, "language_bias": 12.0}
    assert search.worth("m", Objective(mono=1.0, cross=2.0, bias=0.5), told) == pytest.approx(80 + 100 - 6)
    with pytest.raises(UserError, match=r"^merges\.m\.search\.objective counts multi, which .* does not measure"):
        search.worth("m", Objective(multi=1.0), told)


@pytest.fixture
def study(workspace):
    passages = [(f"p{i}", lang, "", f"w{i} w{20 + i}") for i in range(8) for lang in ("en", "ko")]
    queries = [(f"q{i}", lang, f"w{i}") for i in range(8) for lang in ("en", "ko")]
    benchmark("dev", passages, queries, [(f"q{i}", f"p{i}", lang, 1) for i in range(8) for lang in ("en", "ko")])
    for seed, folder in enumerate(("base", "trained/a", "trained/b")):
        static_model(seed, dimension=3).save_pretrained(
            str(workspace.path / "models" / folder), create_model_card=False
        )
    save_record("models/base")
    for name in "ab":
        save_record(f"models/trained/{name}")
    searched = {"models": ["a", "b"], "objective": {"mono": 1.0, "bias": 1.0}, "grid": 0.25, "budget": 5}
    recipes = {name: {"compositions": ["enenen"], "negatives": "window"} for name in "ab"}
    return workspace.edit(merges={"m": {"method": "linear", "search": searched}}, recipes=recipes)


def test_the_best_weighting_is_merged_recorded_and_kept(study, monkeypatch):
    tried, saved = [], []

    def watched(plan, folder, *more):
        save(plan, folder, *more)
        tried.append(plan.weights)
        saved.append(files.content(folder))

    monkeypatch.setattr("stages.shared.merging.save", watched)
    study.run("plans")
    assert tried == [[0.0, 1.0], [0.25, 0.75], [0.5, 0.5], [0.75, 0.25], [1.0, 0.0]]
    told = json.loads((study.path / "metrics/searches.json").read_text())["m"]
    plan = tables.read_json("data/plans/m/plan.json")
    assert told["tried"] == 5 and list(told["weights"].values()) == plan["weights"]
    assert told["value"] == pytest.approx(100 * told["mono"] - told["language_bias"], abs=1e-4)
    study.run("merge", "m")
    assert tables.read_json("models/merged/m/encoder.json")["weights"] == told["weights"]
    # The bytes of what was tried, by which its vectors are found.
    assert files.content(study.path / "models/merged/m") in saved[:5]
    # Another merge searches nothing again, and the bytes stay.
    before = (study.path / "metrics/searches.json").read_bytes()
    tried.clear()
    study.edit(merges__more={"method": "linear", "weights": {"a": 1.0, "b": 1.0}}).run("plans")
    assert tried == [] and (study.path / "metrics/searches.json").read_bytes() == before


def test_the_found_weighting_is_the_best_of_those_that_the_path_goes_through(study, capsys):
    study.run("plans")
    told = json.loads((study.path / "metrics/searches.json").read_text())["m"]
    study.run("path", "a", "b", "--beyond", "0.1")
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines() if "|" in line
    ]
    assert lines[0] == ["share of b, else a", "Mono", "Cross", "Multi", "Language bias, ranks"]
    rows = {line[0]: line[1:] for line in lines[2:]}
    assert list(rows) == [f"{step / 10:g}" for step in range(-1, 12)] + ["base"]
    assert rows["0"] != rows["1"] != rows["0.5"]
    if (share := f"{told['weights']['b']:g}") in rows:
        assert rows[share] == [*(f"{100 * told[group]:.1f}" for group in ("mono", "cross", "multi")), rows[share][3]]
    chart = (study.path / "a-b.svg").read_text()
    # Four panels of 13 points and a line.
    assert chart.count("<polyline") == 4 and chart.count("<circle") == 52 and chart.count(">base</text>") == 4
    with pytest.raises(UserError, match=r"^'c' is no model of the study: name one of base, a, b, m$"):
        study.run("path", "a", "c")
