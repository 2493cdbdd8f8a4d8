"""How time, memory and disk grow: with passages, with languages, and with stages.

python benchmarks/growth.py passages [--sizes 1e4 1e5 1e6] [--queries 1000] [--dimension 128] [--index IVF1024,Flat]
    ranks the best 100 for each query, exactly in memory, in a mapped file, as float16, and by an index of faiss whose
    recall is told; each a process of its own
python benchmarks/growth.py languages [--sizes 2 3 4 6] [--queries 10000]
    the stage `triples`, for negatives of one direction and of each: compositions, seconds, and bytes on disk, in the
    folder and as DVC's cache has them, where equal files are one
python benchmarks/growth.py stages [--sizes 50 100 200]
    DVC alone: `dvc status`, `dvc repro` with nothing to do and the size of `dvc.lock`, of so many stages of one file
    each in chains of three
"""

from __future__ import annotations

import argparse
import hashlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

SEARCH = """
import re, sys, tempfile, time
from pathlib import Path
sys.path.insert(0, {root!r})
import numpy as np
from stages.settings.candidates import ApproximateIndex
from stages.shared import search
from stages.shared.approximate import Approximate
queries = np.load({folder!r} + "/queries.npy")
corpus = np.load({folder!r} + "/corpus.npy", mmap_mode="r" if {way!r} in ("mapped", "float16") else None)
if {way!r} == "float16":
    corpus = np.concatenate([np.array(corpus[at : at + 2**18], np.float16) for at in range(0, len(corpus), 2**18)])
began, told = time.process_time(), ""
if {way!r} == "index":
    index = Approximate(corpus, ApproximateIndex(factory={index!r}, search="nprobe=32", sample=200))
    told = f", of which the index {{time.process_time() - began:.1f}} s"
    _, _, recall = index.top_k(queries, 100)
    told += f"; recall@100 {{recall:.3f}}"
else:
    search.top_k(queries, corpus, 100)
taken = time.process_time() - began
status = Path("/proc/self/status").read_text()
peak = int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) / 2**20
print(f"of the processor {{taken:.1f}} s{{told}}; peak {{peak:.2f}} GiB")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["passages", "languages", "stages"])
    parser.add_argument("--sizes", type=float, nargs="+")
    parser.add_argument("--queries", type=int)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--index", default="IVF1024,Flat")
    given = parser.parse_args()
    if given.what == "passages":
        passages(given.sizes or [1e4, 1e5, 1e6], given.queries or 1000, given.dimension, given.index)
    elif given.what == "languages":
        languages(given.sizes or [2, 3, 4, 6], given.queries or 10_000)
    else:
        stages(given.sizes or [50, 100, 200])


def passages(sizes: list[float], queries: int, dimension: int, index: str) -> None:
    from benchmarks.search import make

    for size in map(int, sizes):
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), queries, size, dimension)
            for way in ("memory", "mapped", "float16", "index"):
                code = SEARCH.format(root=str(ROOT), folder=folder, way=way, index=index)
                done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
                told = done.stdout.strip() if done.returncode == 0 else done.stderr.strip()[-300:]
                print(f"{size:>10,} passages, {queries:,} queries, {way}: {told}", flush=True)


def languages(sizes: list[float], queries: int) -> None:
    import polars as pl

    from stages.schemas.collected import COLLECTED_PASSAGES, COLLECTED_QRELS, COLLECTED_QUERIES, GROUP_LABELS
    from stages.schemas.negatives import NEGATIVES
    from stages.shared import tables

    for size in map(int, sizes):
        langs = ["en", "ko", "de", "fr", "ja", "ru", "es", "it"][:size]
        for direction in ("en-en", "each"):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                params = (ROOT / "params.yaml").read_text(encoding="utf-8")
                params = re.sub(r"(?m)^languages: .*$", f"languages: [{', '.join(langs)}]", params)
                (folder / "params.yaml").write_text(params, encoding="utf-8")
                numbers = range(queries)
                groups = [f"p{number:07}" for number in numbers]
                rows = [(p, lang, p, "", "text", "train") for p in groups for lang in langs]
                asked = [(f"q{number:07}", lang, "text", "train", "given") for number in numbers for lang in langs]
                collected = folder / "data/collected"
                tables.write(
                    pl.DataFrame(rows, COLLECTED_PASSAGES, orient="row"),
                    collected / "passages.parquet",
                    COLLECTED_PASSAGES,
                )
                tables.write(
                    pl.DataFrame(asked, COLLECTED_QUERIES, orient="row"),
                    collected / "queries.parquet",
                    COLLECTED_QUERIES,
                )
                qrels = pl.DataFrame(
                    [(f"q{number:07}", groups[number], 1) for number in numbers], COLLECTED_QRELS, orient="row"
                )
                tables.write(qrels, collected / "qrels.parquet", COLLECTED_QRELS)
                tables.write(pl.DataFrame(schema=GROUP_LABELS), collected / "labels.parquet", GROUP_LABELS)
                mined = []
                for number in numbers:
                    for a, q in enumerate(langs):
                        for b, n in enumerate(langs):
                            way = (a * size + b) * (direction == "each")
                            own = [groups[(number * 31 + way * 7 + nth * 1009 + 1) % queries] for nth in range(7)]
                            mined.append((f"q{number:07}", q, n, own))
                tables.write(
                    pl.DataFrame(mined, NEGATIVES, orient="row"), folder / "data/negatives/window.parquet", NEGATIVES
                )
                seconds = used()
                command = [sys.executable, "-m", "stages.triples"]
                environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
                subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment)
                seconds = used() - seconds
                files = list((folder / "data/triples").rglob("*.parquet"))
                plain = sum(file.stat().st_size for file in files)
                on_disk = sum({file.stat().st_ino: file.stat().st_size for file in files}.values())
                kept = sum({hashlib.md5(f.read_bytes()).digest(): f.stat().st_size for f in files}.values())
                print(
                    f"{size} languages, {direction}: {len(files)} compositions, of the processor {seconds:.1f} s; "
                    f"{plain / 1e6:.1f} MB as plain files, {on_disk / 1e6:.1f} on disk, {kept / 1e6:.1f} in the cache",
                    flush=True,
                )


def stages(sizes: list[float]) -> None:
    for size in map(int, sizes):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            blocks = []
            for number in range(size):
                before = [] if number % 3 == 0 else [f"out{number - 1}"]
                deps = "".join(f"\n      - {path}" for path in ["params.yaml", *before])
                made = f"    cmd: echo {number} > out{number}\n    deps:{deps}\n    outs:\n      - out{number}\n"
                blocks.append(f"  s{number}:\n{made}")
            (folder / "dvc.yaml").write_text("stages:\n" + "".join(blocks))
            shutil.copy(ROOT / "params.yaml", folder)
            dvc = shutil.which("dvc") or str(Path(sys.executable).with_name("dvc"))
            for command in (["git", "init", "-q"], [dvc, "init", "-q"], [dvc, "repro", "-q"]):
                subprocess.run(command, cwd=folder, check=True, capture_output=True)
            told = []
            for command in (["status"], ["repro"]):
                began, seconds = time.perf_counter(), used()
                subprocess.run([dvc, *command], cwd=folder, check=True, capture_output=True)
                told.append(f"{command[0]} {time.perf_counter() - began:.1f} s (processor {used() - seconds:.1f} s)")
            lock = (folder / "dvc.lock").stat().st_size
            print(f"{size} stages, nothing to do: {', '.join(told)}; dvc.lock {lock / 1000:.0f} kB", flush=True)


def used() -> float:
    """Seconds of processor time of the children that have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


if __name__ == "__main__":
    main()
