"""Each published architecture, tiny and random, from base to score, by the stages themselves."""

import json

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from stages.shared.presets import PRESETS
from tests.fakes.checkpoints import PUBLISHED, WORDS, save_published

PASSAGES = 24


def texts(seed):
    rng = np.random.default_rng(seed)
    return {lang: ("", " ".join(rng.choice(WORDS, rng.integers(4, 16)))) for lang in ("en", "ko")}


@pytest.fixture
def study(workspace, training):
    """A workspace with a collection, for two recipes of two steps and their average."""
    splits = ["train"] * 14 + ["dev"] * 4 + ["test"] * 6
    workspace.corpus(
        [(f"p{i:02}", split, texts(i)) for i, split in enumerate(splits)],
        [(f"q{i:02}", f"p{i:02}") for i in range(PASSAGES)],
    )
    recipe = {"negatives": "window"}
    return workspace.edit(
        recipes={name: {"compositions": [name], **recipe} for name in ("koenen", "enkoko")},
        merges={
            "average": {"method": "linear", "weights": {"koenen": 0.5, "enkoko": 0.5}},
            "fisher": {"method": "fisher", "weights": {"koenen": 0.5, "enkoko": 0.5}},
            "regmean": {"method": "regmean", "models": ["koenen", "enkoko"]},
            "all": {"method": "linear", "weights": {"fisher": 1.0, "regmean": 1.0, "base": 0.0}},
        },
        references={},
        candidates__depth=20,
        negatives__window__rank_min=2,
        negatives__window__rank_max=20,
        negatives__window__k=2,
        negatives__window__relative_margin=None,
        train__steps=2,
        train__batch_size=4,
        train__learning_rate=1e-3,
        train__log_every=1,
    )


def weights(model):
    return dict(model.named_parameters())


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_an_architecture_goes_from_base_to_score(study, tmp_path, name):
    preset = PRESETS[name]
    folder = save_published(tmp_path / "hub", name)
    study.edit(base__name=str(folder), base__trust_remote_code=preset.remote_code)
    for stage in ("base", "candidates", "negatives", "triples", "trainsets"):
        study.run(stage)
    for recipe in ("koenen", "enkoko"):
        study.run("train", recipe)
    for benchmark in ("dev", "test"):
        study.run("benchmarks", benchmark)
    study.run("plans")
    for merge in ("average", "fisher", "regmean", "all"):
        study.run("merge", merge)
    for kind, model in (("base", "base"), ("trained", "koenen"), ("trained", "enkoko"), ("merged", "average")):
        study.run("retrieve", kind, model)
    study.edit(merges={"average": {"method": "linear", "weights": {"koenen": 0.5, "enkoko": 0.5}}})
    study.run("fusions")
    study.run("score")

    models = study.path / "models"
    found = {
        part: SentenceTransformer(str(models / part), device="cpu", trust_remote_code=preset.remote_code)
        for part in ("base", "trained/koenen", "trained/enkoko", "merged/average", "merged/all")
    }
    base, one, other, merged, of_all = found.values()
    fisher, regmean = (
        weights(SentenceTransformer(str(models / "merged" / name), trust_remote_code=preset.remote_code, device="cpu"))
        for name in ("fisher", "regmean")
    )
    for key, value in of_all.named_parameters():
        np.testing.assert_allclose(
            value.detach(), (fisher[key] + regmean[key]).detach() / 2, atol=1e-5, rtol=1e-4, err_msg=key
        )
    for model in found.values():
        assert model.prompts == {"query": preset.query, "document": preset.passage}
        assert [type(module) for module in model] == [type(module) for module in base]
        assert model.max_seq_length == base.max_seq_length
        assert {parameter.dtype for parameter in model.parameters()} == {p.dtype for p in base.parameters()}
        assert np.isfinite(model.encode_query(["w1 w2", "w3"])).all()
    assert any(not value.equal(weights(base)[key]) for key, value in one.named_parameters())
    for key, value in merged.named_parameters():
        mean = (weights(one)[key] + weights(other)[key]) / 2
        np.testing.assert_allclose(value.detach(), mean.detach(), atol=1e-6)
    scores = json.loads((study.path / "metrics/models/average.json").read_text())["test"]
    assert {"en-en", "en-ko", "ko-*"} <= set(scores)
