"""merge: weights computed by hand, and everything else taken over."""

import json
from typing import get_args

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

from stages.settings.merges import METHODS, OWN_PARAMETERS, Merge, MergingMethod
from stages.settings.train import Lora
from stages.shared import models, query_normalizer, seeds, tables
from stages.shared.encoder import load
from stages.shared.errors import UserError
from stages.train import lora
from tests.fakes.checkpoints import save_record, save_sentence_transformer, save_transformer, static_model

PROMPTS = {"query": "q: ", "document": "p: "}
SEARCH = {"models": ["a", "b"], "objective": {"mono": 1.0}, "budget": 5}
BY_MERGEKIT = {name: method for name, method in METHODS.items() if not method.learns}


def merged(workspace, weights, models, dtype="float32"):
    """Save `models` ({recipe: model}), merge them, and return the folder."""
    for name, model in models.items():
        model.save_pretrained(str(workspace.path / "models/trained" / name), create_model_card=False)
    save_record("models/base", dtype=dtype)
    return merge(workspace.edit(merges={"m": {"method": "linear", "weights": weights}}))


def merge(workspace, name="m"):
    """Run the stages, and return the folder."""
    workspace.run("plans")
    workspace.run("merge", name)
    return workspace.path / "models/merged" / name


def table(folder):
    return load_file(str(folder / "model.safetensors"))["embedding.weight"]


def pair():
    return {"a": static_model(1), "b": static_model(2)}


def rows(model):
    return model[0].embedding.weight.detach()


@pytest.mark.parametrize(("weights", "whole"), [({"a": 1, "b": 0}, "a"), ({"a": 0.0, "b": 1.0}, "b")])
def test_all_the_weight_on_one_gives_that_one(workspace, weights, whole):
    models = pair()
    assert torch.equal(table(merged(workspace, weights, models)), rows(models[whole]))


@pytest.mark.parametrize(
    ("weights", "shares"),
    [
        ({"a": 0.5, "b": 0.5}, (0.5, 0.5)),
        ({"a": 1, "b": 3}, (0.25, 0.75)),
        ({"b": 3, "a": 1}, (0.25, 0.75)),
        ({"a": 1.5, "b": -0.5}, (1.5, -0.5)),
        ({"a": 3.0, "b": 0.0}, (1, 0)),
    ],
)
def test_weights_are_shares_of_their_sum(workspace, weights, shares):
    models = pair()
    wanted = shares[0] * rows(models["a"]) + shares[1] * rows(models["b"])
    torch.testing.assert_close(table(merged(workspace, weights, models)), wanted, atol=1e-6, rtol=1e-5)


def test_the_base_may_be_a_part(workspace):
    base = static_model(3)
    base.save_pretrained(str(workspace.path / "models/base"), create_model_card=False)
    models = {"a": static_model(1)}
    wanted = (rows(base) + rows(models["a"])) / 2
    torch.testing.assert_close(table(merged(workspace, {"a": 1, "base": 1}, models)), wanted, atol=1e-6, rtol=1e-5)


def test_half_precision_parts_are_summed_in_float32(workspace):
    models = {name: model.to(torch.bfloat16) for name, model in pair().items()}
    found = table(merged(workspace, {"a": 0.3, "b": 0.7}, models, "bfloat16"))
    wanted = (0.3 * rows(models["a"]).float() + 0.7 * rows(models["b"]).float()).to(torch.bfloat16)
    assert found.dtype == torch.bfloat16
    # Rounded once, at the end; sums in bfloat16 would be off in every fourth element or so.
    assert (found == wanted).float().mean() > 0.98
    torch.testing.assert_close(found, wanted, atol=0, rtol=2**-7)


def test_the_bytes_repeat_and_the_parts_stay(workspace):
    models, written = pair(), []
    for _ in range(2):
        folder = merged(workspace, {"a": 0.4, "b": 0.6}, models)
        written.append({str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()})
    assert written[0] == written[1]
    assert torch.equal(table(workspace.path / "models/trained/a"), rows(models["a"]))
    assert "README.md" not in written[0]


def transformers(tmp_path, prompts=PROMPTS):
    return {
        name: SentenceTransformer(str(save_sentence_transformer(tmp_path / name, "bert", seed, prompts)), device="cpu")
        for seed, name in enumerate("ab")
    }


def test_a_merged_transformer_keeps_pooling_prompts_and_length(workspace, tmp_path):
    models = transformers(tmp_path)
    for model in models.values():
        model.max_seq_length, model.default_prompt_name = 7, "query"
    folder = merged(workspace, {"a": 0.25, "b": 0.75}, models)
    found = SentenceTransformer(str(folder), device="cpu")
    assert [type(m) for m in found][1:] == [Pooling, Normalize]
    assert found.prompts == PROMPTS
    assert found.default_prompt_name == "query"
    assert found.max_seq_length == 7
    parts = [model.state_dict() for model in models.values()]
    for name, value in found.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.25 * parts[0][name] + 0.75 * parts[1][name], atol=1e-6, rtol=1e-5)
    # [CLS] is pooled, as in the parts.
    states = found[0](found[0].preprocess(["w1 w2"]))["token_embeddings"][0, 0].detach().numpy()
    np.testing.assert_allclose(found.encode(["w1 w2"], prompt="")[0], states / np.linalg.norm(states), atol=1e-5)


def test_parts_that_differ_in_more_than_weights_are_refused(workspace):
    models = {"a": static_model(1, prompts=PROMPTS), "b": static_model(2, prompts={**PROMPTS, "query": "Q: "})}
    with pytest.raises(UserError, match=r"merges\.m: a and b differ in prompts") as caught:
        merged(workspace, {"a": 1, "b": 1}, models)
    assert len(str(caught.value).splitlines()) == 1
    assert not (workspace.path / "models/merged/m").exists()


def test_parts_of_unequal_length_or_shape_are_refused(workspace, tmp_path):
    models = transformers(tmp_path)
    models["b"].max_seq_length = 9
    with pytest.raises(UserError, match="differ in max_seq_length"):
        merged(workspace, {"a": 1, "b": 1}, models)
    with pytest.raises(UserError, match=r"c and d differ in the shape of embedding\.weight \(\[43, 8\], \[43, 4\]\)"):
        merged(workspace, {"c": 1, "d": 1}, {"c": static_model(1), "d": static_model(1, dimension=4)})


def normalizer(workspace, part, elongation):
    learnt = query_normalizer.learn({"elongation": elongation, "script": False, "spelling": False}, [], [])
    tables.write_json(learnt, workspace.path / "models/trained" / part / models.NORMALIZER)


def test_the_normalizer_of_the_parts_is_the_merged_models(workspace):
    for part in "ab":
        normalizer(workspace, part, elongation=True)
    folder = merged(workspace, {"a": 1, "b": 1}, pair())
    part = workspace.path / "models/trained/a"
    assert (folder / models.NORMALIZER).read_bytes() == (part / models.NORMALIZER).read_bytes()


@pytest.mark.parametrize("other", [None, False])
def test_parts_with_different_normalizers_are_refused(workspace, other):
    normalizer(workspace, "a", elongation=True)
    if other is not None:
        normalizer(workspace, "b", elongation=other)
    with pytest.raises(UserError, match=r"a and b differ in normalizer\.json"):
        merged(workspace, {"a": 1, "b": 1}, pair())


def test_parts_without_a_normalizer_merge_to_a_model_without_one(workspace):
    assert not (merged(workspace, {"a": 1, "b": 1}, pair()) / models.NORMALIZER).exists()


def frozen(workspace, tmp_path, first=0.0):
    """Two models of one trunk, their first layers moved apart by `first`, and their records."""
    folder, models = save_sentence_transformer(tmp_path / "base", "xlm-r", prompts=PROMPTS), {}
    for number, name in enumerate("abc"):
        models[name] = SentenceTransformer(str(folder), device="cpu")
        with torch.no_grad():
            lower, upper = models[name][0].auto_model.encoder.layer
            upper.output.dense.weight += number / 7
            lower.output.dense.weight += first * number
        save_record(
            workspace.path / "models/trained" / name, frozen={"layers": 1, "embeddings": True}, matryoshka=[8, 4]
        )
    return models


def test_what_is_frozen_stays_to_the_bit_and_is_told_of(workspace, tmp_path):
    models = frozen(workspace, tmp_path)
    folder = merged(workspace, {"a": 0.1, "b": 0.2, "c": 0.7}, models)
    found, first = SentenceTransformer(str(folder), device="cpu").state_dict(), models["a"].state_dict()
    apart = {name for name in first if not torch.equal(found[name], first[name])}
    assert {name.split("encoder.")[1] for name in apart} == {"layer.1.output.dense.weight"}
    record = json.loads((folder / "encoder.json").read_text())
    assert (record["frozen"], record["matryoshka"]) == ({"layers": 1, "embeddings": True}, [8, 4])


def test_parts_that_differ_in_what_is_frozen_are_refused(workspace, tmp_path):
    with pytest.raises(UserError, match=r"merges\.m: a and b differ in what is said to be frozen"):
        merged(workspace, {"a": 1, "b": 1}, frozen(workspace, tmp_path, first=1e-3))


# ── Decoders with adapters folded in ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def folded(tmp_path):
    """Two decoders made from one base by folding adapters with random weights, and the base."""
    folder = save_sentence_transformer(tmp_path / "base", "qwen3", prompts=PROMPTS, pooling="lasttoken")
    models = {}
    for seed, name in enumerate(("a", "b"), 1):
        model = SentenceTransformer(str(folder), device="cpu")
        adapted = lora.adapt(model, Lora(rank=2, alpha=4.0, targets="all-linear", dropout=0.0), seed)
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, std=0.1)
        lora.fold(adapted)
        models[name] = model
    return SentenceTransformer(str(folder), device="cpu"), models


def test_a_merge_of_folded_models_is_the_base_with_their_deltas_merged(workspace, folded):
    base, models = folded
    folder = merged(workspace, {"a": 0.25, "b": 0.75}, models)
    found = SentenceTransformer(str(folder), device="cpu").state_dict()
    start, one, other = (model.state_dict() for model in (base, models["a"], models["b"]))
    assert found.keys() == start.keys()
    for name, value in found.items():
        wanted = start[name] + 0.25 * (one[name] - start[name]) + 0.75 * (other[name] - start[name])
        torch.testing.assert_close(value, wanted, atol=1e-6, rtol=1e-5)
        if "_proj" in name:
            assert (value - start[name]).abs().max() > 0.01


def test_a_folded_model_merges_with_its_base_and_is_searched(workspace, folded):
    base, models = folded
    base.save_pretrained(str(workspace.path / "models/base"), create_model_card=False)
    folder = merged(workspace, {"base": 0.5, "a": 0.5}, {"a": models["a"]})
    encode = load(folder, batch_size=2).encode
    vectors = encode(["w1 w2", "w3", "w4 w5 w6"], "query")
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors[1], encode(["w3"], "query")[0], atol=1e-5)
    assert np.abs(vectors[0] - vectors[1]).max() > 0.01


def test_parts_in_shards_merge_like_whole_ones(workspace, folded):
    _, models = folded
    whole = load_file(merged(workspace, {"a": 0.5, "b": 0.5}, models) / "model.safetensors")
    for name, model in models.items():
        part = workspace.path / "models/trained" / name
        model[0].auto_model.save_pretrained(str(part), max_shard_size="20KB")
        (part / "model.safetensors").unlink()
        assert len(list(part.glob("model-*-of-*.safetensors"))) > 2
    workspace.run("merge", "m")
    again = load_file(workspace.path / "models/merged/m/model.safetensors")
    assert again.keys() == whole.keys()
    assert all(torch.equal(value, again[name]) for name, value in whole.items())


def test_parts_that_pad_on_different_sides_are_refused(workspace, folded):
    _, models = folded
    # As tokenizer_config.json says it of a published model.
    models["a"].tokenizer.init_kwargs["padding_side"] = models["a"].tokenizer.padding_side = "left"
    with pytest.raises(
        UserError, match=r"a and b differ in padding_side \('left', 'right'\): merge models of one base"
    ):
        merged(workspace, {"a": 1, "b": 1}, models)


def test_a_merge_has_the_record_of_the_base(workspace):
    folder = merged(workspace, {"a": 1, "b": 1}, pair())
    record = workspace.path / "models/base/encoder.json"
    assert (folder / "encoder.json").read_bytes() == record.read_bytes()
    record.unlink()
    with pytest.raises(UserError, match=r"^models/base/encoder\.json is missing: run `dvc repro`$"):
        workspace.run("merge", "m")


def test_a_missing_part_is_named(workspace):
    with pytest.raises(UserError, match=r"merges\.m needs the model 'b', but models/trained/b is missing"):
        merged(workspace, {"a": 1, "b": 1}, {"a": static_model(1)})


# ── Methods beside the average ────────────────────────────────────────────────────────────────────────────────────────


def by_method(workspace, method, base, models, weights=None, **settings):
    """Merge with `method` and return the table."""
    base.save_pretrained(str(workspace.path / "models/base"), create_model_card=False)
    for name, model in models.items():
        model.save_pretrained(str(workspace.path / "models/trained" / name), create_model_card=False)
    save_record("models/base")
    named = {"weights": weights} if weights else {"models": list(models)}
    return table(merge(workspace.edit(merges={"m": {"method": method, **named, **settings}})))


def test_every_method_and_parameter_is_one_that_mergekit_has():
    from mergekit.merge_methods import BasePolicy, get

    for name, method in BY_MERGEKIT.items():
        spec = get(name).spec
        known = {parameter.name for parameter in spec.parameters}
        assert set(method.parameters) <= known
        assert method.weighted == ("weight" in known)
        needed = {BasePolicy.REQUIRED: ("study", "first"), BasePolicy.OPTIONAL: ("optional",)}
        assert method.base in needed.get(spec.contract.base, ("none",))
    assert set(METHODS) == set(get_args(MergingMethod))
    assert METHODS.keys() - BY_MERGEKIT == set(OWN_PARAMETERS)


@pytest.mark.parametrize("method", BY_MERGEKIT)
def test_a_method_gives_what_mergekit_gives(workspace, method):
    from mergekit.merge_methods import get, merge_state_dicts

    base, models = static_model(3), {"a": static_model(1), "b": static_model(2)}
    takes = METHODS[method]
    weights = {"a": 0.3, "b": 0.7} if takes.weighted else None
    parameters = {"t": 0.4} if method == "slerp" else {"density": 0.6} if "density" in takes.parameters else {}
    found = by_method(workspace, method, base, models, weights, parameters=parameters)
    states = {n: {"embedding.weight": rows(m)} for n, m in enumerate([*models.values(), base])}
    if takes.base != "study":
        del states[2]
    # The default study's seed.
    torch.manual_seed(seeds.number(1, "merges", "m", "0.embedding.weight"))
    wanted = merge_state_dicts(
        states,
        get(method),
        base={"study": 2, "first": 0}.get(takes.base),
        parameters={**({"weight": [0.3, 0.7]} if weights else {}), **parameters},
    )["embedding.weight"]
    torch.testing.assert_close(found, wanted, atol=0, rtol=0)
    assert not torch.equal(found, rows(models["a"]))


def test_a_random_method_repeats_and_heeds_the_seed(workspace):
    base, models = static_model(3), pair()
    drawn = [
        by_method(workspace, "dare_linear", base, models, {"a": 0.5, "b": 0.5}, parameters={"density": 0.5})
        for _ in range(2)
    ]
    assert torch.equal(*drawn)
    assert not torch.equal(table(merge(workspace.edit(seed=77))), drawn[0])


def test_task_arithmetic_adds_differences_from_the_base(workspace):
    base, models = static_model(3), pair()
    found = by_method(workspace, "task_arithmetic", base, models, {"a": 0.5, "b": 1.0}, parameters={"lambda": 2.0})
    wanted = rows(base) + 2 * (0.5 * (rows(models["a"]) - rows(base)) + (rows(models["b"]) - rows(base)))
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("t", "whole"), [(0.0, "a"), (1.0, "b")])
def test_a_path_ends_at_its_models(workspace, t, whole):
    models = pair()
    found = by_method(workspace, "slerp", static_model(3), models, parameters={"t": t})
    torch.testing.assert_close(found, rows(models[whole]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"method": "slerp", "weights": {"a": 1.0, "b": 1.0}}, r"slerp takes its models as models: \[a, b\]"),
        ({"method": "ties", "models": ["a", "b"]}, "ties takes its models as weights"),
        ({"method": "slerp", "models": ["a", "b", "c"]}, "slerp merges 2 models, not 3"),
        ({"method": "karcher", "models": ["a", "a"]}, "a model is named twice"),
        ({"method": "ties", "weights": {"a": 1.0, "b": 1.0}, "parameters": {"densty": 0.5}}, "no parameter 'densty'"),
        ({"method": "ties", "weights": {"a": 1.0, "b": 1.0}, "parameters": {"density": 1.5}}, "lies between 0 and 1"),
        ({"method": "ties", "weights": {"a": 1.0, "b": 1.0}, "parameters": {"rescale": 1}}, "true or false, not 1"),
        ({"method": "karcher", "models": ["a", "b"], "parameters": {"max_iter": 1.5}}, "a whole number"),
        ({"method": "linear", "weights": {"a": 1.0, "b": -1.0}}, "add up to 0"),
        ({"method": "ties", "weights": {"a": 1.0, "b": 1.0}, "task_vectors": True}, "nuslerp and multislerp"),
        ({"method": "fisher", "weights": {"a": 1.0, "b": -0.5}}, "a weight below 0 leaves no average"),
        ({"method": "ties", "weights": {"a": 1.0, "b": 1.0}, "layers": {"a": {}}}, "layers is for linear"),
        ({"method": "linear", "weights": {"a": 1.0, "b": 1.0}, "layers": {"c": {}}}, "layers names 'c'"),
        (
            {"method": "linear", "weights": {"a": 1.0, "b": 1.0}, "layers": {"a": {"attention": [[0.5, 1], [0, 1]]}}},
            r"\[\[0\.5, 1\], \[0, 1\]\] is no weight",
        ),
        ({"method": "slerp", "search": SEARCH}, "search finds the weights of linear"),
        ({"method": "linear", "search": {**SEARCH, "grid": 0.3}}, "0.3 does not part 1 into whole steps"),
        ({"method": "linear", "search": {**SEARCH, "grid": 0.1}}, "has 11 weightings of 2 models, more than budget 5"),
        ({"method": "linear", "search": {**SEARCH, "objective": {}}}, "an objective has a weight above 0"),
    ],
)
def test_what_a_method_cannot_take_is_one_sentence(settings, sentence):
    with pytest.raises(ValidationError, match=sentence):
        Merge.model_validate(settings)


# ── Merges of merges, weights by layer, blocks of rows ────────────────────────────────────────────────────────────────


def studied(workspace, models, **merges):
    """Save `models`, one of them the base, and have params name these merges."""
    for name, model in models.items():
        folder = "base" if name == "base" else f"trained/{name}"
        model.save_pretrained(str(workspace.path / "models" / folder), create_model_card=False)
    save_record("models/base")
    return workspace.edit(merges=merges)


def test_a_merge_of_a_merge_is_computed_from_what_that_one_is_saved_as(workspace):
    models = {name: static_model(seed) for seed, name in enumerate(("a", "b", "c", "base"))}
    inner = {"method": "dare_linear", "weights": {"a": 0.5, "b": 0.5}, "parameters": {"density": 0.5}}
    outer = {"method": "linear", "weights": {"inner": 1.0, "c": 3.0, "base": 0.0}}
    studied(workspace, models, inner=inner, outer=outer)
    found, saved = table(merge(workspace, "outer")), table(merge(workspace, "inner"))
    torch.testing.assert_close(found, 0.25 * saved + 0.75 * rows(models["c"]), atol=1e-6, rtol=1e-5)
    # By the inner one's plan alone: its folder is not read.
    before = (workspace.path / "data/plans/outer/plan.json").read_bytes()
    workspace.edit(merges={"inner": inner | {"weights": {"a": 0.5, "b": 0.6}}, "outer": outer}).run("plans")
    assert (workspace.path / "data/plans/outer/plan.json").read_bytes() != before


LAYERED = {
    "a": {"embeddings": 0.0, "attention": [[0.0, 0.25], [1.0, 0.75]], "feed_forward": [1.0, 0.0]},
    "b": {"embeddings": 1.0, "attention": [[0.0, 0.75], [1.0, 0.25]], "feed_forward": [0.0, 1.0]},
}


def test_weights_by_layer_are_those_of_embeddings_attention_and_feed_forward(workspace, tmp_path):
    models = transformers(tmp_path)
    m = {"method": "linear", "weights": {"a": 1.0, "b": 1.0}, "layers": LAYERED}
    folder = merge(studied(workspace, {**models, "base": models["a"]}, m=m))
    found, one, other = (
        model.state_dict() for model in (SentenceTransformer(str(folder), device="cpu"), *models.values())
    )
    shares = {
        "embeddings.word_embeddings.weight": 0.0,
        "layer.0.attention.self.query.weight": 0.25,
        "layer.1.attention.output.dense.weight": 0.75,
        "layer.0.intermediate.dense.weight": 1.0,
        "layer.1.output.dense.weight": 0.0,
        "pooler.dense.weight": 0.5,
    }
    for ending, share in shares.items():
        name = next(name for name in found if name.endswith(ending))
        wanted = share * one[name] + (1 - share) * other[name]
        torch.testing.assert_close(found[name], wanted, atol=1e-6, rtol=1e-5)


def test_weights_for_as_many_layers_as_there_are(workspace, tmp_path):
    models = transformers(tmp_path)
    m = {"method": "linear", "weights": {"a": 1.0, "b": 1.0}, "layers": {"a": {"attention": [0.1, 0.2, 0.3]}}}
    with pytest.raises(UserError, match=r"^merges\.m\.layers\.a\.attention has 3 weights, but .* 2 layers"):
        merge(studied(workspace, {**models, "base": models["a"]}, m=m))


def test_rows_merged_in_blocks_are_those_merged_at_once(workspace, monkeypatch):
    from stages.shared import merging

    whole = table(merged(workspace, {"a": 0.3, "b": 0.7}, pair()))
    monkeypatch.setattr(merging, "BLOCK_NUMBERS", 24)
    assert torch.equal(table(merged(workspace, {"a": 0.3, "b": 0.7}, pair())), whole)


def tied(tmp_path, name, seed):
    """A T5 encoder, whose table has two names."""
    from sentence_transformers.sentence_transformer.modules import Transformer
    from transformers import T5Config, T5EncoderModel

    folder = save_transformer(tmp_path / name)
    sizes = {"vocab_size": 55, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
    torch.manual_seed(seed)
    T5EncoderModel(T5Config(**sizes, pad_token_id=1)).save_pretrained(str(folder))
    return SentenceTransformer(modules=[Transformer(str(folder)), Pooling(32)], device="cpu")


@pytest.mark.parametrize("method", ["linear", "karcher", "ties"])
def test_a_transformer_with_tied_embeddings_is_merged_as_the_library_merges_it(workspace, tmp_path, method):
    models = {name: tied(tmp_path, name, seed) for seed, name in enumerate(("a", "b", "base"))}
    weights = {"weights": {"a": 0.3, "b": 0.7}} if METHODS[method].weighted else {"models": ["a", "b"]}
    folder = merge(studied(workspace, models, m={"method": method, **weights}))
    found = SentenceTransformer(str(folder), device="cpu").state_dict()
    wanted = SentenceTransformer.merge(
        [models["a"], models["b"]],
        method,
        base_model=models["base"] if METHODS[method].base == "study" else None,
        parameters={"weight": [0.3, 0.7]} if METHODS[method].weighted else {},
    ).state_dict()
    assert {"0.model.shared.weight", "0.model.encoder.embed_tokens.weight"} < wanted.keys() == found.keys()
    assert all(torch.equal(value, wanted[name]) for name, value in found.items())


def test_a_model_whose_files_name_its_weights_otherwise_is_loaded_whole(workspace, tmp_path, monkeypatch):
    from stages.shared import merging

    models = transformers(tmp_path)
    wanted = load_file(merged(workspace, {"a": 0.3, "b": 0.7}, models) / "model.safetensors")
    monkeypatch.setattr(merging, "_places", lambda model, folder: {})
    found = load_file(merged(workspace, {"a": 0.3, "b": 0.7}, models) / "model.safetensors")
    assert all(torch.equal(value, wanted[name]) for name, value in found.items())


@pytest.mark.parametrize(
    ("change", "trait"),
    [
        (lambda folder: reworded(folder / "tokenizer.json", '"w39"', '"w39x"'), "vocabulary"),
        (lambda folder: reworded(folder / "tokenizer.json", '"WhitespaceSplit"', '"Whitespace"'), "tokenizer"),
        (lambda folder: reworded(folder / "config.json", '"gelu"', '"relu"'), "Transformer's hidden_act"),
        (lambda folder: reworded(folder / "1_Pooling/config.json", '"cls"', '"mean"'), "Pooling's pooling_mode"),
    ],
)
def test_files_that_differ_are_told_before_weights_are_read(workspace, tmp_path, monkeypatch, change, trait):
    from stages.shared import encoder

    models = transformers(tmp_path)
    studied(workspace, {**models, "base": models["a"]}, m={"method": "linear", "weights": {"a": 1.0, "b": 1.0}})
    change(workspace.path / "models/trained/b")
    monkeypatch.setattr(encoder, "opened", None)
    with pytest.raises(UserError, match=rf"^merges\.m: a and b differ in {trait} \(.*\): merge models of one base$"):
        merge(workspace)


def reworded(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
