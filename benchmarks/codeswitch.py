"""How many passages a minute are code-switched, on one core.

python benchmarks/codeswitch.py [--passages 1e5] [--words 56] [--vocabulary 1e5]

makes passages of random words, as common as Zipf has them, and switches them with lexicons that know half of the words:
a target, five targets, names kept, and phrases. The least that it could take is `str.split`, a dictionary and `random`.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from stages.shared import seeds  # noqa: E402
from stages.shared.switching import Switcher  # noqa: E402

TARGETS = ["de", "it", "nl", "ru", "ar"]
AT_ONCE = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("passages", 1e5), ("words", 56), ("vocabulary", 1e5)):
        parser.add_argument(f"--{name}", type=lambda text: int(float(text)), default=int(default))
    given = parser.parse_args()
    rng = np.random.default_rng(1)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    vocabulary = ["".join(rng.choice(letters, length)) for length in rng.integers(2, 11, given.vocabulary)]
    drawn = np.minimum(rng.zipf(1.2, (given.passages, given.words)), given.vocabulary) - 1
    texts = [" ".join(vocabulary[word] for word in row).capitalize() + "." for row in drawn]
    one = {word: word[::-1] for word in vocabulary[::2]}
    phrases = one | {" ".join(pair): "x y" for pair in zip(vocabulary[::2], vocabulary[1::2], strict=True)}

    began = time.perf_counter()
    chance = random.Random(1).random
    for text in texts:
        " ".join(one.get(word, word) if chance() < 0.5 else word for word in text.split())
    least = time.perf_counter() - began
    print(f"{given.passages:,} passages of {given.words} words\n")
    print("| variant | passages a minute | × the least |\n| --- | --: | --: |")
    print(f"| the least | {told(given.passages, least)} | 1.0 |")
    for name, lexicons, more in (
        ("bilingual", {"de": one}, {}),
        ("multilingual", dict.fromkeys(TARGETS, one), {}),
        ("names kept", {"de": one}, {"keep_names": True}),
        ("titles", {"de": phrases}, {"probability": 1.0, "phrases": True}),
    ):
        switcher = Switcher("en", lexicons, **{"probability": 0.5, **more})  # type: ignore[arg-type]
        began = time.perf_counter()
        rows = seeds.numbers(1, [str(number) for number in range(len(texts))])
        for begin in range(0, len(texts), AT_ONCE):
            for _ in switcher(texts[begin : begin + AT_ONCE], rows[begin : begin + AT_ONCE]):
                pass
        seconds = time.perf_counter() - began
        print(f"| {name} | {told(given.passages, seconds)} | {seconds / least:.1f} |")


def told(passages: int, seconds: float) -> str:
    return f"{60 * passages / seconds:,.0f}"


if __name__ == "__main__":
    main()
