"""Adapters that are trained beside frozen weights (LoRA), and then folded into them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Transformer
from torch import nn

from stages.settings.train import Lora
from stages.shared.errors import UserError

if TYPE_CHECKING:
    from peft import PeftModel


def adapt(model: SentenceTransformer, lora: Lora, seed: int) -> PeftModel:
    """Freeze `model` and set LoRA adapters (Hu et al. 2021, arXiv 2106.09685) beside its linear layers, in place.

    The adapters are float32, whatever the model is in, and begin without effect. Raises `UserError` if the model has no
    such layers. PEFT's own model rather than sentence-transformers' `add_adapter`, which cannot be folded.
    """
    from peft import LoraConfig, get_peft_model

    if not isinstance(model[0], Transformer):
        raise UserError(
            "train.lora sets adapters beside a transformer's layers, and a static base has none: write null"
        )
    inner = model[0].auto_model
    linear = [f".{name}" for name, module in inner.named_modules() if isinstance(module, nn.Linear)]
    for target in [] if lora.targets == "all-linear" else lora.targets:
        if not any(name.endswith(f".{target}") for name in linear):
            known = ", ".join(sorted({name.rsplit(".", 1)[1] for name in linear}))
            raise UserError(
                f"train.lora.targets names {target!r}, which the base does not have: choose from {known}, "
                "or write all-linear"
            )
    torch.manual_seed(seed)
    model.requires_grad_(False)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]
        target_modules=lora.targets,
        lora_dropout=lora.dropout,
    )
    return get_peft_model(inner, config)


def fold(adapted: PeftModel) -> None:
    """Add the adapters to the weights and remove them: the model that `adapt` was given is a plain one again.

    W + alpha / rank x BA is summed in float32 and then rounded to the weights' own type: in bfloat16 an update below
    about a 256th of a weight is lost in part, or whole.
    """
    adapted.merge_and_unload()
