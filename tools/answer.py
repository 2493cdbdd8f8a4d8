"""python -m tools.answer --model FOLDER TEXT ...: what a knowledge base answers, the label of the nearest entry.

The index of the model's entries is made by the stage `index`. With --jsonl, rows {"text": ...} or plain lines are read
from a file or standard input (a line that begins with {" is a row), and for each a JSON line is written, in order:
{"id" (if the row has one), "label", "score", "entries": [{"entry", "label", "text", "score"}, ...]}. What has arrived
is answered at once, so that the tool can stand in a pipe between two programs that talk.

No entry fits, and the label is null, if the best score is below --threshold or the model knows nothing of the text.
"""

from __future__ import annotations

import os

# Before faiss is there: threads that spin while they wait take a busy machine's time from those that work.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import argparse
import json
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import faiss
import numpy as np

from stages.index import store
from stages.shared import encoder, errors, files, models, search, terminal
from stages.shared.errors import UserError
from tools import indexes

# Bytes of input that are answered at once, at most (a line may be longer).
INPUT_BLOCK = 2**15
# Texts from which all are compared in one matrix product: 5 times as fast as one by one, faiss's choice for hundreds.
COMPARED_TOGETHER = 20
STDIN = "-"


class AskedRow(NamedTuple):
    text: str
    given: dict[str, Any]  # the id, if the row has one


class Nearest(NamedTuple):
    """Of each text, the nearest entries (row numbers and scores, [texts, top], best first) and if the first fits."""

    rows: np.ndarray
    scores: np.ndarray
    fits: np.ndarray


def main() -> None:
    arguments = parse()
    model = resolved(arguments.model)
    index = indexes.load(arguments.index or indexes.find(model), model)
    faiss.cvar.distance_compute_blas_threshold = COMPARED_TOGETHER
    loaded = encoder.load(model, arguments.batch_size, arguments.trust_remote_code)

    def nearest(texts: list[str]) -> Nearest:
        vectors = loaded.encode(texts, "query")
        scores, rows = search.top_k(vectors, index.vectors, arguments.top)
        fits = scores[:, 0] >= (-np.inf if arguments.threshold is None else arguments.threshold)
        # Without a known token a vector is zero, and all entries are as near.
        return Nearest(rows, scores, fits & vectors.any(axis=1))

    if arguments.jsonl is None:
        for text in arguments.texts:
            check(text, ascii(text))
        show(arguments.texts, nearest(arguments.texts), index)
    elif arguments.jsonl == STDIN:
        stream(sys.stdin.buffer, "standard input", index, nearest)
    else:
        if not Path(arguments.jsonl).is_file():
            raise UserError(f"{arguments.jsonl} is no file: name one, or write --jsonl alone to read standard input")
        with files.opened(arguments.jsonl) as opened:
            stream(opened, arguments.jsonl, index, nearest)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.answer", description=__doc__.split("\n\n")[0])
    parser.add_argument("texts", nargs="*", metavar="TEXT")
    parser.add_argument("--model", type=Path, required=True, help="models/trained/<name>, or models/<name> for short")
    parser.add_argument("--index", type=Path, help="default: the one in models/indexes that is the model's")
    parser.add_argument("--top", type=_count, default=5, metavar="N", help="nearest entries (default: 5)")
    parser.add_argument("--threshold", type=float, metavar="T", help="no entry fits that has a lower score")
    parser.add_argument(
        "--jsonl", nargs="?", const=STDIN, metavar="FILE", help="read rows; without FILE: standard input"
    )
    parser.add_argument(
        "--batch-size", type=_count, default=64, metavar="N", help="texts encoded at once (default: 64)"
    )
    parser.add_argument("--trust-remote-code", action="store_true", help="run code that came with the model")
    arguments = parser.parse_args()
    if bool(arguments.texts) == (arguments.jsonl is not None):
        parser.error("give either texts or --jsonl")
    return arguments


def _count(text: str) -> int:
    if int(text) < 1:
        raise ValueError
    return int(text)


def resolved(model: Path) -> Path:
    """The folder of `model`, in which models/<name> stands for a trained or merged one; raises `UserError`."""
    short = [folder / model.name for folder in (models.TRAINED, models.MERGED)] if model.parent == models.MODELS else []
    found = [folder for folder in (model, *short) if (folder / "modules.json").is_file()]
    if not found:
        raise UserError(f"{model} holds no model: name a folder such as models/base or models/trained/<name>")
    if len(found) > 1:
        raise UserError(f"{model} may be {' or '.join(map(str, found))}: write which")
    return found[0]


def stream(opened: BinaryIO, name: str, index: indexes.LoadedIndex, nearest: Callable[[list[str]], Nearest]) -> None:
    """Write a JSON line for each row of `opened`. A bad row raises `UserError` when those before it are answered."""
    columns = [index.entries[column].to_list() for column in store.INDEX_ENTRIES]
    labels = index.entries["label"].to_list()
    heads: dict[int, str] = {}  # an entry's JSON up to its score

    def entry(row: int, score: float) -> str:
        if row not in heads:
            heads[row] = _json({name: values[row] for name, values in zip(store.INDEX_ENTRIES, columns, strict=True)})[
                :-1
            ]
        return f'{heads[row]}, "score": {score:.6f}}}'

    for batch in batches(opened, name):
        found = nearest([row.text for row in batch])
        answered = []
        for (_, given), rows, scores, fits in zip(batch, *(part.tolist() for part in found), strict=True):
            head = _json(given | {"label": labels[rows[0]] if fits else None})[:-1]
            entries = ", ".join(map(entry, rows, scores))
            answered.append(f'{head}, "score": {scores[0]:.6f}, "entries": [{entries}]}}\n')
        sys.stdout.buffer.write("".join(answered).encode())
        sys.stdout.buffer.flush()


def batches(opened: BinaryIO, name: str) -> Iterator[list[AskedRow]]:
    """The rows of each part of the input as it arrives, without empty lines."""
    number, rest, ended = 0, b"", False
    while not ended:
        # What is there, and not a whole block: who waits for an answer sends no more.
        block = opened.read1(INPUT_BLOCK)  # type: ignore[attr-defined]
        ended = not block
        *lines, rest = (rest + block).split(b"\n")
        if ended and rest:
            lines.append(rest)
        batch: list[AskedRow] = []
        try:
            for line in lines:
                number += 1
                if line.strip():
                    batch.append(_row(line, f"{name}:{number}"))
        except UserError:
            if batch:
                yield batch
            raise
        if batch:
            yield batch


def _row(line: bytes, place: str) -> AskedRow:
    try:
        text = line.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise UserError(f"{place} is not UTF-8 ({error.reason}): save the file as UTF-8") from None
    # A question may begin with a placeholder, such as {name}.
    if not re.match(r"\{\s*([\"'}]|$)", text):
        return AskedRow(text, {})
    try:
        row = json.loads(text)
    except ValueError as error:
        raise UserError(f"{place} is not JSON ({getattr(error, 'msg', error)}): mend or remove the line") from None
    except RecursionError:
        raise UserError(f"{place} is nested too deeply: mend or remove the line") from None
    if not isinstance(row.get("text"), str):
        raise UserError(f'{place} has no text: write a row as {{"text": "..."}}')
    given = {"id": row["id"]} if "id" in row else {}
    try:
        written = json.dumps(given, ensure_ascii=False, allow_nan=False)
    except ValueError:
        raise UserError(f"{place} has an id that is not JSON (NaN or Infinity): mend it") from None
    check(row["text"] + written, place)
    return AskedRow(row["text"], given)


def check(text: str, place: str) -> None:
    """Raise `UserError` if `text` holds half a character, which neither tokenizers nor files take."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(f"{place} is not UTF-8 (it holds a lone surrogate): mend the text") from None


def show(texts: list[str], found: Nearest, index: indexes.LoadedIndex) -> None:
    """Print what people read: the answer's label, then the nearest entries, each with its score."""
    for text, rows, scores, fits in zip(texts, found.rows.tolist(), found.scores, found.fits, strict=True):
        near = index.entries[rows]
        if len(texts) > 1:
            print(f"\n{text}" if text is not texts[0] else text)
        print(f"{scores[0]:.4f}  {near['label'][0] if fits else 'no entry fits'}")
        width = max(map(len, near["label"]))
        for score, (entry, label, said) in zip(scores, near.iter_rows(), strict=True):
            print(f"  {score:.4f}  {label:{width}}  {said}  ({entry})")


def _json(value: Any) -> str:
    """JSON of one line; raises `ValueError` for numbers that it does not know."""
    return terminal.printable(json.dumps(value, ensure_ascii=False, allow_nan=False))


if __name__ == "__main__":
    # As filters do, it ends quietly when nobody reads further or on Ctrl-C, also while it waits for input.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    errors.run(main)
