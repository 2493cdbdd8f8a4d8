"""Published layouts in small: `publish` writes them, `made` runs the stage on them."""

import bz2
import gzip
import json
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from stages.schemas.benchmarks import BENCHMARK_LABELS, BENCHMARK_PASSAGES, BENCHMARK_QRELS, BENCHMARK_QUERIES, RERANK
from stages.shared import tables


class Made(NamedTuple):
    passages: list
    queries: list
    qrels: list
    rerank: list


def read(name):
    kinds = {
        "passages": BENCHMARK_PASSAGES,
        "queries": BENCHMARK_QUERIES,
        "qrels": BENCHMARK_QRELS,
        "rerank": RERANK,
    }
    return Made(*(tables.read(f"data/benchmarks/{name}/{k}.parquet", schema).rows() for k, schema in kinds.items()))


def labels(name):
    """The labels of a benchmark's passages and queries; checked against what it says of itself."""
    folder = Path("data/benchmarks") / name
    rows = tables.read(folder / "labels.parquet", BENCHMARK_LABELS).rows()
    assert json.loads((folder / "about.json").read_text()) == {"by_label": bool(rows)}
    return rows


@pytest.fixture
def publish(workspace):
    """Write files beneath the folder `published`: lists of dicts as JSON Lines or Parquet, else text or JSON."""

    def write(files):
        for name, content in files.items():
            path = workspace.path / "published" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name.endswith(".parquet"):
                pl.DataFrame(content).write_parquet(path)
                continue
            if isinstance(content, dict) or name.endswith(".json"):
                content = json.dumps(content)
            elif not isinstance(content, str):
                content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in content)
            data = content.encode()
            packed = {".gz": gzip.compress, ".bz2": bz2.compress}.get(path.suffix, bytes)(data)
            path.write_bytes(packed)

    return write


@pytest.fixture
def made(workspace):
    """The tables of a benchmark with these settings, of `languages`."""

    def make(source, languages=("en", "ko"), **settings):
        path = settings.pop("path", "published")
        workspace.edit(
            languages=["en", "ko"],
            benchmarks__x={"source": source, "path": path, "languages": list(languages), **settings},
        )
        workspace.run("benchmarks", "x")
        return read("x")

    return make
