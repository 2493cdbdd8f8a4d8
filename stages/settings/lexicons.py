"""`lexicons`: what words are in another language, by texts, vectors, titles or dictionaries."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stages.settings.reading import value
from stages.settings.tags import Language
from stages.settings.types import Count, Group

# The settings that are of some sources alone.
OF_SOURCE = {
    "text": ("alignment",),
    "vectors": ("embeddings",),
    "csls": ("embeddings",),
    "dimension": ("embeddings",),
    "vocabulary": ("embeddings",),
    "columns": ("dictionary", "embeddings"),
    "files": ("embeddings", "titles", "dictionary"),
}


class DictionaryColumns(Group):
    word: str
    translation: str
    score: str | None = None


class Lexicon(Group):
    source: Literal["alignment", "embeddings", "titles", "dictionary", "llm"]
    # What it is made of, a file or folder, on which its stage depends; of llm the prompt.
    path: str
    # Beneath `path`: of each language (vectors, dumps) or pair of them (dictionaries).
    files: dict[str, str] = Field(default_factory=dict)
    text: str = "{lang}"
    vectors: Literal["given", "encoder", "learnt"] = "given"
    csls: Count | None = 10
    dimension: Count = 256
    vocabulary: Count = 200_000
    columns: DictionaryColumns | None = None
    languages: Annotated[list[Language], Field(min_length=2)] | None = None
    stems: bool = True
    threshold: float = 0.0
    most: Count | None = 3

    @model_validator(mode="after")
    def _of_one_source(self) -> Lexicon:
        for key in sorted(self.model_fields_set & {*OF_SOURCE}):
            if self.source not in OF_SOURCE[key]:
                raise ValueError(f"{key} is of {' and '.join(OF_SOURCE[key])}, and this is {self.source}: remove it")
        if self.source == "embeddings" and self.most is None:
            raise ValueError("most null would be all words of the other language: write a number")
        if (self.source == "dictionary" or self.gives_vectors) and not self.files:
            each = "pair of languages, {en-ko: en-ko.tsv}" if self.source == "dictionary" else "language"
            raise ValueError(f"files is missing: name the file beneath path of each {each}")
        return self

    @property
    def gives_vectors(self) -> bool:
        return self.source == "embeddings" and self.vectors == "given"

    @property
    def of_forms(self) -> bool:
        """Whether its words are as they stand somewhere, and not stems."""
        return not self.stems or self.source in ("titles", "dictionary") or self.gives_vectors


def read_lexicon(name: str) -> Lexicon:
    return value(f"lexicons.{name}", Lexicon)
