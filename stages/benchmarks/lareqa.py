"""XQuAD-R and MLQA-R (LAReQA, arXiv 2004.05484): the folders `xquad-r` and `mlqa-dev-r` of the repository
google-research-datasets/lareqa, commit 5405d2a77e83d5ccb47623a3f9e5604c3f103193.

Each sentence is a passage; the right one, in each language that asks the question, is that in which the answer begins
(section 3.1). Paragraphs are named by the first of their questions, so that a paragraph has one name in all languages
of XQuAD-R; sentences are numbered in it, and those of one number need not be parallel. The hub's xquad_r has no
sentences.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from stages.benchmarks.parts import Parts, by_language
from stages.schemas.benchmarks import BENCHMARK_PASSAGES, BENCHMARK_QRELS, BENCHMARK_QUERIES
from stages.shared import files
from stages.shared.codes import Wanted
from stages.shared.errors import UserError

# In the repository's root, in the folder of one of the sets, or in a copy of it.
LAREQA_FOLDERS = {"xquad-r": "xquad-r", "mlqa-r": "mlqa(?:-dev)?-r"}


def read(folder: Path, wanted: Wanted, source: str) -> Parts:
    if list(folder.rglob("*.parquet")) and not list(folder.rglob("*.json")):
        raise UserError(
            f"{folder} has questions without sentences, as the hub's xquad_r: take the folder {source} of the "
            "repository google-research-datasets/lareqa"
        )
    inner = [path for path in folder.iterdir() if path.is_dir()]
    pattern = r"(?P<lang>[^/.]+)\.json"
    if inner:
        pattern = f"{LAREQA_FOLDERS[source]}/{pattern}"
    passages, queries, judged = [], [], []
    for lang, paths in by_language(folder, pattern, wanted, f"{source}/<language>.json").items():
        for path in paths:
            for paragraph in _paragraphs(path):
                questions = paragraph["qas"]
                name = min((str(question["id"]) for question in questions), default=paragraph["place"])
                sentences = [" ".join(sentence.split()) for sentence in paragraph["sentences"]]
                passages += [(f"{name}#{i}", lang, "", sentence) for i, sentence in enumerate(sentences)]
                starts = [start for start, _ in paragraph["sentence_breaks"]]
                for question in questions:
                    queries.append((str(question["id"]), lang, " ".join(question["question"].split())))
                    for answer in question["answers"]:
                        right = max(bisect_right(starts, answer["answer_start"]) - 1, 0)
                        judged.append((str(question["id"]), f"{name}#{right}", lang, 1))
    return Parts(
        pl.LazyFrame(passages, schema=BENCHMARK_PASSAGES, orient="row"),
        pl.DataFrame(queries, schema=BENCHMARK_QUERIES, orient="row"),
        pl.DataFrame(judged, schema=BENCHMARK_QRELS, orient="row").unique(maintain_order=True),
    )


def _paragraphs(path: Path) -> Iterator[dict[str, Any]]:
    """Paragraphs with their place in the file, `article-paragraph`."""
    try:
        articles = json.loads(files.text(path))["data"]
        for i, article in enumerate(articles):
            for j, paragraph in enumerate(article["paragraphs"]):
                if len(paragraph["sentences"]) != len(paragraph["sentence_breaks"]) or not paragraph["sentences"]:
                    raise ValueError(f"paragraph {j} of article {i} has not as many sentences as breaks")
                yield {**paragraph, "place": f"{i}-{j}"}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        what = f"the field {error} is missing" if isinstance(error, KeyError) else error
        raise UserError(f"{path} is not in the layout of LAReQA ({what}): take it from the repository lareqa") from None
