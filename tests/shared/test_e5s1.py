"""E5S1: the weights and the tokenizer of a packed file become a transformers folder, the same bytes each time."""

import numpy as np
import pytest
from safetensors.numpy import load_file
from transformers import AutoModel, AutoTokenizer

from stages.shared import e5s1
from stages.shared.errors import UserError
from tests.fakes import packages


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("e5s1")
    e5s1.convert(packages.weights(), place)
    return place


def test_weights_are_dequantised_to_the_last_bit(folder):
    found = load_file(folder / "model.safetensors")
    held = packages.tensors()
    for name, (numbers, _) in held.items():
        assert np.array_equal(found.pop(e5s1._bert(name)), numbers), name
    # transformers would make up a pooler, another each time.
    assert set(found) == {"pooler.dense.weight", "pooler.dense.bias"} and not any(v.any() for v in found.values())


def test_transformers_reads_all_of_it(folder):
    model, said = AutoModel.from_pretrained(folder, output_loading_info=True)
    assert not said["missing_keys"] and not said["unexpected_keys"] and not said["mismatched_keys"]
    config = model.config
    assert (config.model_type, config.hidden_size, config.num_hidden_layers) == ("bert", 32, 2)
    assert (config.max_position_embeddings, config.layer_norm_eps, config.hidden_act) == (24, 1e-12, "gelu")


def test_texts_become_the_pieces_that_score_best(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def pieces(text):
        return tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"])

    assert pieces("query: text") == ["<s>", "▁query", ":", "▁text", "</s>"]
    assert pieces("ab  한") == ["<s>", "▁", "a", "b", "▁한", "</s>"]
    # The file's table, and characters that are put together.
    assert pieces("a\u00a0\ufb01\u200db\u0001") == ["<s>", "▁", "a", "▁", "f", "i", "▁", "b", "</s>"]
    assert pieces("e\u0301") == pieces("é") == ["<s>", "▁é", "</s>"]
    assert pieces("\u1112\u1161\u11ab") == pieces("한")
    assert pieces("ß") == ["<s>", "▁", "<unk>", "</s>"]
    both = tokenizer("a", "b")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(both) == ["<s>", "▁", "a", "</s>", "</s>", "▁", "b", "</s>"]
    assert (tokenizer.pad_token, tokenizer.mask_token, tokenizer.model_max_length) == ("<pad>", "<mask>", 24)


def test_the_bytes_repeat(folder, tmp_path):
    e5s1.convert(packages.weights(), tmp_path)
    for file in folder.iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes(), file.name


@pytest.mark.parametrize("cut", [6, 40, 300, 900, -1, -5000])
def test_a_file_that_is_cut_short_is_refused(tmp_path, cut):
    with pytest.raises(UserError, match=r"^the weights are cut short, or not of the format E5S1 \("):
        e5s1.convert(packages.weights()[:cut], tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_another_format_is_refused(tmp_path):
    with pytest.raises(UserError, match="not of the format E5S1: is it another file"):
        e5s1.convert(b"GGUF" + packages.weights()[4:], tmp_path)
    content = packages.weights()
    with pytest.raises(UserError, match="version 2 with blocks of 32: this code reads version 1 and 32"):
        e5s1.convert(content[:4] + b"\2\0\0\0" + content[8:], tmp_path)
