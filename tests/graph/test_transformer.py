"""The same graph with a pretrained transformer for a base: a tiny random XLM-R, saved as transformers saves it."""

import json
import re

import pytest
from sentence_transformers import SentenceTransformer

from stages.shared import encoder
from tests.fakes.checkpoints import save_transformer

pytestmark = [pytest.mark.graph, pytest.mark.xdist_group("smoke")]
PROMPTS = {"query": "query: ", "passage": "passage: "}


def test_a_transformer_goes_through_the_whole_graph(graph, tmp_path):
    rows = [json.loads(line) for line in graph.read("data/collection/passages.jsonl").splitlines()[:120]]
    words = sorted({word for row in rows for key in ("text_en", "text_ko") for word in row[key].split()})
    save_transformer(tmp_path / "xlmr", "xlm-r", words=words)
    params = graph.folder / "params.yaml"
    params.write_text("".join(line for line in params.read_text().splitlines(True) if not line.startswith("  enenen:")))
    graph.edit("base.name", str(tmp_path / "xlmr"))
    graph.edit("base.pooling", "cls")
    graph.edit("base.prompts", PROMPTS)
    graph.edit("base.max_length", 48)
    graph.edit("base.dtype", "bfloat16")
    graph.edit("negatives.window.relative_margin", None)
    graph.edit("train.learning_rate", 1e-3)
    graph.edit("train.steps", 4)
    graph.edit("train.mini_batch_size", 16)
    graph.edit("train.max_length", 16)
    graph.edit("rerankers", {"cross": {"compositions": ["enenen", "koenen"], "negatives": "window"}})
    graph.edit("fusions", {"both": {"of": ["bm25", "koenen"]}})
    firsts = {"words-again": "data/runs/bm25", "both-again": "data/fused/both"}
    reranked = {name: {"reranker": "cross", "first_stage": first, "depth": 5} for name, first in firsts.items()}
    graph.edit("rerank", reranked)
    ran = graph.repro()
    assert {"base", "candidates", "train@koenen", "merge@avg-koenen-kokoko", "report"} <= ran
    assert {"rerankers@cross", *(f"rerank@{name}" for name in reranked)} <= ran
    base = SentenceTransformer(str(graph.folder / "models/base"), local_files_only=True)
    for folder in ("trained/koenen", "merged/avg-koenen-kokoko"):
        model = SentenceTransformer(str(graph.folder / "models" / folder), local_files_only=True)
        assert model.prompts[encoder.PROMPT_NAMES["query"]] == PROMPTS["query"]
        assert model.prompts[encoder.PROMPT_NAMES["passage"]] == PROMPTS["passage"]
        assert model[1].pooling_mode == "cls"
        assert model.max_seq_length == 48
        assert {p.dtype for p in model.parameters()} == {p.dtype for p in base.parameters()}
        weights = dict(model.named_parameters())
        assert any(not weights[name].equal(value) for name, value in base.named_parameters())
    scores = json.loads(graph.read("metrics/models/avg-koenen-kokoko.json"))["test"]
    assert {"en-en", "en-ko", "ko-*", "mono", "language_bias"} <= set(scores)
    again = json.loads(graph.read("metrics/models/both-again.json"))["test"]
    assert {"en-en", "en-ko", "ko-*", "mono"} <= set(again)
    assert "words-again | bm25" in graph.read("metrics/report/tables.md").decode()
    # A depth: nothing is trained or encoded, only that row is ranked again, and only new pairs are scored.
    graph.edit("rerank.words-again.depth", 8)
    said = graph.run("dvc", "repro")
    # The card of the chosen model has that row, if it looks otherwise to the last digit.
    assert set(re.findall(r"Running stage '([^']+)'", said)) - {"chosen"} == {
        *("check", "rerank@words-again", "score", "labels", "compare", "report")
    }
    (scored, kept), *_ = re.findall(r"words-again: ([\d,]+) pairs scored in all, ([\d,]+) were kept", said)
    assert 0 < int(scored.replace(",", "")) < int(kept.replace(",", ""))
    # A new first stage, of a re-ranker that is there.
    graph.edit("rerank.base-again", {"reranker": "cross", "first_stage": "data/runs/base", "depth": 5})
    assert "rerankers@cross" not in graph.repro("rerank@base-again")
    # A new benchmark: nothing is trained, and no text of another benchmark is encoded.
    folder = graph.folder / "new"
    folder.mkdir()
    for kind, texts in (("corpus", {"p1": "one passage", "p2": "another passage"}), ("queries", {"q1": "one"})):
        lines = [json.dumps({"_id": name, "text": text}) + "\n" for name, text in texts.items()]
        (folder / f"{kind}.en.jsonl").write_text("".join(lines))
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\tp1\t1\n")
    graph.edit("benchmarks.new", {"source": "beir", "path": "new", "languages": ["en"]})
    said = graph.run("dvc", "repro", "retrieve-base", "retrieve-trained@koenen", "contamination")
    assert not re.search(r"Running stage '(train|merge|candidates|base)", said)
    assert re.findall(r"(\w+): (\d+) texts encoded in all", said) == [("base", "3"), ("koenen", "3")]
