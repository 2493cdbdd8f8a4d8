"""chosen: the model's own folder, its card, and exports that are measured."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from stages.chosen import smaller, transformer
from stages.schemas.chosen import CHOSEN_FOLDER
from stages.shared import encoder, tables
from stages.shared.errors import UserError
from tests.fakes.checkpoints import save_record, save_sentence_transformer, static_model
from tests.test_retrieve import benchmark

RECIPES = {name: {"compositions": [name], "negatives": "window"} for name in ("koenen", "kokoko")}
WEIGHTS = {"koenen": 0.5, "kokoko": 0.5}


@pytest.fixture
def study(workspace):
    """A study whose merge was chosen: a static model of eight dimensions, which finds each passage by its own words."""
    workspace.edit(recipes=RECIPES, merges={"avg": {"method": "linear", "weights": WEIGHTS}})
    for folder in ("models/base", "models/merged/avg"):
        static_model(seed=3).save_pretrained(folder, create_model_card=False)
        save_record(folder, dimension=8)
    choose("avg")
    passages = [(f"p{i}", lang, "", f"w{i} w{20 + i}") for i in range(6) for lang in ("en", "ko")]
    queries = [(f"q{i}", lang, f"w{i}") for i in range(6) for lang in ("en", "ko")]
    qrels = [(f"q{i}", f"p{i}", lang, 1) for i in range(6) for lang in ("en", "ko")]
    benchmark("dev", passages, queries, qrels)
    Path("metrics/report").mkdir(parents=True)
    Path("metrics/report/model_card.md").write_text("# avg\n")
    return workspace


def choose(name):
    tables.write_json({"chosen_model": name, "selected_on": "dev", "metric": "ndcg@10"}, "metrics/summary.json")


def facts():
    return json.loads(Path("metrics/chosen.json").read_text())


def content():
    return {str(f.relative_to(CHOSEN_FOLDER)): f.read_bytes() for f in CHOSEN_FOLDER.rglob("*") if f.is_file()}


def test_the_chosen_model_has_a_folder_that_sentence_transformers_loads(study):
    from sentence_transformers import SentenceTransformer

    study.run("chosen")
    vectors = SentenceTransformer("models/chosen", device="cpu").encode(["w1 w2", "w7"])
    wanted = SentenceTransformer("models/merged/avg", device="cpu").encode(["w1 w2", "w7"])
    np.testing.assert_array_equal(vectors, wanted)
    assert facts() == {"model": "avg", "benchmark": "dev", "metric": "ndcg@10", "exports": {}}
    card = (CHOSEN_FOLDER / "README.md").read_text()
    assert card.startswith("# avg\n\n## Data and licences\n\n- `data/collection/passages.jsonl`: CC0 1.0\n\n")
    assert 'merges.avg: {"method":"linear","weights":{"koenen":0.5,"kokoko":0.5}}\nrecipes.koenen: {"comp' in card
    assert "## Exports" not in card
    first = content()
    study.run("chosen")
    assert content() == first


def test_another_choice_takes_its_place_and_unknown_licences_are_said(study):
    study.run("chosen")
    choose("base")
    study.edit(chosen__licenses={}).run("chosen")
    assert facts()["model"] == "base"
    assert "`data/collection/passages.jsonl`: licence not stated" in (CHOSEN_FOLDER / "README.md").read_text()
    choose("gone")
    with pytest.raises(UserError, match="names the model 'gone', of which there is no folder: run `dvc repro`"):
        study.run("chosen")
    assert facts()["model"] == "base"


def test_exports_of_a_static_model_are_measured(study):
    study.edit(chosen__int8=True, chosen__dimensions=1).run("chosen")
    found = facts()["exports"]
    assert list(found) == ["int8", "dimensions-1", "dimensions-1-int8"]
    whole = encoder.load("models/merged/avg", 8).encode(["w1 w2", "w7 w9 w3"], "passage")
    small = encoder.load(CHOSEN_FOLDER / "int8", 8).encode(["w1 w2", "w7 w9 w3"], "passage")
    np.testing.assert_allclose(small, whole, atol=0.02)
    assert not np.array_equal(small, whole)
    # One dimension tells nothing but a side.
    assert abs(found["int8"]["lost"]["mono"]) < 0.05 and found["dimensions-1"]["lost"]["mono"] > 0.1
    wholes = [own["mono"] + own["lost"]["mono"] for own in found.values()]
    assert wholes == pytest.approx([wholes[0]] * 3)
    assert all(own["speed"] > 0 and own.keys() >= {"mono", "cross", "multi"} for own in found.values())
    assert json.loads((CHOSEN_FOLDER / "dimensions-1/encoder.json").read_text())["dimension"] == 1
    card = (CHOSEN_FOLDER / "README.md").read_text()
    assert "| export | mono | cross | multi | MB |\n|---|---:|---:|---:|---:|\n| `int8` | " in card
    # Of the bytes of the folder, time is no part.
    first = content()
    study.run("chosen")
    assert content() == first


def test_the_snippet_of_the_card_loads_int8(study):
    study.edit(chosen__int8=True).run("chosen")
    snippet = (CHOSEN_FOLDER / "README.md").read_text().split("```python\n")[1].split("```")[0]
    names = {}
    exec(snippet, names)
    found = names["model"].encode(["w1 w2"], normalize_embeddings=True)
    wanted = encoder.load(CHOSEN_FOLDER / "int8", 8).encode(["w1 w2"], "passage")
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_a_projection_keeps_the_inner_products_of_what_has_no_more_dimensions():
    rng = np.random.default_rng(1)
    plane = rng.normal(size=(50, 2)).astype(np.float32) @ rng.normal(size=(2, 6)).astype(np.float32)
    made = smaller.projected(plane, 2)
    assert made.shape == (50, 2)
    np.testing.assert_allclose(made @ made.T, plane @ plane.T, rtol=1e-4, atol=1e-4)
    with pytest.raises(UserError, match=r"chosen\.dimensions is 6, but the model has 6: write fewer"):
        smaller.projected(plane, 6)


def test_the_greatest_number_of_a_table_in_int8_is_127():
    assert smaller.quantised(np.array([[0.5, -2.0], [0.0, 1.0]], np.float32)).tolist() == [[32, -127], [0, 64]]
    assert smaller.quantised(np.zeros((1, 2), np.float32)).tolist() == [[0, 0]]


def test_what_the_model_cannot_be_exported_to_is_one_sentence(study, monkeypatch):
    def refused(match, **changes):
        study.edit(**{"chosen__onnx": False, "chosen__int8": False, "chosen__dimensions": None} | changes)
        with pytest.raises(UserError, match=match):
            study.run("chosen")
        assert not CHOSEN_FOLDER.exists()

    refused(r"chosen\.onnx is of transformers, but the chosen model is static: write false", chosen__onnx=True)
    save_sentence_transformer("models/trained/koenen")
    save_record("models/trained/koenen")
    choose("koenen")
    study.edit(chosen__onnx=False).run("chosen")
    assert facts() == {"model": "koenen", "benchmark": "dev", "metric": "ndcg@10", "exports": {}}
    shutil.rmtree(CHOSEN_FOLDER)
    refused(r"chosen\.dimensions is of static models", chosen__dimensions=4)
    refused(r"chosen\.int8 of a transformer is that of its exports", chosen__int8=True)
    monkeypatch.setattr(transformer, "find_spec", lambda name: None if name.startswith("onnx") else "there")
    wanted = r"chosen\.onnx needs onnx: install onnx onnxscript onnxruntime, or write false"
    refused(wanted, chosen__onnx=True)


def test_a_runtime_takes_the_place_of_the_transformer_alone(tmp_path):
    """Here a runtime that computes as torch does, and one that makes all words alike."""
    import torch

    folder = save_sentence_transformer(tmp_path / "m", prompts={"query": "q: "})
    whole, other = (encoder.opened(folder, "cpu", trust_remote_code=False) for _ in range(2))
    network = whole[0].auto_model

    def run(given):
        assert set(given) == {"input_ids", "attention_mask"}
        with torch.no_grad():
            return network(**{k: torch.from_numpy(v) for k, v in given.items()}).last_hidden_state.numpy()

    transformer.run_by(other, run)
    texts = ["w1 w2 w3", "w4"]
    wanted = encoder.TransformerEncoder(whole, 2).encode(texts, "query")
    np.testing.assert_allclose(encoder.TransformerEncoder(other, 2).encode(texts, "query"), wanted, atol=1e-6)
    transformer.run_by(other, lambda given: np.ones((*given["input_ids"].shape, 32), np.float32))
    first, second = encoder.TransformerEncoder(other, 2).encode(texts, "query")
    np.testing.assert_array_equal(first, second)


@pytest.mark.slow
def test_a_transformer_is_exported_to_onnx_and_openvino(study):
    """What runtimes compute is what torch does, or in int8 nearly; paths of this machine are in no file."""
    for packages in transformer.NEEDED.values():
        for package in packages:
            pytest.importorskip(package)
    save_sentence_transformer("models/trained/koenen", "xlm-r")
    save_record("models/trained/koenen")
    choose("koenen")
    study.edit(chosen__onnx=True, chosen__openvino=True, chosen__int8=True).run("chosen")
    found = facts()["exports"]
    names = ("onnx/model", "onnx/model_qint8", "openvino/openvino_model", "openvino/openvino_model_qint8_quantized")
    assert [Path(path).with_suffix("").as_posix() for path in found] == list(names)
    assert found["onnx/model.onnx"]["lost"] == {"mono": 0.0, "cross": 0.0, "multi": 0.0}
    assert found["onnx/model_qint8.onnx"]["megabytes"] < found["onnx/model.onnx"]["megabytes"]
    assert b"site-packages" not in (CHOSEN_FOLDER / "onnx/model.onnx").read_bytes()
    assert {"onnx", "openvino"} <= {path.name for path in CHOSEN_FOLDER.iterdir()}
