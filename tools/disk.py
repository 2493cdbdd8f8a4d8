"""python -m tools.disk: what the study will take on disk, as far as that is known before it is built, and how it stays
small.

Models are most of it: the base, and one as large for each recipe, re-ranker and merge, in the checkout and in DVC's
cache. Of what is kept of texts only the size of one is known before the benchmarks are built.
"""

from __future__ import annotations

import json
import math
import shutil
import struct
import tempfile
from pathlib import Path
from typing import NamedTuple

import polars as pl

from stages.check import params
from stages.check.groups import Params
from stages.schemas.benchmarks import BENCHMARKS_FOLDER
from stages.schemas.runs import RUN_RECORD, RUNS_FOLDER
from stages.settings.base import Base
from stages.settings.encoders import PretrainedEncoder
from stages.shared import carried, errors, models
from stages.shared.carried import Carried
from stages.shared.presets import PRESETS
from stages.shared.state import STATE

WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}
# Parameters and dimension of what packages carry, for before it is there.
CARRIED_SIZES = {"package:multilingual-e5-small": (117_653_760, 384)}
# AdamW keeps two numbers beside each weight, all of them in float32; and two checkpoints stay while a third is written.
TRAINED_COPIES = 3 * 3
# What a rate is told of.
TEN_THOUSAND, TOKENS_OF_A_TEXT = 10_000, 128


class BaseSize(NamedTuple):
    """Of the encoder that a study starts from; None: not known before it is there."""

    parameters: int | None
    dimension: int | None
    static: bool


class DiskNeed(NamedTuple):
    """Something that a study takes, and how many bytes in all; None: not known yet."""

    what: str
    bytes: int | None


def main() -> None:
    print("\n".join(said(params.load())))


def said(study: Params, experiments: int = 1) -> list[str]:
    """Lines: what the study takes, with as many `experiments` of it, what is free, and how to take less."""
    found = needs(study, experiments)
    total, whole = sum(need.bytes or 0 for need in found), all(need.bytes is not None for need in found)
    free = shutil.disk_usage(Path.cwd()).free
    least = "" if whole else "at least "
    known = f"{least}{size(total)} when all is built, some of which may be there already"
    takes = known if total else "what it takes is not known before the base is here"
    return [
        f"disk: {takes}; {size(free)} are free",
        *(f"  {need.what}: {'not known yet' if need.bytes is None else size(need.bytes)}" for need in found),
        # A hint that nobody needs is not read when it is needed.
        *([f"  to take less: {'; '.join(smaller(study))}"] if total > free / 10 or not whole else []),
    ]


def smaller(study: Params) -> list[str]:
    """How the study can be kept small."""
    ways = (
        [] if links() else ["`dvc config --local cache.type hardlink,symlink` before the build keeps one copy of each"]
    )
    if study.base.name != "static" and study.base.dtype == "float32":
        ways.append("base.dtype bfloat16 halves every model")
    ways.append("fewer recipes and merges (an overlay's `!only`)")
    ways.append(
        "`dvc gc --workspace` drops from the cache what is not of the present checkout, other experiments' models too"
    )
    if study.base.name != "static":
        ways.append(f"{STATE / 'vectors'} may be deleted at any time")
    return ways


def needs(study: Params, experiments: int = 1) -> list[DiskNeed]:
    """What the study takes, with as many `experiments` of it."""
    base, count = sized(study.base), len(models.names(study.recipes, study.merges))
    stored = count + len(study.rerankers)
    linked = links()
    each = base.parameters and base.parameters * WIDTHS[study.base.dtype]
    what = f"{stored} models ({_parts(study)}) of {size(each) if each else 'the size of the base'} each, "
    what += "one copy for models/ and DVC's cache" if linked else "in models/ and once more in DVC's cache"
    # Experiments are built in places that are cleared: all of them are in the cache alone.
    copies = experiments + (0 if linked else 1)
    if experiments > 1:
        what += f", which holds those of {experiments} experiments"
    found = [DiskNeed(what, each and each * stored * copies)]
    if not base.static:
        trained = base.parameters and base.parameters * WIDTHS["float32"] * TRAINED_COPIES
        found.append(DiskNeed("checkpoints of the model in training, at most", trained))
        found += _kept(study, base, count * experiments)
    for package, encoder in packages(study).items():
        if not converted(encoder):
            parameters, _ = CARRIED_SIZES[package]
            found.append(DiskNeed(f"{package}, once for all studies", parameters * WIDTHS["float32"]))
    return found


def _kept(study: Params, base: BaseSize, count: int) -> list[DiskNeed]:
    """Vectors of so many models, and hidden states that they share."""
    texts = _texts(study)
    rate = (
        f", {size(base.dimension * WIDTHS['float32'] * TEN_THOUSAND)} for each {TEN_THOUSAND:,}"
        if base.dimension
        else ""
    )
    vectors = base.dimension and texts and base.dimension * WIDTHS["float32"] * texts * count
    found = [DiskNeed(f"vectors of the benchmarks' texts in {STATE / 'vectors'}, of each model{rate}", vectors)]
    if study.train.freeze and study.train.freeze.is_trunk:
        # In 8 bits with a scale for each token.
        in_bytes = study.train.freeze.precision == "int8"
        token = base.dimension and (
            base.dimension + WIDTHS["float32"] if in_bytes else base.dimension * WIDTHS["float16"]
        )
        rate = (
            f", {size(token * TOKENS_OF_A_TEXT * TEN_THOUSAND)} for each {TEN_THOUSAND:,} of {TOKENS_OF_A_TEXT} tokens"
            if token
            else ""
        )
        found.append(DiskNeed(f"hidden states of all texts there, once for all models{rate}", None))
    return found


def _texts(study: Params) -> int | None:
    """The texts of all benchmarks, once these are built; of passages in windows their windows, once the base's run says
    how many each has."""
    counts = {}
    for side in ("passages", "queries"):
        files = [BENCHMARKS_FOLDER / name / f"{side}.parquet" for name in study.benchmarks]
        if not all(file.is_file() for file in files):
            return None
        counts[side] = sum(pl.scan_parquet(file).select(pl.len()).collect().item() for file in files)
    if study.windows:
        record = RUNS_FOLDER / models.BASE_NAME / RUN_RECORD
        told = json.loads(record.read_text(encoding="utf-8")).get("windows") if record.is_file() else None
        if not told:
            return None
        counts["passages"] = math.ceil(counts["passages"] * told["mean"])
    return sum(counts.values())


def sized(base: Base) -> BaseSize:
    """The encoder that `base` names: from its files where it is on this machine, else from what is known of it."""
    if base.name == "static":
        table = base.static
        return BaseSize(table.vocabulary * table.dimension, table.dimension, static=True)
    built = models.record(models.BASE)
    if built.get("name") == base.name and (found := counted(models.BASE)):
        return BaseSize(found, built.get("dimension"), static=False)
    if folder := local(base):
        config = folder / "config.json"
        dimension = json.loads(config.read_text(encoding="utf-8")).get("hidden_size") if config.is_file() else None
        return BaseSize(counted(folder), dimension, static=False)
    parameters, dimension = CARRIED_SIZES.get(base.name, (None, None))
    return BaseSize(parameters, dimension, static=False)


def local(encoder: PretrainedEncoder) -> Path | None:
    """Where an encoder is on this machine, if it is: a folder, a package's, or in the cache of the hub."""
    if of := carried.find(encoder.name):
        return converted(of)
    if encoder.name.startswith((".", "/")) or Path(encoder.name).is_dir():
        return Path(encoder.name) if Path(encoder.name).is_dir() else None
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    known = PRESETS.get(encoder.name)
    revision = encoder.revision or (known.revision if known else None)
    try:
        found = Path(snapshot_download(encoder.name, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    return found if counted(found) else None


def encoders(study: Params) -> dict[str, PretrainedEncoder]:
    """The encoders that the study names, by their group of params."""
    references = {f"references.{name}": one.pretrained for name, one in study.references.items() if one.encoder}
    return {"base": study.base, "teacher": study.teacher, **references}


def packages(study: Params) -> dict[str, Carried]:
    """Those of them that packages carry, by their names."""
    found = {encoder.name: carried.find(encoder.name) for encoder in encoders(study).values()}
    return {name: of for name, of in found.items() if of}


def converted(encoder: Carried) -> Path | None:
    """The folder that `stages.shared.packaged` made of a package's encoder, if it is there."""
    return next(iter(sorted(place().glob(f"{encoder.folder}*"), reverse=True)), None)


def wheel(encoder: Carried) -> Path | None:
    """The package's wheel, if it is there."""
    return next(iter(sorted(place().glob(encoder.wheels))), None)


def place() -> Path:
    return STATE / "packages"


def counted(folder: Path) -> int:
    """The numbers in the safetensors files of a model's folder, read from their headers."""
    total = 0
    for file in folder.rglob("*.safetensors"):
        with file.open("rb") as opened:
            (length,) = struct.unpack("<Q", opened.read(8))
            tensors = json.loads(opened.read(length))
        total += sum(math.prod(t["shape"]) for name, t in tensors.items() if name != "__metadata__")
    return total


def taken(folder: Path) -> int:
    """The bytes of the files in a folder, which need not be there."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def links() -> bool:
    """Whether DVC's cache and the checkout share one copy of a file: by links it was told to make, or by reflinks."""
    from dvc.config import Config, NotDvcRepoError

    try:
        types: list[str] = Config.from_cwd()["cache"].get("type") or ["reflink", "copy"]
    except NotDvcRepoError:
        return False
    first = types[0]
    return first in ("hardlink", "symlink") or (first == "reflink" and _reflinks(Path.cwd()))


def _reflinks(folder: Path) -> bool:
    """Whether the file system of `folder` can share the blocks of a copy."""
    from dvc_objects.fs.system import reflink

    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".reflink-") as draft:
            file = Path(draft) / "a"
            file.write_bytes(b"a")
            reflink(str(file), str(file.with_name("b")))
    except (OSError, NotImplementedError):
        return False
    return True


def _parts(study: Params) -> str:
    counts = {"recipe": len(study.recipes), "re-ranker": len(study.rerankers), "merge": len(study.merges)}
    told = [f"{count} {name}{'s' if count > 1 else ''}" for name, count in counts.items() if count]
    return ", ".join(["the base", *told])


def size(count: float) -> str:
    """Bytes to read: 470 MB."""
    units = ["bytes", "kB", "MB", "GB", "TB"]
    # What rounds to a thousand is one of the next unit.
    while count >= 999.5 and len(units) > 1:
        count, units = count / 1000, units[1:]
    return f"{count:.3g} {units[0]}"


if __name__ == "__main__":
    errors.run(main)
