"""What merges learn from training rows, and what fisher and regmean make of it: numbers computed by hand."""

import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense
from torch.nn import functional as F

from stages.plans import importance
from stages.schemas.plans import MEAN_IMPORTANCE, Plan
from stages.schemas.trainsets import BATCHES, TRAINING_ROWS, TRAINING_TEXTS
from stages.settings.train import read_train
from stages.shared import merging, tables
from tests.fakes.checkpoints import save_record, static_model

RECIPES = {name: {"compositions": ["enenen"], "negatives": "window"} for name in "ab"}
# Of each recipe the rows: query, positive, negative.
TEXTS = {
    "a": [("w1 w2", "w1", "w3"), ("w4", "w4 w5", "w6 w1")],
    "b": [("w7", "w8 w9", "w1"), ("w2 w8", "w7 w2", "w5")],
}
TEMPERATURE = 0.5


def two_layers(seed):
    """A table of 4 dimensions, and a linear layer to 3."""
    model = static_model(seed, dimension=4)
    torch.manual_seed(seed)
    layer = Dense(4, 3, bias=True, activation_function=torch.nn.Identity())
    return SentenceTransformer(modules=[model[0], layer], device="cpu")


@pytest.fixture
def study(workspace):
    for number, (name, rows) in enumerate(TEXTS.items(), 1):
        two_layers(number).save_pretrained(str(workspace.path / "models/trained" / name), create_model_card=False)
        texts = sorted({text for row in rows for text in row})
        numbers = [
            ("enenen", texts.index(query), texts.index(positive), [texts.index(negative)], [row, row + 10])
            for row, (query, positive, negative) in enumerate(rows)
        ]
        folder = workspace.path / "data/trainsets" / name
        tables.write(pl.DataFrame({"text": texts}), folder / "texts.parquet", TRAINING_TEXTS)
        tables.write(pl.DataFrame(numbers, TRAINING_ROWS, orient="row"), folder / "rows.parquet", TRAINING_ROWS)
        tables.write(pl.DataFrame(schema=BATCHES), folder / "batches.parquet", BATCHES)
    two_layers(9).save_pretrained(str(workspace.path / "models/base"), create_model_card=False)
    save_record("models/base")
    return workspace.edit(recipes=RECIPES, train__batch_size=2, train__temperature=TEMPERATURE, train__log_every=1)


def merged(study, **settings):
    study.edit(merges={"m": settings})
    study.run("plans")
    study.run("merge", "m")
    return SentenceTransformer(str(study.path / "models/merged/m"), device="cpu").state_dict()


def parts(study):
    return [SentenceTransformer(str(study.path / "models/trained" / name), device="cpu") for name in "ab"]


def learnt(study, part):
    return load_file(study.path / f"data/plans/m/m.{part}.safetensors")


def means(model, texts):
    """The static layer's vector of each text: the mean of its words' rows."""
    rows = model[0].embedding.weight
    vocabulary = model[0].tokenizer.get_vocab()
    return torch.stack([rows[[vocabulary[word] for word in text.split()]].mean(0) for text in texts])


def gradients(model, rows):
    """Those of the contrastive loss, written out, of a batch of all rows."""
    queries, *columns = zip(*rows, strict=True)
    documents = [text for column in columns for text in column]
    unit = [F.normalize(model[1].linear(means(model, texts)), dim=-1) for texts in (queries, documents)]
    scores = unit[0] @ unit[1].T / TEMPERATURE
    loss = -(scores.diagonal() - scores.logsumexp(1)).mean()
    names = ("0.embedding.weight", "1.linear.weight", "1.linear.bias")
    weights = dict(model.named_parameters())
    return dict(zip(names, torch.autograd.grad(loss, [weights[name] for name in names]), strict=True))


def test_fisher_is_the_average_weighted_by_squared_gradients_of_each_models_own_loss(study):
    found = merged(study, method="fisher", weights={"a": 1.0, "b": 3.0}, parameters={"batches": 1, "floor": 1e-3})
    models = parts(study)
    squared = [
        {name: gradient**2 for name, gradient in gradients(model, TEXTS[part]).items()}
        for part, model in zip("ab", models, strict=True)
    ]
    for part, own in zip("ab", squared, strict=True):
        told = learnt(study, part)
        mean = torch.cat([tensor.flatten() for tensor in own.values()]).mean()
        torch.testing.assert_close(told.pop(MEAN_IMPORTANCE), mean)
        for name, tensor in own.items():
            torch.testing.assert_close(told[name], tensor, atol=1e-9, rtol=1e-4)
            own[name] = tensor.clamp(min=1e-3 * mean)
    for name, value in found.items():
        (one, other), (f, g) = ([m.state_dict()[name] for m in models], [own[name] for own in squared])
        torch.testing.assert_close(value, (f * one + 3 * g * other) / (f + 3 * g), atol=1e-5, rtol=1e-4)
    # Far from an average, or the floor would be all that shows.
    even = (models[0].state_dict()["1.linear.weight"] + 3 * models[1].state_dict()["1.linear.weight"]) / 4
    assert (found["1.linear.weight"] - even).abs().max() > 0.01


def test_all_the_weight_of_fisher_on_one_model_gives_that_one_to_the_bit(study):
    found = merged(study, method="fisher", weights={"a": 1.0, "b": 0.0}, parameters={"batches": 1})
    assert all(torch.equal(found[name], value) for name, value in parts(study)[0].state_dict().items())


@pytest.mark.parametrize("alpha", [1.0, 0.9, 0.0])
def test_regmean_solves_for_the_layer_that_answers_as_each_model_on_its_own_inputs(study, alpha):
    found = merged(study, method="regmean", models=["a", "b"], parameters={"batches": 1, "alpha": alpha})
    models, grams = parts(study), []
    for part, model in zip("ab", models, strict=True):
        inputs = means(model, [text for row in TEXTS[part] for text in row])
        grams.append(inputs.T @ inputs / len(inputs))
        torch.testing.assert_close(learnt(study, part)["1.linear.weight"], grams[-1].detach())
    scaled = [alpha * gram + (1 - alpha) * torch.diag(gram.diag()) for gram in grams]
    moved = sum(model[1].linear.weight @ gram for model, gram in zip(models, scaled, strict=True))
    wanted = moved @ torch.linalg.inv(sum(scaled))
    torch.testing.assert_close(found["1.linear.weight"], wanted.detach(), atol=1e-3, rtol=1e-3)
    for name in ("0.embedding.weight", "1.linear.bias"):
        even = (models[0].state_dict()[name] + models[1].state_dict()[name]) / 2
        torch.testing.assert_close(found[name], even, atol=1e-6, rtol=1e-5)


def test_inputs_that_no_text_gives_keep_the_average():
    weights = [torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 6.0]])]
    grams = [torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([[3.0, 0.0], [0.0, 0.0]])]
    found = merging._regmean(weights, grams, 1.0)
    # (1 x 1 + 3 x 3) / (1 + 3), and (2 + 6) / 2.
    torch.testing.assert_close(found, torch.tensor([[2.5, 4.0]], dtype=torch.float64), atol=1e-5, rtol=0)


def test_padding_is_no_input(study, tmp_path):
    from tests.fakes.checkpoints import save_sentence_transformer

    model = SentenceTransformer(str(save_sentence_transformer(tmp_path / "t")), device="cpu")
    texts = ["w1 w2 w3 w4", "w5"]
    together = importance.mean_inputs(model, iter([([model.preprocess(texts)], torch.zeros(1))]), read_train())
    model = SentenceTransformer(str(tmp_path / "t"), device="cpu")
    apart = importance.mean_inputs(
        model, iter([([model.preprocess([text]) for text in texts], torch.zeros(1))]), read_train()
    )
    name = next(name for name in apart if "layer.1.intermediate" in name)
    torch.testing.assert_close(together[name], apart[name], atol=1e-4, rtol=1e-4)


def test_what_was_learnt_is_kept(study, monkeypatch):
    settings = {"method": "fisher", "weights": {"a": 1.0, "b": 1.0}, "parameters": {"batches": 1}}
    before = merged(study, **settings)
    monkeypatch.setattr(importance, "squared_gradients", None)
    again = merged(study, **settings | {"weights": {"a": 1.0, "b": 2.0}})
    assert not torch.equal(again["1.linear.weight"], before["1.linear.weight"])
    assert Plan.model_validate(tables.read_json("data/plans/m/plan.json")).weights == [1.0, 2.0]
