"""retrieve: each text encoded once, vectors that are kept, runs of the model's own scores."""

import os
import re
import shutil
import subprocess
import sys
import weakref
from collections import Counter

import numpy as np
import polars as pl
import pytest

from stages import retrieve
from stages.schemas.benchmarks import BENCHMARK_PASSAGES, BENCHMARK_QRELS, BENCHMARK_QUERIES, IDENTICAL, POOLED, RERANK
from stages.schemas.runs import RUN, RUNS_FOLDER
from stages.shared import encoder, tables
from stages.shared.errors import UserError
from stages.shared.vectors import blocks
from stages.shared.vectors.blocks import KeptBlocks
from tests.conftest import ROOT
from tests.fakes.checkpoints import save_record, save_sentence_transformer, static_model


def frame(rows, schema):
    return pl.DataFrame(list(rows), schema=schema, orient="row").sort(list(schema)[:2])


def benchmark(name, passages, queries, qrels, rerank=(), by_label=False, identical=()):
    for kind, rows, schema in (
        ("passages", passages, BENCHMARK_PASSAGES),
        ("queries", queries, BENCHMARK_QUERIES),
        ("qrels", qrels, BENCHMARK_QRELS),
        ("rerank", rerank, RERANK),
        ("identical", identical, IDENTICAL),
        ("pool", [], POOLED),
    ):
        tables.write(frame(rows, schema), f"data/benchmarks/{name}/{kind}.parquet", schema)
    tables.write_json({"by_label": by_label}, f"data/benchmarks/{name}/about.json")


def written(workspace):
    """Two benchmarks that share passages and a query; 'w1' is a query and a passage too."""
    passages = [(f"p{i}", lang, "", f"w{i} w{20 + i}") for i in range(6) for lang in ("en", "ko")]
    more = [(f"r{i}", "en", "w1", f"w{i}") for i in range(4)]
    queries = [("q", "en", "w1"), ("q", "ko", "w2"), ("s", "en", "w1")]
    benchmark("dev", passages, queries, [("q", "p1", "en", 1), ("q", "p1", "ko", 1), ("s", "p2", "en", 1)])
    benchmark("test", [*passages, *more], [("t", "en", "w2")], [("t", "r2", "en", 1)])
    static_model(prompts={"query": "q: ", "document": "p: "}).save_pretrained(
        str(workspace.path / "models/base"), create_model_card=False
    )


def test_each_text_is_encoded_once_in_each_role(workspace, monkeypatch):
    written(workspace)
    seen = Counter()
    load = encoder.load

    class Counting:
        def __init__(self, *arguments, **named):
            self.inner = load(*arguments, **named)

        def encode(self, texts, role):
            seen.update((role, text) for text in texts)
            return self.inner.encode(texts, role)

    monkeypatch.setattr(retrieve.encoder, "load", Counting)
    workspace.run("retrieve", "base", "base")
    assert set(seen.values()) == {1}
    passages = {f"w{i} w{20 + i}" for i in range(6)} | {f"w1 w{i}" for i in range(4)}
    assert set(seen) == {("query", "w1"), ("query", "w2")} | {("passage", text) for text in passages}


def test_the_run_holds_the_models_own_scores(workspace):
    written(workspace)
    workspace.run("retrieve", "base", "base")
    model = encoder.load(workspace.path / "models/base", 2)
    run = tables.read("data/runs/base/test.run.parquet", RUN)
    own = run.filter(task="en-en", query="t")
    assert own.height == 10
    texts = {f"p{i}": f"w{i} w{20 + i}" for i in range(6)} | {f"r{i}": f"w1 w{i}" for i in range(4)}
    scores = model.encode(["w2"], "query") @ model.encode([texts[p] for p in own["passage"]], "passage").T
    np.testing.assert_allclose(own["score"].to_numpy(), scores[0], atol=1e-6)
    assert own["score"].is_sorted(descending=True)
    relevant = tables.read("data/runs/base/dev.relevant.parquet", RUN)
    # s is asked in English only, and judged there only.
    assert sorted(relevant.select("task", "query", "passage", "lang").rows()) == [
        ("en-*", "q", "p1", "en"),
        ("en-*", "q", "p1", "ko"),
        ("en-*", "s", "p2", "en"),
        ("ko-*", "q", "p1", "en"),
        ("ko-*", "q", "p1", "ko"),
    ]


def test_a_kind_of_model_that_is_none(workspace):
    with pytest.raises(UserError, match="'merge' is no kind of model: write base, trained, merged"):
        workspace.run("retrieve", "merge", "x")


def test_a_model_that_is_missing(workspace):
    with pytest.raises(UserError, match="models/trained/x holds no model"):
        workspace.run("retrieve", "trained", "x")


def test_a_benchmark_by_label_has_no_ranks_for_language_bias(workspace):
    written(workspace)
    tables.write_json({"by_label": True}, "data/benchmarks/dev/about.json")
    workspace.run("retrieve", "base", "base")
    assert tables.read("data/runs/base/dev.relevant.parquet", RUN).is_empty()
    assert tables.read("data/runs/base/dev.run.parquet", RUN)["task"].n_unique() == 6


def test_a_benchmarks_candidates_are_read(workspace):
    written(workspace)
    rerank = frame([("t", "r1"), ("t", "p3"), ("t", "r2")], RERANK)
    tables.write(rerank, "data/benchmarks/test/rerank.parquet", RERANK)
    workspace.run("retrieve", "base", "base")
    run = tables.read("data/runs/base/test.run.parquet", RUN)
    assert set(run.filter(task="en-en")["passage"]) == {"r1", "p3", "r2"}
    assert set(run.filter(task="en-ko")["passage"]) == set()


def asked(prefix, count=30):
    return [(f"{prefix}{i}", "en", f"w{i % 40} w{i // 3} {prefix}") for i in range(count)]


def over_sixty(name, queries, searched="p"):
    """A benchmark over 60 passages in two languages, in whose texts `searched` is."""
    passages = [
        (f"{searched}{i}", lang, "", f"w{i % 40} w{i // 30 + 5 * at} {searched}")
        for i in range(60)
        for at, lang in enumerate(("en", "ko"))
    ]
    judged = [(query, f"{searched}{i}", lang, 1) for i, (query, *_) in enumerate(queries) for lang in ("en", "ko")]
    benchmark(name, passages, queries, judged)


class Kept:
    """Two benchmarks over the same passages; a small transformer, whose vectors are kept in blocks of a few texts."""

    def __init__(self, workspace, monkeypatch, caplog):
        monkeypatch.setattr(blocks, "MEAN", 6)
        monkeypatch.setattr(blocks, "MOST", 12)
        caplog.set_level("INFO")
        self.workspace, self.caplog = workspace, caplog
        self.folder = workspace.path / ".state/vectors"
        self.encoded, self.before = [], lambda texts: None
        self.model()
        over_sixty("dev", asked("d"))
        over_sixty("test", asked("t"))
        encode = encoder.TransformerEncoder.encode

        def watched(own, texts, role):
            self.before(texts)
            self.encoded += [(role, text) for text in texts]
            return encode(own, texts, role)

        monkeypatch.setattr(encoder.TransformerEncoder, "encode", watched)

    def model(self, seed=0):
        folder = self.workspace.path / "models/base"
        save_sentence_transformer(folder, seed=seed, prompts={"query": "q: ", "document": "p: "})

    def run(self):
        """What is encoded (role and text), and the bytes of the runs; how many were kept is in `found`."""
        self.encoded.clear()
        self.caplog.clear()
        self.workspace.run("retrieve", "base", "base")
        said = re.fullmatch(r"base: (\d+) texts encoded in all, (\d+) were kept", self.caplog.messages[-1])
        new, self.found = map(int, said.groups())
        assert new == len(self.encoded)
        return list(self.encoded), content()


def content():
    return {file.name: file.read_bytes() for file in sorted(RUNS_FOLDER.joinpath("base").iterdir())}


@pytest.fixture
def kept(workspace, monkeypatch, caplog):
    return Kept(workspace, monkeypatch, caplog)


def test_what_benchmarks_share_is_encoded_once_and_a_second_run_encodes_nothing(kept, monkeypatch):
    def load(*_):
        raise AssertionError("the model was loaded")

    encoded, first = kept.run()
    assert set(Counter(encoded).values()) == {1}
    assert Counter(role for role, _ in encoded) == {"passage": 120, "query": 60}
    assert kept.found == 120
    monkeypatch.setattr(retrieve.encoder, "load", load)
    assert kept.run() == ([], first)
    assert kept.found == 2 * 120 + 60


def test_what_is_kept_is_read_without_importing_torch(kept):
    _, first = kept.run()
    code = """
import sys
from stages import retrieve
from stages.shared.vectors import blocks

blocks.MEAN, blocks.MOST = 6, 12
sys.argv = ["retrieve", "base", "base"]
retrieve.main()
sys.exit(bool({"torch", "transformers", "sentence_transformers"} & set(sys.modules)))
"""
    environment = {name: value for name, value in os.environ.items() if name != "DVC_ROOT"}
    done = subprocess.run([sys.executable, "-c", code], env=environment | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0 and content() == first


def test_another_benchmark_encodes_itself_alone_and_moves_no_bit_of_the_others(kept):
    _, first = kept.run()
    over_sixty("added", asked("a", 10), "r")
    encoded, second = kept.run()
    assert {text.split()[-1] for _, text in encoded} == {"a", "r"}
    assert len(encoded) == len(set(encoded))
    assert set(second) - set(first) == {"added.run.parquet", "added.relevant.parquet"}
    assert first.items() <= second.items()
    shutil.rmtree(kept.folder)
    assert kept.run()[1] == second


def test_a_changed_query_encodes_its_block_alone(kept):
    kept.run()
    queries = asked("d")
    queries[12] = ("d12", "en", "w1 w2 w3")
    over_sixty("dev", queries)
    encoded, changed = kept.run()
    (own,) = (block for block in blocks.cut([text for *_, text in sorted(queries)]) if "w1 w2 w3" in block)
    assert encoded == [("query", text) for text in own] and 1 < len(own) < 30
    shutil.rmtree(kept.folder)
    assert kept.run()[1] == changed


def test_a_killed_run_goes_on(kept):
    calls = []

    def kill(texts):
        calls.append(texts)
        if len(calls) in (5, 20):
            raise KeyboardInterrupt

    kept.before = kill
    done = []
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            kept.run()
        done += kept.encoded
        assert not RUNS_FOLDER.joinpath("base").exists()
    rest, found = kept.run()
    assert done and rest and set(Counter(done + rest).values()) == {1}
    shutil.rmtree(kept.folder)
    again, undisturbed = kept.run()
    assert undisturbed == found and sorted(again) == sorted(done + rest)


def test_runs_are_the_same_bytes_whatever_was_kept(kept):
    encoded, whole = kept.run()
    for number, file in enumerate(sorted(kept.folder.rglob("*.npz"))):
        if number % 3:
            file.unlink()
    some, partly = kept.run()
    assert 0 < len(some) < len(encoded) and partly == whole


def test_through_a_shared_trunk_runs_are_those_of_the_whole_model(kept):
    kept.run()
    whole = {name: pl.read_parquet(RUNS_FOLDER / "base" / name) for name in content()}
    kept.workspace.edit(train__freeze={"layers": 1, "embeddings": True})
    encoded, cut = kept.run()
    assert len(encoded) == 120 + 60
    keys = ["task", "query", "passage", "lang"]
    for name, run in whole.items():
        both = run.join(pl.read_parquet(RUNS_FOLDER / "base" / name), on=keys)
        assert both.height > 0.98 * run.height
        assert (both["score"] - both["score_right"]).abs().max() < 2e-3
    kept.encoded.clear()
    states = kept.folder / "states"
    before = sorted(states.rglob("*"))
    shutil.rmtree(kept.folder / "blocks")
    assert kept.run()[1] == cut and sorted(states.rglob("*")) == before
    shutil.rmtree(kept.folder)
    assert kept.run()[1] == cut


CHANGES = {
    "model": lambda kept: kept.model(seed=1),
    "attention": lambda kept: save_record("models/base", attention="eager"),
    "batch size": lambda kept: kept.workspace.edit(retrieve__batch_size=3),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_was_made_otherwise_is_not_taken(kept, change):
    encoded, first = kept.run()
    change(kept)
    again, second = kept.run()
    assert again == encoded
    assert (second != first) or change is not CHANGES["model"]
    shutil.rmtree(kept.folder)
    assert kept.run()[1] == second


def test_a_benchmarks_vectors_are_gone_before_the_next_is_encoded(kept, monkeypatch):
    made, encode = [], KeptBlocks.encode

    def watched(own, texts, role, *into):
        if role == "passage":
            assert not [vectors for vectors in made if vectors() is not None]
        found = encode(own, texts, role, *into)
        made.append(weakref.ref(found))
        return found

    monkeypatch.setattr(KeptBlocks, "encode", watched)
    kept.run()
    assert len(made) == 4


def test_a_static_model_keeps_nothing(workspace):
    written(workspace)
    workspace.run("retrieve", "base", "base")
    assert not (workspace.path / ".state").exists()


def test_a_long_passage_is_found_by_its_best_window(workspace):
    written(workspace)
    workspace.run("retrieve", "base", "base")
    whole = content()
    workspace.edit(windows={"size": 2, "stride": 2, "best": 1})
    workspace.run("retrieve", "base", "base")
    assert tables.read_json(RUNS_FOLDER / "base/about.json")["windows"] == {"documents": 28, "several": 0, "mean": 1.0}
    assert {name: held for name, held in content().items() if name != "about.json"} == whole
    workspace.edit(windows={"size": 1, "stride": 1, "best": 1})
    workspace.run("retrieve", "base", "base")
    run = tables.read("data/runs/base/test.run.parquet", RUN).filter(task="en-en", query="t")
    model = encoder.load(workspace.path / "models/base", 2)
    # Of r1 to r3 a window is the text: a title takes half of one at most, and here none.
    texts = {f"p{i}": [f"w{i}", f"w{20 + i}"] for i in range(6)} | {f"r{i}": [f"w{i}"] for i in range(4)}
    query = model.encode(["w2"], "query")[0]
    wanted = {name: float((model.encode(parts, "passage") @ query).max()) for name, parts in texts.items()}
    assert dict(run.select("passage", "score").iter_rows()) == pytest.approx(wanted, abs=1e-6)
    assert tables.read_json(RUNS_FOLDER / "base/about.json")["windows"]["several"] == 24
