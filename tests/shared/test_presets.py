"""Presets: what mteb and the model cards say, pinned, and found by name."""

import re

import pytest

from stages.shared import presets
from stages.shared.presets import PRESETS, WEB_SEARCH
from tests.fakes.checkpoints import PUBLISHED

E5 = [f"intfloat/multilingual-e5-{size}" for size in ("small", "base", "large")]
QWEN3 = [f"Qwen/Qwen3-Embedding-{size}" for size in ("0.6B", "4B", "8B")]


@pytest.mark.parametrize("name", E5)
def test_e5_has_its_prompts(name):
    preset = PRESETS[name]
    assert (preset.query, preset.passage) == ("query: ", "passage: ")
    assert (preset.pooling, preset.max_length) == ("mean", 512)


@pytest.mark.parametrize("name", QWEN3)
def test_qwen3_instructs_queries_without_a_last_space(name):
    preset = PRESETS[name]
    assert preset.query.endswith("\nQuery:")
    assert (preset.passage, preset.pooling, preset.padding) == ("", "lasttoken", "left")


def test_instructed_e5_has_a_last_space_and_bare_passages():
    for name in ("intfloat/multilingual-e5-large-instruct", "intfloat/e5-mistral-7b-instruct"):
        assert (PRESETS[name].query, PRESETS[name].passage) == (WEB_SEARCH + " ", "")
    assert PRESETS["intfloat/e5-mistral-7b-instruct"].end


def test_cls_models_pool_cls():
    names = ["BAAI/bge-m3", "Alibaba-NLP/gte-multilingual-base", "sentence-transformers/LaBSE"]
    for name in [*names, "Snowflake/snowflake-arctic-embed-l-v2.0"]:
        assert PRESETS[name].pooling == "cls"
    assert PRESETS["Snowflake/snowflake-arctic-embed-l-v2.0"].query == "query: "


def test_nv_embed_is_a_teacher_with_an_instruction_and_an_end():
    preset = PRESETS["nvidia/NV-Embed-v2"]
    assert preset.query == "Instruct: Given a question, retrieve passages that answer the question\nQuery: "
    assert (preset.padding, preset.end, preset.remote_code, preset.pooling) == ("right", True, True, None)


def test_revisions_are_commits_and_each_architecture_has_a_preset():
    unpinned = {name for name, preset in PRESETS.items() if preset.revision is None}
    assert unpinned == {"alibaba-nlp-community/gte-multilingual-base"}
    revisions = [preset.revision for preset in PRESETS.values() if preset.revision]
    assert all(re.fullmatch(r"[0-9a-f]{40}", revision) for revision in revisions)
    assert len(set(revisions)) == len(revisions)
    assert set(PUBLISHED) <= set(PRESETS)


@pytest.mark.slow
def test_presets_are_those_of_mteb():
    """Where we differ from mteb, it is on purpose: weights as safetensors."""
    get_model_meta = pytest.importorskip("mteb").get_model_meta
    differ = set()
    for name, preset in PRESETS.items():
        if preset.revision is None:
            continue
        meta = get_model_meta(name)
        if meta.revision != preset.revision:
            differ.add(name)
        prompts = meta.loader_kwargs.get("model_prompts")
        if prompts and "document" in prompts:
            assert (prompts["query"], prompts["document"]) == (preset.query, preset.passage)
        template = meta.loader_kwargs.get("instruction_template")
        if isinstance(template, str):
            instruction = "Given a web search query, retrieve relevant passages that answer the query"
            assert template.format(instruction=instruction) == preset.query
        assert meta.loader_kwargs.get("add_eos_token", False) == preset.end
        assert (meta.loader_kwargs.get("trust_remote_code") or False) == preset.remote_code
        if meta.max_tokens and preset.max_length:
            assert preset.max_length <= meta.max_tokens
    assert differ == {"BAAI/bge-m3", "sentence-transformers/LaBSE"}


def test_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("intfloat/multilingual-e5-base", "multilingual-e5-base", "models--a--b/snapshots/bge-m3", "bge"):
        (tmp_path / name).mkdir(parents=True)
    assert presets.named("BAAI/bge-m3") == "BAAI/bge-m3"
    assert presets.named("someone/bge-m3") is None  # at the hub, another model
    assert presets.named("multilingual-e5-base") == "intfloat/multilingual-e5-base"
    assert presets.named(str(tmp_path / "intfloat" / "multilingual-e5-base")) == "intfloat/multilingual-e5-base"
    assert presets.named("./models--a--b/snapshots/bge-m3") is None
    assert presets.named("bge") is None
    assert presets.of_config({"_name_or_path": "/somewhere/LaBSE/"}) == "sentence-transformers/LaBSE"
    assert presets.of_config({"_name_or_path": "mine"}) is None
    assert presets.of_config({}) is None
