"""Training that repeats and resumes to the byte; batches of one pool."""

import math

import numpy as np
import pytest
import torch
from accelerate.data_loader import BatchSamplerShard
from sentence_transformers import SentenceTransformer

from stages.shared import saving, seeds
from stages.shared.contrastive import InfoNCE
from stages.shared.errors import UserError
from stages.shared.tokens_once import TokensOnce
from tests.fakes.checkpoints import WORDS, save_sentence_transformer, static_model
from tests.shared.fitting import (
    DECODERS,
    KILLED,
    SIDES,
    TEXTS,
    Killed,
    checkpointed,
    equal,
    fitted,
    goes_on,
    kill_at,
    loaded,
    rows,
    save_families,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def transformer(tmp_path_factory):
    """The folder of a tiny transformer without dropout, mean pooling."""
    return save_sentence_transformer(tmp_path_factory.mktemp("model") / "st", pooling="mean")


def test_two_runs_give_the_same_bytes(training, tmp_path):
    written = []
    for name in ("one", "other"):
        model = static_model()
        points, _ = fitted(training, model, name)
        saving.save(model, tmp_path / name)
        written.append((points, {f.name: f.read_bytes() for f in (tmp_path / name).rglob("*") if f.is_file()}))
    assert written[0] == written[1]
    assert [step for step, _ in written[0][0]] == [2, 4, 6, 8, 10, 12]
    assert written[0][0][-1][1] < written[0][0][0][1]


def test_another_seed_draws_other_batches(training):
    assert not equal(*(fitted(training, static_model(), f"s{s}", seed=s)[1] for s in (1, 2)))


def with_dropout(folder):
    """A transformer with dropout, so that resuming must restore the random state too."""
    model = SentenceTransformer(str(folder), device="cpu")
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.2
    return model


@pytest.mark.slow
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("kind", ["static", "transformer"])
def test_a_killed_training_goes_on_to_the_same_weights(training, transformer, monkeypatch, caplog, kind, sparse):
    def run(name, dropout=True):
        if kind == "static":
            return fitted(training, static_model(), name, sparse_embeddings=sparse, **KILLED)
        model = with_dropout(transformer) if dropout else SentenceTransformer(str(transformer), device="cpu")
        return fitted(training, model, name, sparse_embeddings=sparse, **KILLED)

    undisturbed = goes_on(training, monkeypatch, caplog, run)
    if kind == "transformer":
        # The dropout was at work, or the random state would not have been tested.
        assert not equal(undisturbed, run("dry", dropout=False)[1])


def test_a_checkpoint_cut_off_while_written_is_passed_over(training, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(training, patch, 6)
        fitted(training, static_model(), "killed", checkpoint_every=4)
    (training.STATE / "training" / "killed" / "checkpoint-6").mkdir()
    assert equal(fitted(training, static_model(), "killed", checkpoint_every=4)[1], fitted(training, static_model())[1])


@pytest.mark.parametrize(
    ("damaged", "done", "said"),
    [
        (["checkpoint-8"], list(range(5, 13)), "going on from checkpoint at step 4"),
        (["checkpoint-8", "checkpoint-4"], list(range(1, 13)), "no checkpoint is whole: training begins again"),
    ],
)
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(training, monkeypatch, caplog, damaged, done, said):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(training, patch, 10)
        fitted(training, static_model(), "killed", checkpoint_every=4)
    for name in damaged:
        file = training.STATE / "training" / "killed" / name / "optimizer.pt"
        file.write_bytes(file.read_bytes()[:-1])
    with monkeypatch.context() as patch, caplog.at_level("INFO"):
        found = kill_at(training, patch, None)
        resumed = fitted(training, static_model(), "killed", checkpoint_every=4)
    assert found == done
    assert equal(resumed[1], fitted(training, static_model())[1])
    assert f"{damaged[0]} is cut off or damaged (optimizer.pt): it is removed" in caplog.text and said in caplog.text


def test_of_two_processes_that_train_the_same_one_keeps_checkpoints(training, caplog):
    folder = training.STATE / "training" / "same"
    with training._alone(folder):
        other = fitted(training, static_model(), "same", checkpoint_every=4)
        assert not list(folder.iterdir()) and "this one keeps none" in caplog.text
        training.forget("same")
        assert folder.is_dir()
    alone = fitted(training, static_model(), "same", checkpoint_every=4)
    assert sorted(file.name for file in folder.iterdir()) == ["checkpoint-12", "checkpoint-8"]
    assert equal(alone[1], other[1]) and alone[0] == other[0]


def test_forgetting_removes_the_checkpoints(training):
    fitted(training, static_model(), "gone", checkpoint_every=4)
    assert (training.STATE / "training" / "gone").is_dir()
    training.forget("gone")
    assert not list((training.STATE / "training").iterdir())
    training.forget("gone")


def test_prompts_stand_before_the_texts_while_training(training):
    prompted = fitted(training, static_model(prompts={"query": "q: ", "document": "p: "}), "prompted")
    data = rows()
    written = {"query": "q: ", "positive": "p: ", "negative_1": "p: "}
    by_hand = data.map(lambda row: {name: prompt + row[name] for name, prompt in written.items()})
    assert equal(prompted[1], fitted(training, static_model(), "by hand", by_hand)[1])
    assert not equal(prompted[1], fitted(training, static_model(), "plain")[1])


def test_a_static_base_s_texts_are_tokenized_once(training, monkeypatch):
    seen, own = [], TokensOnce._tokenized
    monkeypatch.setattr(
        TokensOnce, "_tokenized", lambda self, texts, *more: seen.extend(texts) or own(self, texts, *more)
    )
    fitted(training, static_model(), "once")
    assert len(seen) == len(set(seen)) > 40


def test_a_loss_that_is_no_number_is_told(training):
    with pytest.raises(UserError, match=r"lower train\.learning_rate"):
        fitted(training, static_model(), learning_rate=1e38, warmup=0.0)


def test_fewer_rows_than_a_batch_still_train(training):
    points, _ = fitted(training, static_model(), data=rows(5))
    assert len(points) == 6
    assert all(math.isfinite(value) for _, value in points)


def test_a_fingerprint_changes_with_settings_and_content(training, tmp_path):
    folder = tmp_path / "f"
    (folder / "in").mkdir(parents=True)
    (folder / "in" / "a").write_text("1")
    (folder / "b").write_text("2")
    seen = [training.fingerprint("train", {"lr": 1}, folder)]
    assert training.fingerprint("train", {"lr": 1}, folder) == seen[0]
    seen.append(training.fingerprint("train", {"lr": 2}, folder))
    seen.append(training.fingerprint("base", {"lr": 1}, folder))
    (folder / "b").write_text("3")
    seen.append(training.fingerprint("train", {"lr": 1}, folder))
    (folder / "b").rename(folder / "c")
    seen.append(training.fingerprint("train", {"lr": 1}, folder))
    seen.append(training.fingerprint("train", {"lr": 1}, folder / "c"))
    assert len(set(seen)) == len(seen)
    folder.rename(tmp_path / "elsewhere")
    assert training.fingerprint("train", {"lr": 1}, tmp_path / "elsewhere") == seen[4]


# ── Decoders ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    return save_families(tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize("family", DECODERS)
def test_a_text_has_one_vector_however_padded_in_training_and_after(checkpoints, family):
    found = []
    for side in SIDES:
        model = loaded(checkpoints[family], side=side)
        found.append(model.encode(TEXTS))
        found.append(np.concatenate([model.encode([text]) for text in TEXTS]))
        features = model.preprocess(TEXTS)
        assert (features["attention_mask"] == 0).any()
        found.append(model.train()(features)["sentence_embedding"].detach().numpy())
    for other in found[1:]:
        np.testing.assert_allclose(found[0], other, atol=1e-6)
    assert np.abs(found[0][0] - found[0][1]).max() > 0.01


def test_a_text_cut_to_length_keeps_the_token_that_is_pooled(checkpoints):
    model = loaded(checkpoints["qwen3"])
    (end,) = model.tokenizer.encode("")
    for length in (60, 4):
        model.max_seq_length = length
        ids = model.preprocess([" ".join(WORDS[:9])])["input_ids"][0].tolist()
        assert len(ids) == min(10, length)
        assert ids[-1] == end
        assert end not in ids[:-1]


@pytest.mark.parametrize("family", ["xlm-r", "qwen3"])
def test_gradient_checkpointing_changes_nothing(training, checkpoints, family):
    checkpointed(training, lambda: loaded(checkpoints[family]))


# ── Hybrid batches ────────────────────────────────────────────────────────────────────────────────────────────────────


POOLS = [(0.125, np.arange(0, 9)), (0.125, np.arange(9, 20)), (0.75, np.arange(20, 41))]


def batches(training, pools=POOLS, steps=4000, size=4, seed=1):
    return training.PooledBatches(range(41), pools=pools, steps=steps, batch_size=size, drop_last=True, seed=seed)


def test_batches_are_of_one_pool_each_by_its_share_and_full(training):
    drawn = list(batches(training))
    assert len(drawn) == len(batches(training)) == 4000
    kinds = [[number for number, (_, rows) in enumerate(POOLS) if set(batch) <= set(rows.tolist())] for batch in drawn]
    assert {len(kind) for kind in kinds} == {1}
    assert {(len(batch), len(set(batch))) for batch in drawn} == {(4, 4)}
    assert [kinds.count([number]) for number in range(3)] == [500, 500, 3000]
    # Drawn, not dealt in turn.
    assert kinds[:8] != kinds[8:16]


def test_every_row_of_a_pool_comes_before_any_comes_again(training):
    orders = []
    for _, pool in POOLS:
        drawn = [row for batch in batches(training) if batch[0] in pool for row in batch]
        passes = [drawn[i : i + len(pool)] for i in range(0, len(drawn) - len(pool), len(pool))]
        assert len(passes) > 50
        assert all(sorted(one) == pool.tolist() for one in passes)
        assert len({tuple(one) for one in passes}) == len(passes)
        orders.append(passes[0])
    assert orders[0] != sorted(orders[0])


def test_batches_depend_on_the_seed_and_on_nothing_else(training):
    first = list(batches(training, steps=50))
    assert first == list(batches(training, steps=50))
    other = list(batches(training, steps=50, seed=2))
    assert [batch[0] < 20 for batch in first] != [batch[0] < 20 for batch in other]
    assert sorted(first[0]) not in [sorted(batch) for batch in other[:2]]
    every = batches(training)
    assert list(every) == list(every)


def test_ranks_of_a_step_have_the_rows_of_one_pool_and_none_twice(training):
    """As accelerate deals batches out: the shares are exact on each rank too."""
    drawn = training.PooledBatches(range(41), pools=POOLS, steps=48, ranks=2, batch_size=4, drop_last=True, seed=1)
    with pytest.raises(UserError, match="a step of 3 processes takes 12 rows of one pool, but one has 9 alone"):
        training.PooledBatches(range(41), pools=POOLS, steps=48, ranks=3, batch_size=4, drop_last=True, seed=1)
    dealt = [list(BatchSamplerShard(drawn, num_processes=2, process_index=rank)) for rank in range(2)]
    assert [len(own) for own in dealt] == [48, 48]
    for own in dealt:
        kinds = [[set(batch) <= set(rows.tolist()) for _, rows in POOLS].index(True) for batch in own]
        assert [kinds.count(number) for number in range(3)] == [6, 6, 36]
    for step in zip(*dealt, strict=True):
        rows = {row for batch in step for row in batch}
        assert len(rows) == 8
        assert sum(rows <= set(pool.tolist()) for _, pool in POOLS) == 1


def test_a_pool_with_all_the_batches_leaves_the_others_none(training):
    drawn = list(batches(training, [(1.0, np.arange(5, 10))], steps=20))
    assert {row for batch in drawn for row in batch} == {5, 6, 7, 8, 9}


def test_a_training_with_pools_goes_on_in_the_midst_of_them(training, monkeypatch):
    seen = []
    loss = InfoNCE.forward
    monkeypatch.setattr(
        InfoNCE,
        "forward",
        lambda self, features, labels: seen.append(labels[:, 0].tolist()) or loss(self, features, labels),
    )
    pools = [(0.5, np.arange(0, 15)), (0.5, np.arange(15, 40))]
    undisturbed = fitted(training, static_model(), "undisturbed", pools=pools)
    # Seeds of neighbouring numbers are far apart.
    wanted = list(batches(training, pools, steps=12, size=8, seed=seeds.number(3, "training") % 2**31))
    assert seen == wanted
    seen.clear()
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(training, patch, 7)
        fitted(training, static_model(), "killed", pools=pools, checkpoint_every=5)
    seen.clear()
    resumed = fitted(training, static_model(), "killed", pools=pools, checkpoint_every=5)
    assert seen == wanted[5:]
    assert equal(resumed[1], undisturbed[1])


# ── Precision ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_bf16_is_autocast_without_a_gpu_and_weights_stay_float32(training, checkpoints):
    found = {}
    for precision in ("fp32", "bf16"):
        model = loaded(checkpoints["qwen3"])
        found[precision] = fitted(training, model, precision, precision=precision, steps=4, learning_rate=1e-3)
        assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert [loss for _, loss in found["bf16"][0]] == pytest.approx([loss for _, loss in found["fp32"][0]], rel=0.05)
    assert not equal(found["fp32"][1], found["bf16"][1])


def test_sparse_embeddings_are_of_one_process(training, monkeypatch):
    monkeypatch.setattr(training.processes, "count", lambda: 2)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "1")
    with pytest.raises(UserError, match="sparse_embeddings is of one process"):
        fitted(training, static_model(), sparse_embeddings=True)


def test_fp16_without_a_gpu_is_refused(training, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"train\.precision is fp16, which needs a CUDA GPU: write bf16 or fp32"):
        fitted(training, static_model(), precision="fp16")
