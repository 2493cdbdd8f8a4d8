"""Encoders as they are published: params before presets before the model's own files, and refusals in a sentence."""

import json
import logging
import shutil

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

from stages.settings.encoders import PretrainedEncoder
from stages.shared import pretrained
from stages.shared.errors import UserError
from stages.shared.presets import PRESETS
from tests.fakes.checkpoints import (
    POSITIONS,
    PROMPT_WORDS,
    PUBLISHED,
    WEB_SEARCH,
    WORDS,
    save_published,
    save_sentence_transformer,
    save_transformer,
    static_model,
    with_tokens_added,
)

MIXED = ["w1", "w2 w3 w4 w5 w6 w7 w8 w9 w10 w11", "w12 w13", "w14 w15 w16 w17 w18 w19"]
FAMILIES = {"xlm-r": "mean", "bert": "cls", "qwen3": "lasttoken", "mistral": "lasttoken", "custom": "cls"}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder of tiny models, called as the hub's are."""
    folder = tmp_path_factory.mktemp("published")
    for name in PUBLISHED:
        save_published(folder, name)
    return folder


def settings(name, **changes):
    nothing = dict.fromkeys(("revision", "preset", "pooling", "prompts", "max_length", "padding", "attention"))
    given = {"dtype": "float32", "trust_remote_code": False, **nothing, **changes}
    return PretrainedEncoder.model_validate({"name": str(name), **given})


def load(name, key="base", **changes):
    return pretrained.load(settings(name, **changes), key)


def refused(name, match, **changes):
    with pytest.raises(UserError, match=match) as caught:
        load(name, **changes)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_model_is_run_as_its_preset_says(published, name):
    preset = PRESETS[name]
    model, record = load(published / name.split("/")[1], trust_remote_code=preset.remote_code)
    assert record["preset"] == name
    assert record["prompts"] == {"query": preset.query, "passage": preset.passage}
    assert model.prompts == {"query": preset.query, "document": preset.passage}
    assert preset.pooling in (None, record["pooling"])
    assert preset.padding in (None, record["padding"])
    assert record["dimension"] == model.encode(["w1"]).shape[1] == 32
    assert record["trust_remote_code"] == preset.remote_code
    if record["max_length"]:
        assert record["max_length"] <= POSITIONS


def vectors(model, texts, role):
    encode = model.encode_query if role == "query" else model.encode_document
    return encode(texts, normalize_embeddings=True)


def test_e5_without_prompts_of_its_own_gets_its_presets(published):
    folder = published / "multilingual-e5-base"
    assert not any(SentenceTransformer(str(folder), device="cpu").prompts.values())
    model, _ = load(folder)
    plain = SentenceTransformer(str(folder), device="cpu")
    for role, prompt in (("query", "query: "), ("passage", "passage: ")):
        wanted = plain.encode([prompt + "w1 w2"], normalize_embeddings=True)
        np.testing.assert_allclose(vectors(model, ["w1 w2"], role), wanted, atol=1e-6)
    assert np.abs(vectors(model, ["w1 w2"], "query") - plain.encode(["w1 w2"], normalize_embeddings=True)).max() > 1e-2


def test_prompts_are_left_out_when_told_to_and_it_is_said(published, caplog):
    model, record = load(published / "multilingual-e5-base", prompts="none")
    assert record["prompts"] == {"query": "", "passage": ""}
    plain = SentenceTransformer(str(published / "multilingual-e5-base"), device="cpu")
    np.testing.assert_allclose(
        vectors(model, MIXED, "query"), plain.encode(MIXED, normalize_embeddings=True), atol=1e-6
    )
    assert "runs without its prompts, as base.prompts says" in caplog.text


def test_prompts_that_are_set_come_before_the_presets(published):
    _, record = load(published / "multilingual-e5-base", prompts={"query": "q: ", "passage": ""})
    assert record["prompts"] == {"query": "q: ", "passage": ""}


def test_a_model_with_other_prompts_gets_those_of_its_preset_and_it_is_said(tmp_path, caplog):
    folder = tmp_path / "multilingual-e5-small"
    save_sentence_transformer(folder, "xlm-r", prompts={"query": "q: ", "passage": "p: "}, pooling="cls")
    _, record = load(folder)
    assert record["prompts"] == {"query": "query: ", "passage": "passage: "}
    assert record["pooling"] == "mean"
    assert "says prompts {'query': 'q: ', 'passage': 'p: '}, its preset" in caplog.text
    assert "says pooling cls, its preset mean, which is taken" in caplog.text


def test_a_pooling_that_leaves_the_prompt_out_still_does(tmp_path):
    folder = save_sentence_transformer(tmp_path / "m", "bert", prompts={"query": "query: "})
    pooling = folder / "1_Pooling" / "config.json"
    pooling.write_text(json.dumps(json.loads(pooling.read_text()) | {"include_prompt": False}))
    model, _ = load(folder, pooling="mean")
    assert (model[1].pooling_mode, model[1].include_prompt) == ("mean", False)


def test_no_prompt_is_used_unasked(tmp_path):
    folder = save_sentence_transformer(tmp_path / "m", "bert", prompts={"query": "query: "})
    config = folder / "config_sentence_transformers.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"default_prompt_name": "query"}))
    model, _ = load(folder)
    assert model.default_prompt_name is None


@pytest.mark.parametrize("name", ["document", "passage", "corpus"])
def test_an_unknown_model_keeps_the_prompts_it_states(tmp_path, name, caplog):
    save_sentence_transformer(tmp_path / "mine", "bert", prompts={"query": "q: ", name: "p: "})
    _, record = load(tmp_path / "mine")
    assert record["prompts"] == {"query": "q: ", "passage": "p: "}
    assert "prompts" not in "".join(r.message for r in caplog.records if r.levelno >= logging.WARNING)


def test_an_unknown_model_without_prompts_is_spoken_of(tmp_path, caplog):
    load(save_sentence_transformer(tmp_path / "mine", "bert"))
    assert "states no prompts, so none are used: set base.prompts" in caplog.text


def test_a_model_that_needs_no_prompts_is_not_spoken_of(published, caplog):
    load(published / "bge-m3")
    assert "prompts" not in "".join(r.message for r in caplog.records if r.levelno >= logging.WARNING)


@pytest.mark.parametrize("place", ["models--intfloat--multilingual-e5-base/snapshots/d13f1b27", "Multilingual-E5-Base"])
def test_a_folder_is_known_by_its_name(published, tmp_path, place):
    shutil.copytree(published / "multilingual-e5-base", tmp_path / place)
    _, record = load(tmp_path / place)
    assert record["preset"] == "intfloat/multilingual-e5-base"
    assert record["prompts"]["query"] == "query: "


def test_a_folder_is_known_by_the_preset_that_is_set(published, tmp_path):
    shutil.copytree(published / "multilingual-e5-base", tmp_path / "mine")
    _, record = load(tmp_path / "mine", preset="intfloat/multilingual-e5-large")
    assert record["prompts"]["passage"] == "passage: "
    refused(tmp_path / "mine", r"base\.preset is 'e5': write null or one of BAAI/bge-m3, ", preset="e5")


def fine_tuned(folder, origin):
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"_name_or_path": origin}))
    return folder


def test_a_fine_tuned_model_gets_what_it_does_not_say_of_the_one_it_began_as(tmp_path):
    for layout, prompts in (("a", None), ("b", {"query": "q: ", "document": "p: "})):
        save_sentence_transformer(tmp_path / layout, "xlm-r", prompts=prompts, pooling="cls")
        fine_tuned(tmp_path / layout, "intfloat/multilingual-e5-base")
    _, record = load(tmp_path / "a")
    assert record["preset"] is None  # it is not that model
    assert record["prompts"] == {"query": "query: ", "passage": "passage: "}
    assert record["pooling"] == "cls"
    assert load(tmp_path / "b")[1]["prompts"] == {"query": "q: ", "passage": "p: "}
    plain = fine_tuned(save_transformer(tmp_path / "c", "xlm-r"), "BAAI/bge-m3")
    assert load(plain)[1]["pooling"] == "cls"


def test_a_plain_checkpoint_is_pooled_by_its_mean_and_it_is_warned_of(published, tmp_path, caplog):
    model, record = load(published / "xlm-roberta-base", key="teacher")
    assert record["pooling"] == "mean" and record["pooling_assumed"]
    assert [type(m).__name__ for m in model] == ["Transformer", "Pooling"]
    said = "states no pooling, so the mean of its tokens is assumed: set teacher.pooling"
    assert [said in r.message for r in caplog.records if r.levelno == logging.WARNING].count(True) == 1
    caplog.clear()
    for folder, changes in ((published / "xlm-roberta-base", {"pooling": "mean"}), (published / "bge-m3", {})):
        assert "pooling_assumed" not in load(folder, **changes)[1]
    assert "states no pooling" not in caplog.text


@pytest.mark.parametrize("family", ["bert", "xlm-r", "qwen3"])
def test_a_tokenizer_that_is_not_there_is_not_made_up(tmp_path, family):
    folder = save_transformer(tmp_path / "m", family)
    for file in folder.glob("*token*"):
        file.unlink()
    assert len(SentenceTransformer(str(folder), device="cpu").tokenizer) < 6
    refused(
        folder, "has no tokenizer .*tokenizer.json.*: copy the tokenizer's files from the model that it was trained"
    )


def test_token_ids_beyond_the_table_are_refused(tmp_path):
    folder = with_tokens_added(save_transformer(tmp_path / "m", "bert"))
    rows = len(WORDS) + len(PROMPT_WORDS) + 4
    refused(folder, rf"base\.name .* gives ids up to {rows + 1} \('new2'\), but its table .* has {rows} rows: save the")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "modules.json", "1_Pooling/config.json"])
def test_a_file_that_is_cut_off_is_named(tmp_path, name):
    folder = save_sentence_transformer(tmp_path / "m", "bert")
    (folder / name).write_bytes((folder / name).read_bytes()[:-5])
    refused(folder, rf"base\.name .* cannot be loaded: {name} is damaged or cut off")


@pytest.mark.parametrize(("family", "usable"), [("xlm-r", POSITIONS - 3), ("bert", POSITIONS)])
def test_a_text_has_no_more_tokens_than_usable_positions(tmp_path, family, usable):
    """RoBERTa's family counts from the padding's id plus one, here 2 + 1; published XLM-R has 514 and 512."""
    folder = save_transformer(tmp_path / "m", family)
    refused(folder, f"has {usable} positions: lower it", max_length=usable + 1)
    model, record = load(folder, max_length=usable)
    assert record["max_length"] == usable
    assert np.isfinite(model.encode([" ".join(["w1"] * 200)])).all()


@pytest.mark.parametrize("own", [None, 10**30])
def test_a_length_that_is_absent_or_absurd_is_that_of_the_positions(tmp_path, own):
    folder = save_sentence_transformer(tmp_path / "m", "xlm-r")
    file = folder / "tokenizer_config.json"
    held = {key: value for key, value in json.loads(file.read_text()).items() if key != "model_max_length"}
    file.write_text(json.dumps(held | ({"model_max_length": own} if own else {})))
    model, record = load(folder)
    assert record["max_length"] == POSITIONS - 3
    assert np.isfinite(model.encode([" ".join(["w1"] * 200)])).all()


def test_the_end_token_that_a_decoder_reads_is_there_and_stays(published, tmp_path):
    """e5-mistral's tokenizer.json adds none, and its tokenizer_config.json's promise is no longer kept."""
    folder = published / "e5-mistral-7b-instruct"
    bare = SentenceTransformer(str(folder), device="cpu").tokenizer
    assert bare("w1")["input_ids"][-1] != bare.eos_token_id
    model, record = load(folder)
    assert record["prompts"] == {"query": WEB_SEARCH + " ", "passage": ""}
    model.save_pretrained(str(tmp_path / "saved"), create_model_card=False)
    for tokenizer in (model.tokenizer, SentenceTransformer(str(tmp_path / "saved"), device="cpu").tokenizer):
        assert tokenizer.convert_ids_to_tokens(tokenizer("w1 w2")["input_ids"]) == ["<s>", "w1", "w2", "</s>"]
        cut = tokenizer(" ".join(WORDS * 4), truncation=True)["input_ids"]
        assert len(cut) == record["max_length"] == POSITIONS
        assert cut[-1] == tokenizer.eos_token_id


@pytest.fixture(scope="module")
def families(tmp_path_factory):
    folder = tmp_path_factory.mktemp("families")
    for family, pooling in FAMILIES.items():
        save_sentence_transformer(folder / family, family, pooling=pooling)
    return folder


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize(
    ("family", "padding"), [(f, p) for f in FAMILIES for p in ("right", "left") if (f, p) != ("bert", "left")]
)
def test_padding_and_attention_do_not_reach_the_vectors(families, tmp_path, family, padding, attention):
    model, record = load(families / family, padding=padding, attention=attention, trust_remote_code=family == "custom")
    assert (record["padding"], record["attention"]) == (padding, attention)
    assert not model[0].can_flatten_inputs  # unpadding is for flash attention alone
    together = model.encode(MIXED, normalize_embeddings=True)
    alone = np.concatenate([model.encode([text], normalize_embeddings=True) for text in MIXED])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    plain, _ = load(families / family, trust_remote_code=family == "custom")
    np.testing.assert_allclose(together, plain.encode(MIXED, normalize_embeddings=True), atol=1e-5)
    model.save_pretrained(str(tmp_path / "saved"), create_model_card=False)
    saved = SentenceTransformer(str(tmp_path / "saved"), device="cpu", trust_remote_code=True)
    assert saved.tokenizer.padding_side == padding


def test_a_padding_that_changes_vectors_is_refused(families):
    """BERT numbers its positions from the left, padding included."""
    refused(families / "bert", "gives a text another vector when it is padded", padding="left")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_agrees(families, family, dtype):
    trusted = family == "custom"
    full = load(families / family, trust_remote_code=trusted)[0].encode(MIXED, convert_to_tensor=True)
    model, record = load(families / family, dtype=dtype, trust_remote_code=trusted)
    assert record["dtype"] == dtype
    half = model.encode(MIXED, convert_to_tensor=True)
    assert half.dtype == getattr(torch, dtype)
    assert torch.cosine_similarity(full, half.float()).min() > 0.995


def test_code_of_others_runs_only_when_told_to(published):
    folder = published / "gte-multilingual-base"
    message = refused(folder, r"runs code of its authors: read it and, if you trust it, set base\.trust_remote_code")
    assert "alibaba-nlp-community/gte-multilingual-base" in message
    model, _ = load(folder, trust_remote_code=True)
    assert type(model[0].model).__name__ == "TinyModel"
    refused("nvidia/NV-Embed-v2", "runs code of its authors")
    # The preset's own commit is one, a branch is none.
    refused("nvidia/NV-Embed-v2", "pin its revision", trust_remote_code=True, revision="main")


def test_code_is_not_run_unpinned(published, tmp_path):
    refused("some/where", "pin its revision", trust_remote_code=True, revision="main")
    folder = tmp_path / "elsewhere"
    shutil.copytree(published / "gte-multilingual-base", folder)
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {kind: f"them/code--{place}" for kind, place in config["auto_map"].items()}
    (folder / "config.json").write_text(json.dumps(config))
    refused(folder, "takes its code from them/code, which no revision pins", trust_remote_code=True)


def test_a_module_of_others_is_code_of_others(published, tmp_path):
    folder = tmp_path / "m"
    shutil.copytree(published / "bge-m3", folder)
    modules = (folder / "modules.json").read_text()
    (folder / "modules.json").write_text(modules.replace("sentence_transformers.base.modules.normalize", "mine"))
    assert '"mine.Normalize"' in (folder / "modules.json").read_text()
    refused(folder, "runs code of its authors")


def test_code_that_does_not_suit_is_told_with_the_presets_note(published, tmp_path):
    folder = tmp_path / "gte-multilingual-base"
    shutil.copytree(published / "gte-multilingual-base", folder)
    code = folder / "modeling_tiny.py"
    broken = "    def forward(self, **inputs):\n        return self.get_extended_attention_mask(inputs)\n"
    code.write_text(code.read_text() + broken)
    message = refused(folder, "cannot be loaded: .*get_extended_attention_mask", trust_remote_code=True)
    assert "the same model for 5" in message


@pytest.mark.parametrize("family", ["bert", "xlm-r"])
def test_weights_that_may_hold_a_pickle_are_refused(tmp_path, family):
    assert "safetensors" in refused(save_transformer(tmp_path / "pickled", family, safe=False), "cannot be loaded")


def test_a_pickle_beside_safetensors_is_refused(tmp_path):
    folder = save_sentence_transformer(tmp_path / "labse", "bert", dense=32)
    weights = folder / "2_Dense" / "model.safetensors"
    from safetensors.torch import load_file

    torch.save(load_file(weights), weights.with_name("pytorch_model.bin"))
    load(folder)
    weights.unlink()
    refused(folder, r"keeps 2_Dense/pytorch_model\.bin as a pickle, which may hold code")
    static_model().save_pretrained(str(tmp_path / "table"), create_model_card=False, safe_serialization=False)
    refused(tmp_path / "table", r"keeps pytorch_model\.bin as a pickle")


def test_a_cross_encoder_is_refused(tmp_path):
    folder = save_sentence_transformer(tmp_path / "st")
    config = folder / "config_sentence_transformers.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"model_type": "CrossEncoder"}))
    refused(folder, "is a re-ranker, which has no vectors: name an encoder")


def test_adapters_and_quantized_models_are_refused(tmp_path):
    folder = save_transformer(tmp_path / "m", "bert")
    config = folder / "config.json"
    held = config.read_text()
    config.write_text(json.dumps(json.loads(held) | {"quantization_config": {"quant_method": "gptq", "bits": 4}}))
    refused(folder, "is quantized")
    config.write_text(held)
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    refused(folder, "is an adapter")


def test_vectors_that_are_no_numbers_are_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = save_transformer(tmp_path / "m", "bert")
    held = load_file(folder / "model.safetensors")
    held["embeddings.LayerNorm.bias"].fill_(torch.nan)
    save_file(held, folder / "model.safetensors", metadata={"format": "pt"})
    refused(folder, "gives vectors that are no numbers")


def test_what_cannot_be_had_is_told_in_a_sentence():
    refused("./nowhere", "which is no folder")
    refused("./nowhere", "or base", key="teacher")
    refused("some/where", r"base\.name 'some/where' at abc cannot be loaded", revision="abc")


def test_a_static_model_has_no_pooling_length_or_padding(tmp_path):
    static_model().save_pretrained(str(tmp_path / "static"), create_model_card=False)
    refused(tmp_path / "static", "does not pool tokens", pooling="cls")
    refused(tmp_path / "static", "reads texts of any length", max_length=8)
    refused(tmp_path / "static", "pads nothing", padding="left")
    assert Tokenizer.from_file(str(tmp_path / "static" / "tokenizer.json")).get_vocab_size() == len(WORDS) + 3


@pytest.fixture
def hub(tmp_path, monkeypatch, published):
    """A cache of the hub, without a network, that holds multilingual-e5-base at its preset's commit and at main."""
    import huggingface_hub.constants

    commit = PRESETS["intfloat/multilingual-e5-base"].revision
    for org in ("intfloat", "someone"):
        repo = tmp_path / "hub" / f"models--{org}--multilingual-e5-base"
        shutil.copytree(published / "multilingual-e5-base", repo / "snapshots" / commit)
        (repo / "refs").mkdir()
        (repo / "refs" / "main").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return commit


def test_a_hub_model_is_pinned_by_its_preset(hub, caplog):
    _, record = load("intfloat/multilingual-e5-base")
    assert record["revision"] == hub
    assert "revision is not set" not in caplog.text
    _, record = load("someone/multilingual-e5-base")
    assert record["preset"] is None
    assert f"someone/multilingual-e5-base is what its authors last put there: pin {hub}" in caplog.text
