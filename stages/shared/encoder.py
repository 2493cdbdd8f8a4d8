"""Texts to unit vectors, with a model folder as sentence-transformers saves it.

Models of one StaticEmbedding need no torch: their vectors are means of table rows, computed here with NumPy from
the same files, which saves the seconds that importing sentence-transformers takes in every stage. Everything else
is a `SentenceTransformer`. Either normalises queries first if the folder has a normaliser (`query_normalizer`), which
whoever loads the folder with sentence-transformers alone does not.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.shared import models, pieces, query_normalizer, tables
from stages.shared.errors import UserError
from stages.shared.roles import PROMPT_NAMES, Role, TokenEncoder
from stages.shared.roles import Encoder as Encoder  # what it is called by those who load one

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from stages.settings.freeze import Freeze
    from stages.shared.trunk import Trunk

log = logging.getLogger(__name__)


def load(
    folder: str | Path, batch_size: int, trust_remote_code: bool = False, freeze: Freeze | None = None
) -> TokenEncoder:
    """The encoder in `folder`, run as its record says; raises `UserError` if there is none or it cannot be loaded.

    `trust_remote_code`: run code of the model's authors, also from a folder that no stage made. `freeze`: what all
    models of the study have of their base unchanged, which they then share (`trunk`).
    """
    folder = Path(folder)
    if is_static(folder):
        return StaticEncoder(folder, batch_size)
    if models.is_cross_encoder(folder):
        raise UserError(f"{folder} is a re-ranker, which has no vectors: name it under rerank, and an encoder here")
    record = models.record(folder)
    trusted = trust_remote_code or record.get("trust_remote_code", False)
    model = opened(folder, trust_remote_code=trusted, attn_implementation=record.get("attention"))
    trunk = None
    if freeze and freeze.is_trunk:
        from stages.shared.trunk import share

        trunk = share(model, freeze)
    return TransformerEncoder(model, batch_size, query_normalizer.read(folder), trunk)


def opened(folder: Path, device: str | None = None, *, trust_remote_code: bool, **how: Any) -> SentenceTransformer:
    """The model in `folder`, run as `how` says (what is None is left to the model); raises `UserError` if it cannot be
    loaded, or its tokenizer does not suit it."""
    from sentence_transformers import SentenceTransformer

    given = {name: value for name, value in how.items() if value}
    with models.loading(folder):
        model = SentenceTransformer(
            str(folder),
            device=device,
            local_files_only=True,
            trust_remote_code=trust_remote_code,
            model_kwargs=given or None,
        )
    pieces.check(model, str(folder), lambda file: any(folder.rglob(file)))
    return model


def is_static(folder: Path) -> bool:
    """Whether the model in `folder` is one StaticEmbedding; raises `UserError` if there is none."""
    if not (folder / "modules.json").is_file():
        raise UserError(f"{folder} holds no model (modules.json is missing): run `dvc repro`")
    with models.loading(folder):
        modules = [module["type"].rsplit(".", 1)[-1] for module in tables.read_json(folder / "modules.json")]
    return modules in (["StaticEmbedding"], ["StaticEmbedding", "Normalize"])


def encode_distinct(encoder: Encoder, texts: list[str], role: Role) -> np.ndarray:
    """Like `encoder.encode`, with equal texts encoded once."""
    distinct = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    vectors = encoder.encode(list(distinct), role)
    return vectors if len(distinct) == len(texts) else vectors[[distinct[t] for t in texts]]


class StaticEncoder:
    """Mean of the tokens' rows, as `sentence_transformers`' StaticEmbedding computes it; no tokens give zeros."""

    def __init__(self, folder: Path, batch_size: int) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        config = folder / "config_sentence_transformers.json"
        with models.loading(folder):
            inner = folder / json.loads((folder / "modules.json").read_text())[0]["path"]
            self.tokenizer = Tokenizer.from_file(str(inner / "tokenizer.json"))
            self.table = load_file(inner / "model.safetensors")["embedding.weight"].astype(np.float32)
            self.prompts = json.loads(config.read_text()).get("prompts", {}) if config.is_file() else {}
        self.tokenizer.no_padding()
        pieces.fits(self.tokenizer.get_vocab(), len(self.table), str(folder))
        self.batch_size = batch_size
        self.normalizer = query_normalizer.read(folder)

    def encode(self, texts: list[str], role: Role) -> np.ndarray:
        if self.normalizer and role == "query":
            texts = self.normalizer(texts)
        prompt = self.prompts.get(PROMPT_NAMES[role]) or ""
        vectors = np.zeros((len(texts), self.table.shape[1]), np.float32)
        for begin in range(0, len(texts), self.batch_size):
            batch = [prompt + text for text in texts[begin : begin + self.batch_size]]
            ids = [e.ids for e in self.tokenizer.encode_batch_fast(batch, add_special_tokens=False)]
            filled = [i for i, row in enumerate(ids) if row]
            if not filled:
                continue
            lengths = np.array([len(ids[i]) for i in filled])
            rows = self.table[np.concatenate([ids[i] for i in filled])]
            sums = np.add.reduceat(rows, np.concatenate([[0], lengths[:-1].cumsum()]), axis=0)
            vectors[begin + np.array(filled)] = sums / lengths[:, None]
        return normalized(vectors)


class TransformerEncoder:
    """A `SentenceTransformer`, which sorts texts by length before it pads them."""

    def __init__(
        self,
        model: SentenceTransformer,
        batch_size: int,
        normalizer: query_normalizer.Normalizer | None = None,
        trunk: Trunk | None = None,
    ) -> None:
        self.model = model
        self.batch_size = batch_size
        self.normalizer = normalizer
        self.trunk = trunk
        self.tokenizer: Any = model.tokenizer

    def encode(self, texts: list[str], role: Role) -> np.ndarray:
        if not texts:
            return np.zeros((0, self.model.get_embedding_dimension() or 0), np.float32)
        if self.normalizer and role == "query":
            texts = self.normalizer(texts)
        if self.trunk:
            self.trunk.prepare(texts, role)
        encode: Any = self.model.encode_query if role == "query" else self.model.encode_document
        vectors = encode(texts, batch_size=self.batch_size, convert_to_tensor=True, show_progress_bar=len(texts) > 5000)
        # bf16 has no NumPy type, and scores in half precision would tie (sentence-transformers#3892).
        return normalized(vectors.float().cpu().numpy())


def normalized(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1 (float32); zero rows stay. Raises `UserError` if one is no vector of numbers."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all():
        raise UserError(
            "the model gives vectors that are no numbers (NaN or infinite): its weights are damaged, or too large for "
            "its dtype: build it again, or write dtype float32"
        )
    return np.ascontiguousarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)
