"""Where models are, and how they are run: `base`, what recipes train and what merges compute each have their folder.

Trained and merged models are apart because a DVC stage cannot list as many dependencies as a merge has parts: a merge
depends on the folder of all that is trained. Each has the record of the base it comes from: what is said of an encoder
once, when the base is made, holds for all that is made of it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.shared import tables
from stages.shared.errors import UserError, first_line

MODELS = Path("models")
# The name of the base among a study's models.
BASE_NAME = "base"
BASE = MODELS / BASE_NAME
TRAINED = MODELS / "trained"
MERGED = MODELS / "merged"
# Cross-encoders, which read a query and a passage together: they have no vectors, and rank what others found.
RERANKERS = MODELS / "rerankers"
# What answers questions: a model's vectors of labelled entries.
INDEXES = MODELS / "indexes"
# In a model's folder: name, preset, revision, pooling, prompts, max_length, dtype, attention, padding, dimension and
# trust_remote_code; which share of the study's tokens is `unknown` to its tokenizer, by language; `pooling_assumed`, if
# no file states the pooling; of one that was trained with train.freeze also what was `frozen`: its layers and
# embeddings; of one trained with train.matryoshka to how many first numbers its vectors may be cut, all of them first
# (`matryoshka`); of a vocabulary that was cut its pieces, and of a static base what it began `from`.
RECORD = "encoder.json"
# In the base's folder, if its vocabulary was cut: the tokenizer of all pieces, to tell what the cut does to texts.
WHOLE_TOKENIZER = "whole-tokenizer.json"
# In the folder of a model whose queries are normalised first: what the normaliser has learnt.
NORMALIZER = "normalizer.json"


def source(name: str) -> Path:
    """The folder of `base` or of a recipe's model."""
    return BASE if name == BASE_NAME else TRAINED / name


def names(recipes: Iterable[str], merges: Iterable[str]) -> list[str]:
    """Every model of a study, the base first."""
    return [BASE_NAME, *recipes, *merges]


def made(recipes: Iterable[str], merges: Iterable[str]) -> list[str]:
    """Every model's folder, likewise."""
    folders = [*(source(name) for name in (BASE_NAME, *recipes)), *(MERGED / name for name in merges)]
    return [str(folder) for folder in folders]


def rows(
    recipes: Iterable[str],
    merges: Iterable[str],
    references: Iterable[str],
    fusions: Iterable[str],
    reranked: Iterable[str],
) -> list[str]:
    """All that is measured: the models of a study, then what they are measured beside, be it made of them."""
    return [*names(recipes, merges), *references, *fusions, *reranked]


def record(folder: Path) -> dict[str, Any]:
    """How the model in `folder` is run; empty for one that no stage made.

    `trust_remote_code` holds in the study's own folders alone: a folder from elsewhere cannot ask for its code to run.
    """
    if not (folder / RECORD).is_file():
        return {}
    found: dict[str, Any] = tables.read_json(folder / RECORD)
    ours = any(folder.resolve().is_relative_to(own.resolve()) for own in (BASE, TRAINED, MERGED, RERANKERS))
    return found | {"trust_remote_code": ours and bool(found.get("trust_remote_code"))}


def is_cross_encoder(folder: Path) -> bool:
    """Whether sentence-transformers saved a cross-encoder in `folder`, which it would load as an encoder of no use.

    Raises `UserError` if what says so is damaged.
    """
    config = folder / "config_sentence_transformers.json"
    try:
        return config.is_file() and tables.read_json(config).get("model_type") == "CrossEncoder"
    except AttributeError as error:
        raise unloadable(folder, error) from None


def base_record() -> dict[str, Any]:
    """How the base is run, and so what is made of it; raises `UserError` if there is no base."""
    found = record(BASE)
    if not found:
        raise UserError(f"{BASE / RECORD} is missing: run `dvc repro`")
    return found


@contextmanager
def loading(folder: Path) -> Iterator[None]:
    """In the block the model in `folder` is loaded: whatever is wrong with it is a `UserError`."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    # Code of a model's authors, and a file that is cut off, may raise anything; tokenizers raises no other.
    except Exception as error:
        raise unloadable(folder, error) from None


def unloadable(folder: Path, error: Exception) -> UserError:
    """What is wrong with the model in `folder`, of which loading raised `error`: a file of it, if one is not whole."""
    mend = "run `dvc repro` if a stage made it, else copy the model again"
    if file := damaged(folder):
        return UserError(f"{file} is damaged or cut off: {mend}")
    return UserError(f"{folder} cannot be loaded ({first_line(error)}): {mend}")


def damaged(folder: Path) -> Path | None:
    """The first file of a model that is no whole JSON or safetensors, if any is."""
    from safetensors import SafetensorError, safe_open

    for file in sorted(folder.rglob("*")):
        try:
            if file.suffix == ".json":
                json.loads(file.read_text(encoding="utf-8"))
            elif file.suffix == ".safetensors":
                with safe_open(file, framework="numpy"):
                    pass
        except (ValueError, RecursionError, OSError, SafetensorError):
            return file
    return None


def copy_record(folder: Path, target: Path, trained: dict[str, Any] | None = None) -> None:
    """Give what is made of the model in `folder` its record, and say how it was `trained`, so far as that must be known
    of the model: what was `frozen`, and for which sizes of vectors (`matryoshka`)."""
    if not trained:
        shutil.copyfile(folder / RECORD, target / RECORD)
        return
    found = tables.read_json(folder / RECORD)
    tables.write_json(found | trained, target / RECORD)


def copy_normalizer(folder: Path, target: Path) -> None:
    """Give what is made of the model in `folder` its query normaliser, if it has one."""
    if (folder / NORMALIZER).is_file():
        shutil.copyfile(folder / NORMALIZER, target / NORMALIZER)
