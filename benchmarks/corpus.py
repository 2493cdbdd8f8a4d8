"""How long `corpus` takes for millions of pairs, and how much memory.

python benchmarks/corpus.py [--pairs 1e7] [--near 0.9] [--folder /tmp]

writes made-up line pairs (Moses, about 95 and 47 characters), of which 5 in 100 repeat an earlier pair, 5 its English
alone, and 5 its English but for the last letter; then runs `python -m stages.corpus` on them in a workspace of its own,
which is removed afterwards. Without --near only exact duplicates are looked for.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from stages.settings import yaml12  # noqa: E402

GROUPS = 100_000  # of words, three of which make a text
CHUNK = 500_000
LETTERS = {
    "en": "etaoinshrdlucmfwypvbgk",
    "ko": "가나다라마바사아자차하고노도로모보소오조은는이을를에서의와과만지기시리",
}
WORDS = {"en": (5, 3, 9), "ko": (4, 2, 5)}  # of a group; letters of a word, from and to


def word_groups(lang: str, random: np.random.Generator) -> pl.Series:
    words, least, most = WORDS[lang]
    lengths = random.integers(least, most, (GROUPS, words))
    letters = np.array(list(LETTERS[lang]))[random.integers(0, len(LETTERS[lang]), lengths.sum())]
    ends = np.cumsum(lengths.ravel()).tolist()
    text = "".join(letters)
    found = [text[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    return pl.Series([" ".join(found[at : at + words]) for at in range(0, len(found), words)])


def write(folder: Path, pairs: int) -> None:
    """Write pairs.en and pairs.ko; what a chunk repeats is of the chunk before it."""
    random = np.random.default_rng(1)
    groups = {lang: word_groups(lang, random) for lang in LETTERS}
    chunk = min(CHUNK, max(1, pairs // 10))
    used = {lang: np.zeros((chunk, 3), np.int64) for lang in LETTERS}
    files = {lang: (folder / f"pairs.{lang}").open("wb") for lang in LETTERS}
    for begin in range(0, pairs, chunk):
        count = min(chunk, pairs - begin)
        kind, earlier = random.random(count), random.integers(0, chunk, count)
        for lang, file in files.items():
            again = (kind < 0.15 if lang == "en" else kind < 0.05) & (begin > 0)
            places = random.integers(0, GROUPS, (count, 3))
            places[again] = used[lang][earlier[again]]
            text = pl.select(pl.concat_str([groups[lang][places[:, i]] for i in range(3)], separator=" ")).to_series()
            if lang == "en":
                clipped = pl.Series((kind >= 0.1) & again)
                text = pl.select(pl.when(clipped).then(text.str.head(-1)).otherwise(text)).to_series()
            pl.DataFrame({"text": text}).write_csv(file, include_header=False, quote_style="never")
            used[lang][:count] = places
    for file in files.values():
        file.close()


def prepare(folder: Path, near: float | None) -> None:
    tree = yaml12.load(ROOT / "params.yaml")
    tree["corpus"] |= {"source": "moses", "path": "lines", "files": "pairs.{lang}", "columns": None}
    tree["corpus"]["duplicates"] = {"exact": True, "near": near}
    tree["corpus"]["split"] = {"train": 0.98, "dev": 0.01, "test": 0.01}
    (folder / "params.yaml").write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=lambda text: int(float(text)), default=10_000_000)
    parser.add_argument("--near", type=float)
    parser.add_argument("--folder", type=Path, help="where the workspace is made: for 10 million pairs some 10 GB")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        (folder / "lines").mkdir()
        # In a process of its own: what this one has held when it starts the stage would count as the stage's memory.
        writer = multiprocessing.get_context("spawn").Process(target=write, args=(folder / "lines", given.pairs))
        writer.start()
        writer.join()
        prepare(folder, given.near)
        size = sum(file.stat().st_size for file in (folder / "lines").iterdir())
        begin = time.perf_counter()
        stage = subprocess.Popen([sys.executable, "-m", "stages.corpus"], cwd=folder, env={"PYTHONPATH": str(ROOT)})
        _, status, usage = os.wait4(stage.pid, 0)
        seconds, memory = time.perf_counter() - begin, usage.ru_maxrss / 2**10
        if status:
            sys.exit("corpus failed")
        report = json.loads((folder / "metrics/corpus.json").read_text(encoding="utf-8"))
    print(f"{given.pairs:,} pairs of {size / 2**20:,.0f} MB, near duplicates: {given.near or 'not looked for'}")
    print(f"{seconds:,.0f} s, {given.pairs / seconds:,.0f} pairs/s, {memory:,.0f} MB of memory at most")
    for key in ("left_out", "duplicates", "passages"):
        print(f"{key}: {json.dumps(report[key])}")


if __name__ == "__main__":
    main()
