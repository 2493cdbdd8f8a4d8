"""`references`: what the study's models are measured beside, and which is never trained, merged or chosen."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from stages.settings.connection import Connection, Retries, Url, Variable
from stages.settings.encoders import EncoderPrompts, PretrainedEncoder, PromptsOrNone
from stages.settings.reading import value
from stages.settings.types import Count, Group, Positive, Share

NotNegative = Annotated[float, Field(ge=0)]


class Bm25(Group):
    """Anserini's values, with which BEIR, Mr. TyDi and MIRACL report BM25; Lucene's own are 1.2 and 0.75."""

    k1: NotNegative = 0.9
    b: Share = 0.4


class Parameters(Group):
    """Sent with each request for texts of the role, as they are."""

    query: dict[str, Any] = Field(default_factory=dict)
    passage: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _of_others(self) -> Parameters:
        for role in (self.query, self.passage):
            for name in ("model", "input", "dimensions", "encoding_format"):
                if name in role:
                    raise ValueError(f"{name} is set by the stage itself: remove it")
        return self


class EmbeddingEndpoint(Connection):
    base_url: Url | None = None
    key_env: Variable | None = "OPENAI_API_KEY"
    key_header: str | None = None
    query: dict[str, str] = Field(default_factory=dict)
    dimensions: Count | None = None
    prompts: EncoderPrompts = EncoderPrompts(query="", passage="")
    parameters: Parameters = Parameters()
    max_chars: Count | None = None
    batch_size: Annotated[int, Field(ge=1, le=2048)] = 64
    concurrency: Count = 4
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    timeout: Positive = 120.0
    retries: Retries = 8
    patience: Positive = 60.0
    price: NotNegative | None = None
    max_cost_usd: Positive | None = None

    @model_validator(mode="after")
    def _bounded(self) -> EmbeddingEndpoint:
        if self.max_cost_usd is not None and self.price is None:
            raise ValueError("max_cost_usd needs price, US dollars per million tokens: nothing bounds the cost without")
        return self


class Reference(Group):
    """One of `encoder`, `bm25` and `endpoint`; the settings after `encoder` are those of a PretrainedEncoder."""

    encoder: str | None = None
    revision: str | None = None
    preset: str | None = None
    pooling: Literal["cls", "mean", "lasttoken", "max"] | None = None
    prompts: PromptsOrNone | None = None
    max_length: Count | None = None
    padding: Literal["left", "right"] | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    attention: Literal["eager", "sdpa", "flash_attention_2"] | None = None
    trust_remote_code: bool = False
    bm25: Bm25 | None = None
    endpoint: EmbeddingEndpoint | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_fusion(cls, found: Any) -> Any:
        if isinstance(found, dict) and "fusion" in found:
            raise ValueError(
                "a fusion is a member of the group fusions: write fusions.<name>: {of: [bm25, base]} there"
            )
        return found

    @model_validator(mode="after")
    def _of_one_kind(self) -> Reference:
        kinds = [kind for kind in ("encoder", "bm25", "endpoint") if getattr(self, kind) is not None]
        if len(kinds) != 1:
            raise ValueError(f"it has {' and '.join(kinds) or 'no kind'}: write one of encoder, bm25 and endpoint")
        if self.encoder is None and (given := self.model_fields_set - {*kinds}):
            raise ValueError(f"{min(given)} is of encoder, and this is {kinds[0]}: remove it")
        return self

    @property
    def pretrained(self) -> PretrainedEncoder:
        """What is set of the encoder, as of a base."""
        settings = self.model_dump(exclude={"encoder", "bm25", "endpoint"})
        return PretrainedEncoder.model_validate({"name": self.encoder, **settings})


def read_reference(name: str) -> Reference:
    return value(f"references.{name}", Reference)
