"""Questions about paragraphs in the layout of SQuAD: XQuAD, MLQA, KorQuAD 1, GermanQuAD and their kin.

JSON as released (`data`, `paragraphs`, `context`, `qas`), or rows with `context`, `question` and `id` (JSON Lines,
arrays, Parquet), as the hub has them. Questions of one id are one question, and their paragraphs one paragraph.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from stages.schemas.texts import QUERIES
from stages.shared import files, records
from stages.shared.errors import UserError

SQUAD_PARAGRAPHS = dict.fromkeys(["passage", "lang", "title", "text"], pl.String)
ASKED_OF = {"query": pl.String, "passage": pl.String, "lang": pl.String, "relevance": pl.Int32}
UNANSWERABLE = "questions that their paragraph does not answer"


class Paragraph(NamedTuple):
    place: str  # file, and where in it
    title: str
    text: str
    questions: dict[str, str | None]  # by id; None: one that it does not answer


def read(found: Mapping[str, Sequence[Path]]) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, int]:
    """Of the files of each language the paragraphs; the questions (QUERIES); which paragraph answers which in each
    language (query, passage, lang, relevance); and how many questions no paragraph answers, which are left out.

    A paragraph is named by the first of its questions that all languages have, so that it has one name in all of them.
    Raises `UserError` if a file is in another layout, or an id stands for two questions.
    """
    by_language = {lang: _paragraphs(paths) for lang, paths in found.items()}
    ids = [{name for one in own for name in one.questions} for own in by_language.values()]
    shared = set.intersection(*ids) if ids else set()
    texts, asked, answers, unanswerable = [], [], [], 0
    for lang, own in by_language.items():
        places: dict[str, str] = {}
        for one in own:
            names = sorted(one.questions.keys() & shared) or sorted(one.questions) or [one.place]
            texts.append((names[0], lang, one.title, one.text))
            for name, question in one.questions.items():
                if places.setdefault(name, one.place) != one.place:
                    raise UserError(f"{one.place} repeats the question {name!r} of {places[name]}: ids must differ")
                if question is None:
                    unanswerable += 1
                else:
                    asked.append((name, lang, question))
                    answers.append((name, names[0], lang, 1))
    return (
        pl.DataFrame(texts, SQUAD_PARAGRAPHS, orient="row"),
        pl.DataFrame(asked, QUERIES, orient="row"),
        pl.DataFrame(answers, ASKED_OF, orient="row"),
        unanswerable,
    )


def _paragraphs(paths: Sequence[Path]) -> list[Paragraph]:
    """The paragraphs of some files, one that several rows have once."""
    found: dict[str, Paragraph] = {}
    for path in paths:
        for one in _read(path):
            before = found.setdefault(one.text, one._replace(questions={}))
            if again := before.questions.keys() & one.questions.keys():
                raise UserError(f"{one.place} repeats the question {min(again)!r} of {before.place}: ids must differ")
            before.questions.update(one.questions)
    return list(found.values())


def _read(path: Path) -> Iterator[Paragraph]:
    place = str(path)
    try:
        if Path(files.plain_name(path)).suffix == ".json" and (articles := _articles(path)) is not None:
            for i, article in enumerate(articles):
                for j, paragraph in enumerate(article["paragraphs"]):
                    place = f"{path}: paragraph {j} of article {i}"
                    yield _paragraph(place, article, paragraph["context"], paragraph["qas"])
        else:
            for place, row in records.rows(path):
                yield _paragraph(place, row, row["context"], [row])
    except (KeyError, TypeError, AttributeError) as error:
        what = f"the field {error} is missing" if isinstance(error, KeyError) else error
        raise UserError(f"{place} is not in the layout of SQuAD ({what}): check the path and its files") from None


def _articles(path: Path) -> list[dict[str, Any]] | None:
    """The articles of a release; None if the file is an array of rows."""
    text = files.text(path)
    if text.lstrip().startswith("["):
        return None
    try:
        found: list[dict[str, Any]] = json.loads(text)["data"]
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON ({error}): is it whole?") from None
    return found


def _paragraph(place: str, titled: dict[str, Any], text: str, asked: list[dict[str, Any]]) -> Paragraph:
    questions = {str(one["id"]): _spaced(one["question"]) if _answerable(one) else None for one in asked}
    # Of SQuAD's titles the words are joined: Super_Bowl_50.
    return Paragraph(place, _spaced(str(titled.get("title") or "").replace("_", " ")), _spaced(text), questions)


def _answerable(asked: dict[str, Any]) -> bool:
    """Whether there is an answer, or it is not told: a list of them, or as the hub has it, lists of their parts."""
    answers = asked.get("answers")
    some = answers is None or bool(answers["text"] if isinstance(answers, dict) else answers)
    return some and not asked.get("is_impossible")


def _spaced(text: str) -> str:
    return " ".join(text.split())
