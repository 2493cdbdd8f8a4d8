"""The real sets of ../shared/data in small, from benchmarks through retrieve to score."""

import json

import polars as pl
import pytest

from stages.schemas.benchmarks import BENCHMARK_PASSAGES, BENCHMARK_QRELS, BENCHMARK_QUERIES
from stages.schemas.runs import RUN
from stages.shared import tables
from tests.conftest import ROOT
from tests.fakes.checkpoints import static_model

DATA = ROOT.parent / "shared" / "data"
SIX = ["ar", "de", "en", "es", "ru", "zh"]
SETS = {
    "xquad-r": {"source": "beir", "path": str(DATA / "xquad_r"), "languages": SIX, "queries": 30, "passages": 120},
    "docs": {"source": "beir", "path": str(DATA / "docs_sections"), "queries": 30, "passages": 100},
    "tldr": {
        "source": "beir",
        "path": str(DATA / "tldr_pages"),
        "languages": ["de", "en", "ko"],
        "queries": 30,
        "passages": 100,
    },
    "hinglish": {
        "source": "hinglish-top",
        "path": str(DATA / "hinglish_top"),
        "split": "validation",
        "languages": ["en", "hi-Latn"],
        "queries": 60,
        "passages": 300,
        "metric": "accuracy@1",
    },
}


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not beside this checkout")
def test_the_real_sets_run_through(workspace):
    metrics = ["ndcg@10", "map@100", "accuracy@1"]
    workspace.edit(
        languages=["en", "ko"],
        recipes={"r": {"compositions": ["enenen"], "negatives": "window"}},
        merges={},
        references={},
        benchmarks=SETS,
        score={"metrics": metrics},
        compare__metric="ndcg@10",
        compare__select_on="docs",
    )
    for name in SETS:
        workspace.run("benchmarks", name)
    words: set[str] = set()
    for name, settings in SETS.items():
        folder = f"data/benchmarks/{name}"
        passages = tables.read(f"{folder}/passages.parquet", BENCHMARK_PASSAGES)
        queries = tables.read(f"{folder}/queries.parquet", BENCHMARK_QUERIES)
        qrels = tables.read(f"{folder}/qrels.parquet", BENCHMARK_QRELS)
        assert queries["query"].n_unique() == settings["queries"]
        assert qrels.join(passages, on=["passage", "lang"], how="anti").is_empty()
        assert set(passages["lang"]) == set(settings.get("languages", ["en", "ko"]))
        words |= {word for text in pl.concat([passages["text"], queries["text"]]) for word in text.split()}
    static_model(dimension=64, words=sorted(words)).save_pretrained("models/base", create_model_card=False)
    workspace.run("retrieve", "base", "base")
    (workspace.path / "data/runs/r").symlink_to(workspace.path / "data/runs/base")
    workspace.run("fusions")
    workspace.run("score")
    found = json.loads((workspace.path / "metrics/models/base.json").read_text())
    for name, settings in SETS.items():
        languages = settings.get("languages", ["en", "ko"])
        tasks = {f"{q}-{c}" for q in languages for c in [*languages, "*"]}
        assert tasks <= set(found[name])
        assert all(set(found[name][task]) == set(metrics) for task in tasks)
        # Words that query and answer share tell even a random model something, in one language.
        assert found[name]["mono"]["ndcg@10"] > 0.02
    assert found["hinglish"]["hi-Latn-en"]["accuracy@1"] > 0
    assert found["hinglish"]["mono"]["accuracy@1"] > 0.3
    assert "language_bias" not in found["hinglish"]
    assert found["xquad-r"]["language_bias"] > 0
    run = tables.read("data/runs/base/hinglish.run.parquet", RUN)
    assert "hi-Latn-en" in set(run["task"])
