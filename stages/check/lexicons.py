"""Contradictions of lexicons: files of languages that they are not in, and what cannot be made before they are."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

from stages.check.groups import Params
from stages.schemas.collected import COLLECTED_FOLDER
from stages.settings.lexicons import Lexicon
from stages.settings.reading import meant
from stages.shared import models


def contradictions(params: Params) -> Iterator[str]:
    for name, lexicon in params.lexicons.items():
        key = f"lexicons.{name}"
        languages = lexicon.languages or params.languages
        known = _known_files(lexicon, languages)
        for given in lexicon.files:
            if given not in known:
                yield f"{key}.files names {given!r}{meant(given, known)}: write some of {', '.join(known)}"
        if lexicon.vectors == "encoder":
            if Path(lexicon.path).is_relative_to(models.MODELS) and Path(lexicon.path) != models.BASE:
                yield (
                    f"{key}.path is {lexicon.path!r}, a model that is made of training sets, and these of lexicons: "
                    f"write {models.BASE}, or the folder of another encoder"
                )
        elif lexicon.source in ("titles", "embeddings") and not lexicon.files and lexicon.path != str(COLLECTED_FOLDER):
            yield f"{key}.path is {lexicon.path!r}, and no files are named: name them, or write {COLLECTED_FOLDER}"


def _known_files(lexicon: Lexicon, languages: list[str]) -> list[str]:
    if lexicon.source == "titles" or lexicon.gives_vectors:
        return languages
    return [f"{one}-{other}" for one, other in permutations(languages, 2)]
