"""The study of capacity: hybrid batches, LoRA and a merge, from base to runs on a tiny decoder."""

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer

from stages.check import params
from stages.schemas.benchmarks import BENCHMARK_PASSAGES, BENCHMARK_QRELS, IDENTICAL, POOLED, RERANK
from stages.schemas.runs import RUN
from stages.schemas.texts import QUERIES
from stages.schemas.triples import TRIPLES
from stages.shared import tables
from stages.shared.compositions import compositions
from tests.conftest import ROOT
from tests.fakes.checkpoints import WORDS, save_published
from tools import overlay


@pytest.fixture
def overlaid(workspace, monkeypatch):
    """A workspace with studies/capacity.yaml applied."""
    monkeypatch.setattr(overlay, "STUDIES", ROOT / "studies")
    _, found = overlay.read("capacity")
    text, _ = overlay.merged(workspace.params.read_text(encoding="utf-8"), found)
    workspace.params.write_text(text, encoding="utf-8")
    return workspace


def test_the_study_of_capacity_is_valid(overlaid):
    found = params.load()
    assert found.base.name == "Qwen/Qwen3-Embedding-0.6B"
    assert found.benchmarks["xquad-r"].source == "xquad-r"
    schemes = [recipe.batches.scheme for recipe in found.recipes.values()]
    assert schemes == ["composition", "x-y", "hybrid", "x-x-mono"]


@pytest.fixture
def capacity(overlaid, training, tmp_path):
    """The same with a tiny decoder in the place of its models, and data of words."""
    workspace = overlaid
    folder = str(save_published(tmp_path, "Qwen/Qwen3-Embedding-0.6B"))
    workspace.edit(base__name=folder, teacher__name=folder, train__steps=2, train__log_every=1, train__batch_size=4)
    settings = params.load()
    rng = np.random.default_rng(0)
    names, languages = [f"p{i}" for i in range(8)], settings.languages
    texts = {(name, lang): " ".join(rng.choice(WORDS, 6)) for name in names for lang in languages}
    passages = [(name, lang, "", text, "", "train") for (name, lang), text in texts.items()]
    asked = [(f"q{i}", lang, texts[name, lang][:8]) for i, name in enumerate(names) for lang in languages]
    workspace.tables("corpus", passages, asked, [(f"q{i}", name, 1) for i, name in enumerate(names)])
    workspace.tables("synthetic")
    k = settings.negatives["window"].k
    rows = [(f"q{i}", name, [*names[i + 1 :], *names[:i]][:k]) for i, name in enumerate(names)]
    table = pl.DataFrame(rows, schema=TRIPLES, orient="row")
    for made in compositions(languages):
        tables.write(table, f"data/triples/window/{made.name}.parquet", TRIPLES)
    judged = [(f"q{i}", name, lang, 1) for i, name in enumerate(names) for lang in languages]
    for benchmark in settings.benchmarks:
        for kind, held, schema in (
            ("passages", [row[:4] for row in passages], BENCHMARK_PASSAGES),
            ("queries", asked, QUERIES),
            ("qrels", judged, BENCHMARK_QRELS),
            ("rerank", [], RERANK),
            ("identical", [], IDENTICAL),
            ("pool", [], POOLED),
        ):
            table = pl.DataFrame(held, schema=schema, orient="row")
            tables.write(table, f"data/benchmarks/{benchmark}/{kind}.parquet", schema)
        tables.write_json({"by_label": False}, f"data/benchmarks/{benchmark}/about.json")
    return workspace


@pytest.mark.slow
def test_the_study_of_capacity_runs_on_a_tiny_decoder(capacity):
    settings = params.load()
    capacity.run("base")
    capacity.run("trainsets")
    for recipe in settings.recipes:
        capacity.run("train", recipe)
    capacity.run("plans")
    capacity.run("merge", "avg-alpha-0-100")
    models = [("base", "base"), ("trained", "alpha-50"), ("merged", "avg-alpha-0-100")]
    for kind, name in models:
        capacity.run("retrieve", kind, name)
    runs = [tables.read(f"data/runs/{name}/xquad-r.run.parquet", RUN) for _, name in models]
    assert set(runs[0]["task"]) == {f"{q}-{c}" for q in settings.languages for c in [*settings.languages, "*"]}
    assert all(run["score"].is_finite().all() for run in runs)
    assert not runs[0].equals(runs[1])
    folders = [capacity.path / "models" / folder for folder in ("base", "trained/alpha-50", "merged/avg-alpha-0-100")]
    weights = [load_file(folder / "model.safetensors") for folder in folders]
    assert weights[0].keys() == weights[1].keys() == weights[2].keys()
    assert {value.dtype for value in weights[2].values()} == {torch.bfloat16}
    assert len({SentenceTransformer(str(folder), device="cpu").prompts["query"] for folder in folders}) == 1
