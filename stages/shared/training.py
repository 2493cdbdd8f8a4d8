"""Training of a sentence-transformers model: batches of one pool, and a trainer that a kill cannot set back."""

from __future__ import annotations

import csv
import hashlib
import io
import logging
import shutil
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from filelock import FileLock, Timeout
from safetensors.torch import load_file, save_file
from sentence_transformers import (
    CrossEncoder,
    CrossEncoderTrainer,
    CrossEncoderTrainingArguments,
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.base.losses.gradcache import has_static_embedding_input
from sentence_transformers.base.sampler import BatchSamplers, DefaultBatchSampler
from torch import nn
from transformers.trainer_callback import ProgressCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from stages.schemas.curves import CURVE, VALIDATED
from stages.shared import files, processes, seals, seeds, sparse
from stages.shared.durations import duration
from stages.shared.errors import UserError
from stages.shared.roles import PROMPT_NAMES
from stages.shared.state import STATE
from stages.shared.stopping import Stopping, trained
from stages.shared.tokens_once import TokensOnce

log = logging.getLogger(__name__)
# What the libraries tell each other of their next versions.
warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
# A share of the batches, and the rows that they are drawn from.
Pool = tuple[float, np.ndarray]


class PooledBatches(DefaultBatchSampler):
    """`steps` full batches, each of one pool of rows, drawn by its share (hybrid: arXiv 2408.10536, section 3).

    Shares are exact, but for whole batches: steps in a shuffled order stand for evenly spaced numbers of [0, 1). A
    pool's rows come in a shuffled order, each of them once before any comes again, and none twice in a step. A batch
    depends on the seed and its number, so that a training goes on in the midst of them. Where several processes train
    together (`ranks`), each step has a batch for each, one after the other as accelerate deals them, of one pool.
    """

    def __init__(
        self, dataset: Dataset, *, pools: list[Pool], steps: int, ranks: int | None = None, **settings: Any
    ) -> None:
        super().__init__(dataset, **settings)
        self.pools = pools
        self.steps = steps
        self.ranks = ranks or processes.count()
        least, needed = min(len(rows) for _, rows in pools), self.batch_size * self.ranks
        if least < needed:
            raise UserError(
                f"a step of {self.ranks} processes takes {needed:,} rows of one pool, but one has {least:,} alone: "
                "lower train.batch_size, or change the recipe's batches"
            )

    def __len__(self) -> int:
        return self.steps * self.ranks

    def __iter__(self) -> Iterator[list[int]]:
        batches = [self._batches(number, rows) for number, (_, rows) in enumerate(self.pools)]
        ends = np.cumsum([share for share, _ in self.pools])
        order = np.argsort(seeds.uniform(_seed(self.seed, "pool"), np.arange(self.steps, dtype=np.uint64)))
        for pool in np.searchsorted(ends, (order + 0.5) / self.steps * ends[-1], side="right"):
            step = next(batches[pool])
            yield from (step[begin : begin + self.batch_size] for begin in range(0, len(step), self.batch_size))

    def _batches(self, number: int, rows: np.ndarray) -> Iterator[list[int]]:
        size, left, passes = self.batch_size * self.ranks, rows[:0], 0
        while True:
            if len(left) < size:
                order = rows[np.argsort(seeds.uniform(_seed(self.seed, number, passes), rows.astype(np.uint64)))]
                # What the batch has of the last pass is put off to the end of this one.
                had = np.isin(order, left)
                left, passes = np.concatenate([left, order[~had], order[had]]), passes + 1
            yield left[:size].tolist()
            left = left[size:]


def _seed(*names: object) -> np.ndarray:
    return np.array([seeds.number(*names)], np.uint64)


class _SmallCheckpoints:
    """A trainer whose checkpoints hold what is trained alone, as safetensors: of LoRA the adapters, and never what is
    frozen. It gathers nothing for the library's model card, which no model is saved with.

    The rest of a checkpoint (optimizer, schedule, random state) transformers reads with `weights_only`: nothing is
    unpickled. Each is sealed once it is whole, and the one before it stays beside it.
    """

    model: Any
    args: Any
    state: Any
    stopping: Stopping | None = None
    accelerator: Any
    optimizer: Any
    sparse_embeddings = False

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        pass

    def create_optimizer(self, model: Any = None) -> Any:
        if not self.sparse_embeddings or self.optimizer is not None:
            return super().create_optimizer(model)  # type: ignore[misc]
        own = sparse.table(self.model).weight
        own.requires_grad_(False)  # or it would be the dense optimizer's
        dense = super().create_optimizer(model)  # type: ignore[misc]
        own.requires_grad_(True)
        self.optimizer = sparse.SparseAndDense(own, dense, self.args.learning_rate)
        self.accelerator.clip_grad_norm_ = partial(_clip, self.accelerator)
        return self.optimizer

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)  # type: ignore[misc]
        folder = Path(str(self.args.output_dir)) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        if self.stopping:
            self.stopping.save(folder)
        seals.seal(folder)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        assert output_dir is not None
        Path(output_dir).mkdir(parents=True, exist_ok=True)
        save_file(
            {name: p.detach().contiguous() for name, p in trained(self.model).items()},
            Path(output_dir) / TRAINED_WEIGHTS,
        )

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        held = load_file(Path(resume_from_checkpoint) / TRAINED_WEIGHTS)
        with torch.no_grad():
            for name, parameter in trained(self.model).items():
                parameter.copy_(held[name])
        if self.stopping:
            self.stopping.load(Path(resume_from_checkpoint))


class Trainer(_SmallCheckpoints, SentenceTransformerTrainer):
    """Of bi-encoders."""


class RerankerTrainer(_SmallCheckpoints, CrossEncoderTrainer):
    """Of cross-encoders, which take no prompts."""


TRAINED_WEIGHTS = "trained.safetensors"
# The last, and the one before it to fall back to.
KEPT_CHECKPOINTS = 2
STEPS_TIMED = 3


class Progress(ProgressCallback):
    """The trainer's progress bar with the loss in it, rather than a line for each logged loss; and once a line that
    says how long it will take, for logs that show no bar."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        super().on_train_begin(args, state, control, **kwargs)
        self._began: tuple[float, int] | None = None

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        super().on_step_end(args, state, control, **kwargs)
        if self._began is None:  # the first step is slower than the others
            self._began = (time.monotonic(), state.global_step)
        elif state.global_step == self._began[1] + STEPS_TIMED:
            left = (time.monotonic() - self._began[0]) / STEPS_TIMED * (state.max_steps - state.global_step)
            if left > 10:
                log.info(f"step {state.global_step:,} of {state.max_steps:,}: about {duration(left)} to go")

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if self.training_bar is not None and logs and "loss" in logs:
            self.training_bar.set_postfix(loss=f"{float(logs['loss']):.3f}")


def fit(
    model: SentenceTransformer | CrossEncoder,
    rows: Dataset,
    loss: nn.Module,
    fingerprint: str,
    *,
    seed: int,
    steps: int,
    batch_size: int,
    learning_rate: float,
    warmup: float = 0.1,
    weight_decay: float = 0.0,
    max_grad_norm: float | None = 1.0,
    precision: str = "fp32",
    gradient_checkpointing: bool = False,
    sparse_embeddings: bool = False,
    log_every: int = 10,
    checkpoint_every: int = 500,
    pools: list[Pool] | None = None,
    stopping: Stopping | None = None,
) -> list[tuple[int, float]]:
    """Train `model` in place on `rows` (columns query, positive, negative_1... and, for InfoNCE, label); return
    (step, loss) points.

    Batches are of all rows at random, or of `pools`, each of which must have a batch of rows. `fingerprint` must change
    with everything that shapes the training: under it checkpoints are kept, and a run that was killed goes on from the
    last one that is whole to the same weights. With `stopping`, it ends when that says so, and the weights are the best
    ones. Of two processes that train the same at once, one keeps checkpoints.
    With `sparse_embeddings`, a step updates those rows of the table of token vectors alone that its batch reads.
    Raises `UserError` if the loss is no number, if `precision` or several processes need another machine, or if several
    processes have sparse gradients.
    """
    if precision == "fp16" and not torch.cuda.is_available():
        raise UserError("train.precision is fp16, which needs a CUDA GPU: write bf16 or fp32")
    if sparse_embeddings and processes.count() > 1:
        raise UserError("train.sparse_embeddings is of one process, but several train together: write false")
    static = has_static_embedding_input(model)
    if static:
        # A table's batches are small: more threads gain nothing, and waiting for them costs much on a busy machine.
        torch.set_num_threads(1)
    folder = STATE / "training" / fingerprint
    kind, arguments, prompts = _kind(model, rows.column_names)
    with _alone(folder) as alone:
        args = arguments(
            output_dir=str(folder),
            max_steps=steps,
            per_device_train_batch_size=min(batch_size, len(rows)),
            learning_rate=learning_rate,
            warmup_steps=warmup if warmup < 1 else steps,
            lr_scheduler_type="linear",
            weight_decay=weight_decay,
            max_grad_norm=max_grad_norm or 0.0,
            bf16=precision == "bf16",
            fp16=precision == "fp16",
            # Unless told so, transformers takes bf16 without a GPU for a mistake.
            use_cpu=precision == "bf16" and not torch.cuda.is_available(),
            activation_checkpointing=gradient_checkpointing,
            prompts=prompts,
            batch_sampler=partial(PooledBatches, pools=pools, steps=steps) if pools else BatchSamplers.BATCH_SAMPLER,
            dataloader_drop_last=True,
            dataloader_pin_memory=torch.cuda.is_available(),
            # Epoch e is shuffled by this number plus e: of neighbouring seeds, epochs must not be the same.
            seed=seeds.number(seed, "training") % 2**31,
            logging_steps=log_every,
            logging_nan_inf_filter=False,  # or a loss that is no number would be logged as the one before
            save_strategy="steps" if alone else "no",
            save_steps=checkpoint_every,
            save_total_limit=KEPT_CHECKPOINTS,
            report_to="none",
            disable_tqdm=False,
        )
        if processes.count() > 1 and args.world_size == 1:
            raise UserError(
                "several processes train together, but without a GPU each would by itself: set ACCELERATE_USE_CPU=1"
            )
        trainer = kind(model=model, args=args, train_dataset=rows, loss=loss)
        trainer.sparse_embeddings = sparse_embeddings
        # Or transformers writes the tokenizer's special tokens into the model's config, unlike the base's.
        trainer.processing_class = None
        if static:
            table: Any = model[0]
            trainer.data_collator.preprocess_fn = TokensOnce(model.preprocess, table.tokenizer)
        trainer.remove_callback(ProgressCallback)
        trainer.add_callback(Progress)
        if stopping:
            trainer.stopping = stopping
            trainer.add_callback(stopping)
        last = _last_checkpoint(folder) if alone else None
        with sparse.gradients(model) if sparse_embeddings else nullcontext():
            trainer.train(resume_from_checkpoint=str(last) if last else None)
    if stopping:
        stopping.restore()
        steps = max(stopping.values)
    logged = [entry for entry in trainer.state.log_history if "loss" in entry]
    # One that was killed after its last step takes another step to no end.
    points = [(int(entry["step"]), float(entry["loss"])) for entry in logged if int(entry["step"]) <= steps]
    if any(value != value for _, value in points):
        raise UserError("the training loss is not a number: lower train.learning_rate or use train.precision fp32")
    return points


def _clip(accelerator: Any, parameters: Iterable[nn.Parameter], max_norm: float) -> torch.Tensor:
    """In place of accelerate's own."""
    accelerator.unscale_gradients()
    return sparse.clip(parameters, max_norm)


def _kind(model: SentenceTransformer | CrossEncoder, columns: list[str]) -> tuple[Any, Any, dict[str, str] | None]:
    """The trainer of such a model, its arguments' class, and the prompts of each column."""
    if isinstance(model, SentenceTransformer):
        return Trainer, SentenceTransformerTrainingArguments, _column_prompts(model, columns)
    return RerankerTrainer, CrossEncoderTrainingArguments, None


def curve(points: list[tuple[int, float]], stopping: Stopping | None = None) -> str:
    """The points that `fit` returns as a CSV table (CURVE, and with `stopping` VALIDATED)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*CURVE, *(VALIDATED if stopping else ())])
    for step, loss in points:
        measured = stopping is not None and step in stopping.values
        told = (
            [f"{stopping.values[step]:.5f}" if measured else "", int(measured and step == stopping.kept)]
            if stopping
            else []
        )
        writer.writerow([step, f"{loss:.5f}", *told])
    return out.getvalue()


def forget(fingerprint: str) -> None:
    """Remove a finished training's checkpoints, unless another process keeps them; call it once the model is safe."""
    folder = STATE / "training" / fingerprint
    with _alone(folder) as alone:
        if alone:
            shutil.rmtree(folder, ignore_errors=True)
            _lock(folder).unlink(missing_ok=True)


def fingerprint(*parts: Any) -> str:
    """A name for a training: a digest of settings (as text) and of files and folders (by content)."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, Path):
            digest.update(files.content(part).encode())
        else:
            digest.update(repr(part).encode() + b"\0")
    return digest.hexdigest()


def _column_prompts(model: SentenceTransformer, columns: list[str]) -> dict[str, str]:
    names: Callable[[str], str] = lambda column: PROMPT_NAMES["query" if column == "query" else "passage"]  # noqa: E731
    prompts = {column: model.prompts.get(names(column)) for column in columns if column != "label"}
    return {column: prompt for column, prompt in prompts.items() if prompt}


def _lock(folder: Path) -> Path:
    return folder.with_suffix(".lock")


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether no other process keeps its checkpoints in `folder`; if so, none does before the block ends."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(_lock(folder))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.warning("another process trains the same: its checkpoints are its own, and this one keeps none")
    try:
        yield lock.is_locked
    finally:
        lock.release()


def _last_checkpoint(folder: Path) -> Path | None:
    """The last checkpoint that is whole, and a line that says what is gone on from; the others after it are removed."""
    found = folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*")
    bad = False
    for checkpoint in sorted(found, key=lambda c: int(c.name.split("-")[1]), reverse=True):
        file = seals.broken(checkpoint)
        if file is None:
            log.info(f"going on from {checkpoint.name.replace('-', ' at step ')}")
            return checkpoint
        bad = True
        log.warning(f"{checkpoint} is cut off or damaged ({file}): it is removed")
        shutil.rmtree(checkpoint)
    if bad:
        log.warning("no checkpoint is whole: training begins again")
    return None
