"""What is known of published encoders: how they must be run to be what their authors measured.

Revisions and prompts are those of mteb 2.26.24 (`mteb/models/model_implementations/*.py`, named with each model)
unless another source is given. What could not be found is left out: the model's own files then decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Preset:
    """None: what the model's own files say.

    Attributes:
        revision: the commit, one whose weights are safetensors.
        query, passage: what is put before a text.
        max_length: in tokens.
        dtype: what the weights are published in.
        end: texts must end with the tokenizer's end-of-sequence token, which its files do not add.
        remote_code: runs code of the model's authors.
        note: what a user must know whose model cannot be loaded.
    """

    revision: str | None = None
    query: str = ""
    passage: str = ""
    pooling: Literal["cls", "mean", "lasttoken"] | None = None
    max_length: int | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    attention: str | None = None
    padding: Literal["left", "right"] | None = None
    end: bool = False
    remote_code: bool = False
    note: str = ""


# The instruction of the model cards for retrieval; MTEB's are one for each task, which is no setting of a retriever.
WEB_SEARCH = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"

PRESETS = {
    # bge_models.py, which has 5617a9f6 (main): pickled weights alone. This commit holds the same as safetensors
    # (github.com records of deployments pin it for that reason; not seen by us).
    "BAAI/bge-m3": Preset("50f9396f75618b3389c1fd1068a1ff58dc7b5b26", pooling="cls", max_length=8192),
    # e5_models.py; 512 tokens: the model cards.
    "intfloat/multilingual-e5-small": Preset(
        "fd1525a9fd15316a2d503bf26ab031a61d056e98", "query: ", "passage: ", pooling="mean", max_length=512
    ),
    "intfloat/multilingual-e5-base": Preset(
        "d13f1b27baf31030b7fd040960d60d909913633f", "query: ", "passage: ", pooling="mean", max_length=512
    ),
    "intfloat/multilingual-e5-large": Preset(
        "ab10c1a7f42e74530fe7ae5be82e6d4f11a719eb", "query: ", "passage: ", pooling="mean", max_length=512
    ),
    # e5_instruct.py: a space after "Query:", nothing before passages.
    "intfloat/multilingual-e5-large-instruct": Preset(
        "baa7be480a7de1539afce709c8f13f833a510e0a", WEB_SEARCH + " ", pooling="mean", max_length=512, dtype="float16"
    ),
    # e5_instruct.py, also on the end token, which transformers 5 no longer adds; the length is the model card's advice.
    "intfloat/e5-mistral-7b-instruct": Preset(
        "07163b72af1488142a360786df853f237b1a3ca1",
        WEB_SEARCH + " ",
        pooling="lasttoken",
        max_length=4096,
        dtype="float16",
        end=True,
    ),
    # gte_models.py. transformers 5 has no `get_extended_attention_mask`, which the repository's modeling.py calls.
    "Alibaba-NLP/gte-multilingual-base": Preset(
        "ca1791e0bcc104f6db161f27de1340241b13c5a4",
        pooling="cls",
        max_length=8192,
        dtype="float16",
        remote_code=True,
        note="its code is of transformers 4: name alibaba-nlp-community/gte-multilingual-base, the same model for 5",
    ),
    # The checkpoint that transformers' own Gte classes name (models/gte/configuration_gte.py): no remote code.
    "alibaba-nlp-community/gte-multilingual-base": Preset(pooling="cls", max_length=8192),
    # sentence_transformers_models.py, which has e34fab64, from before the Dense module's weights came as safetensors
    # (sentence-transformers#2722). This commit has them (github.com projects that read them; not seen by us).
    "sentence-transformers/LaBSE": Preset("836121a0533e5664b21c7aacc5d22951f2b8b25b", pooling="cls"),
    # sentence_transformers_models.py.
    "sentence-transformers/paraphrase-multilingual-mpnet-base-v2": Preset(
        "79f2382ceacceacdf38563d7c5d16b9ff8d725d6", pooling="mean"
    ),
    "sentence-transformers/static-similarity-mrl-multilingual-v1": Preset("7264ea07c5365a11d7e6d87dbb6195889a13054f"),
    # arctic_models.py; the prompt is that of the model card's prompt_name="query".
    "Snowflake/snowflake-arctic-embed-l-v2.0": Preset(
        "edc2df7b6c25794b340229ca082e7c78782e6374", "query: ", pooling="cls", max_length=8192
    ),
    # facebookai.py. They pool nothing themselves: the mean is sentence-transformers' choice, and ours.
    "FacebookAI/xlm-roberta-base": Preset("e73636d4f797dec63c3081bb6ed5c7b0bb3f2089", max_length=512),
    "FacebookAI/xlm-roberta-large": Preset("c23d21b0620b635a76227c604d44e43a9f0ee389", max_length=512),
    # nvidia_models.py: padding, end token; the prompt is the model card's. Its code imports MISTRAL_INPUTS_DOCSTRING,
    # which transformers 5 has not (mteb#3287); pooling is its code's own, without the prompt's tokens.
    "nvidia/NV-Embed-v2": Preset(
        "7604d305b621f14095a1aa23d351674c2859553a",
        "Instruct: Given a question, retrieve passages that answer the question\nQuery: ",
        max_length=32768,
        dtype="float16",
        padding="right",
        end=True,
        remote_code=True,
        note="its code is of transformers 4.42: name a folder whose code was ported to 5, or another teacher",
    ),
    # qwen3_models.py: no space after "Query:"; the instruction is that of config_sentence_transformers.json. The model
    # card pads left, with which flash attention needs no copy; the vectors are the same.
    "Qwen/Qwen3-Embedding-0.6B": Preset(
        "b22da495047858cce924d27d76261e96be6febc0",
        WEB_SEARCH,
        pooling="lasttoken",
        max_length=32768,
        dtype="bfloat16",
        padding="left",
    ),
    "Qwen/Qwen3-Embedding-4B": Preset(
        "636cd9bf47d976946cdbb2b0c3ca0cb2f8eea5ff",
        WEB_SEARCH,
        pooling="lasttoken",
        max_length=32768,
        dtype="bfloat16",
        padding="left",
    ),
    "Qwen/Qwen3-Embedding-8B": Preset(
        "4e423935c619ae4df87b646a3ce949610c66241c",
        WEB_SEARCH,
        pooling="lasttoken",
        max_length=32768,
        dtype="bfloat16",
        padding="left",
    ),
}


def named(name: str) -> str | None:
    """The preset of a hub id, or of a folder that bears its name: `e5/multilingual-e5-base`, a hub cache's
    `models--intfloat--multilingual-e5-base/snapshots/d13f...`."""
    if name in PRESETS or not Path(name).is_dir():
        return name if name in PRESETS else None
    for part in Path(name).resolve().parts:
        if part.startswith("models--"):
            cached = part.removeprefix("models--").replace("--", "/")
            return cached if cached in PRESETS else None
    return _ending(Path(name).resolve().name)


def of_config(config: dict[str, Any]) -> str | None:
    """The preset of the model that a fine-tuned one began as, if its config.json still says so."""
    origin = config.get("_name_or_path")
    return _ending(origin.rstrip("/").split("/")[-1]) if isinstance(origin, str) else None


def _ending(name: str) -> str | None:
    """The first preset that is called `name`, whosever it is."""
    return next((key for key in PRESETS if key.split("/")[-1].lower() == name.lower()), None)
