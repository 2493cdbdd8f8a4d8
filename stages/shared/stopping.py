"""Early stopping: a training is measured as it goes on, ends when it gets no better, and leaves its best weights.

What was measured and the best weights are part of each checkpoint, so that a training which was killed goes on to the
same end. Of a model that trains in part (LoRA, frozen layers), what is trained is kept alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import TrainerCallback

from stages.shared import tables

log = logging.getLogger(__name__)
BEST_WEIGHTS, MEASURED_FILE = "best.safetensors", "measured.json"


class Stopping(TrainerCallback):
    """Has `model` measured every so many steps, the greater the better; ends a training of which the last `patience`
    values are no better than one before them."""

    def __init__(self, model: nn.Module, measure: Callable[[], float], every: int, patience: int) -> None:
        self.model, self.measure, self.every, self.patience = model, measure, every, patience
        # By step.
        self.values: dict[int, float] = {}
        self._best: dict[str, Tensor] = {}

    @property
    def kept(self) -> int:
        """The step whose weights are kept: the best one, of equals the first."""
        return max(self.values, key=lambda step: (self.values[step], -step))

    @property
    def over(self) -> bool:
        return bool(self.values) and sum(step > self.kept for step in self.values) >= self.patience

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        step = state.global_step
        # One that was killed after its last step takes another step to no end.
        if not self.over and step % self.every == 0:
            self.values[step] = self.measure()
            if self.kept == step:
                self._best = {name: p.detach().cpu().clone() for name, p in trained(self.model).items()}
            log.info(f"step {step:,}: {self.values[step]:.5f}, best {self.values[self.kept]:.5f} at step {self.kept:,}")
        if self.over:
            control.should_training_stop = True

    def save(self, folder: Path) -> None:
        """Add what was found to a checkpoint."""
        save_file({name: tensor.contiguous() for name, tensor in self._best.items()}, folder / BEST_WEIGHTS)
        tables.write_json({str(step): value for step, value in self.values.items()}, folder / MEASURED_FILE)

    def load(self, folder: Path) -> None:
        self._best = load_file(folder / BEST_WEIGHTS)
        self.values = {int(step): value for step, value in tables.read_json(folder / MEASURED_FILE).items()}

    @torch.no_grad()
    def restore(self) -> None:
        """Give the model the weights that are kept."""
        for name, parameter in trained(self.model).items():
            parameter.copy_(self._best[name])


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters of `model` that are not frozen, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
