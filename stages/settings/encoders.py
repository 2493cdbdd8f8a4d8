"""What is set of a pretrained encoder, the base or the teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from stages.settings.types import Count, Group, word_or


class EncoderPrompts(Group):
    query: str
    passage: str


if TYPE_CHECKING:
    PromptsOrNone = EncoderPrompts | Literal["none"]
else:
    PromptsOrNone = word_or("none", EncoderPrompts)


class PretrainedEncoder(Group):
    """A pretrained model, and what is set that it does not say of itself; null: its preset, then its own files."""

    name: str
    revision: str | None
    preset: str | None
    pooling: Literal["cls", "mean", "lasttoken", "max"] | None
    prompts: PromptsOrNone | None
    max_length: Count | None
    padding: Literal["left", "right"] | None
    dtype: Literal["float32", "bfloat16", "float16"]
    attention: Literal["eager", "sdpa", "flash_attention_2"] | None
    trust_remote_code: bool
