"""`corpus`: where passages come from, and how they are cleaned and split."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from stages.settings.labelled_columns import LabelledColumns
from stages.settings.reading import value
from stages.settings.split import Split
from stages.settings.tags import Language
from stages.settings.types import Count, Group, Name, Positive, Range, or_by_language

FILED = ("tmx", "po", "xliff", "resources", "moses", "markdown", "squad")
JUDGED_SOURCES = ("beir", "squad")

TABULAR = ("jsonl", "parquet", "csv", "datasets")


def _beneath(path: str) -> str:
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise ValueError(
            f"{path!r} is not beneath corpus.path, which is all that DVC watches: set corpus.path above it"
        )
    return path


def _pattern_beneath(pattern: str) -> str:
    _beneath(pattern.removeprefix("!"))
    return pattern


if TYPE_CHECKING:
    Limits = list[int] | dict[str, list[int]]
    Patterns = str | dict[str, list[str]]
else:
    Limits = or_by_language(Range, Range, Language)
    # One or several of each language; "!" before one leaves its files out.
    Several = Annotated[
        list[Annotated[str, AfterValidator(_pattern_beneath)]],
        BeforeValidator(lambda found: [found] if isinstance(found, str) else found),
        Field(min_length=1),
    ]
    Patterns = or_by_language(Annotated[str, AfterValidator(_beneath)], Several, Language)


class Columns(Group):
    id: str | None = None
    text: str
    title: str | None = None
    stratum: str | None = None


class HubSet(Group):
    """A data set that `datasets` reads, from the hub or a folder."""

    name: str | None = None
    config: str | None = None
    split: str = "train"
    revision: str | None = None

    def refuse_unpinned(self) -> None:
        """Raise `ValueError` if it is on the hub and of no revision. Not a validator: what names it says so in turn."""
        if self.name and not Path(self.name).exists() and not self.revision:
            raise ValueError(f"dataset.name {self.name!r} is on the hub: pin its revision (a commit) as well")


class Source(Group):
    """Where passages come from."""

    source: Literal[
        "jsonl", "parquet", "csv", "datasets", "tmx", "po", "xliff", "resources", "moses", "markdown", "beir", "squad"
    ]
    path: str
    columns: Columns | None = None
    dataset: HubSet | None = None
    files: Patterns | None = None
    codes: dict[Language, str] = Field(default_factory=dict)
    original: Language | None = None
    encoding: str = "utf-8"

    @model_validator(mode="after")
    def _fitting(self) -> Source:
        self.check()
        return self

    def check(self) -> None:
        """Raise `ValueError` if keys are set that the kind of source does not read, or missing that it needs."""
        kind = self.source
        if (kind in TABULAR) != (self.columns is not None):
            raise ValueError(f"columns belong to the sources {', '.join(TABULAR)}, and only to them (else write null)")
        if self.dataset is not None and kind != "datasets":
            raise ValueError("dataset belongs to the source datasets, and only to it: write null")
        if self.dataset:
            self.dataset.refuse_unpinned()
        if self.files is not None and kind not in FILED:
            raise ValueError(f"files belong to the sources {', '.join(FILED)}: write null")
        if (
            kind in ("resources", "moses", "markdown", "squad")
            and not isinstance(self.files, dict)
            and "{lang}" not in (self.files or "")
        ):
            raise ValueError(
                f"files must say where {kind} has a language, with {{lang}} in its place or a pattern of each language"
            )
        if isinstance(self.files, dict):
            for lang, patterns in self.files.items():
                if any("{lang}" in pattern for pattern in patterns):
                    raise ValueError(
                        f"files.{lang} has {{lang}}, though it is of one language: write {lang} in its place"
                    )
                if all(pattern.startswith("!") for pattern in patterns):
                    raise ValueError(f"files.{lang} only leaves files out: add a pattern of those to read")
        if self.original is not None and kind != "po":
            raise ValueError("original is the language of a po file's msgids: only the source po has it, so write null")
        try:
            codecs.lookup(self.encoding)
        except LookupError:
            raise ValueError(f"encoding is {self.encoding!r}, which Python does not know: write e.g. cp949") from None


class Part(Source):
    path: Annotated[str, AfterValidator(_beneath)]
    weight: Positive | None = None


class LabelledTable(Group):
    role: Literal["entries", "synthetic", "dev", "test", "labels"]
    file: Annotated[str, AfterValidator(_beneath)] | None = None
    dataset: HubSet | None = None
    rows: dict[str, list[str]] = Field(default_factory=dict)
    columns: LabelledColumns
    language: Language | None = None

    @model_validator(mode="after")
    def _told(self) -> LabelledTable:
        if self.role == "labels" and self.columns.description is None:
            raise ValueError("the role labels needs columns.description: name the column")
        if self.role != "labels" and self.columns.text is None:
            raise ValueError(f"the role {self.role} needs columns.text: name the column")
        if self.dataset is not None and self.file is not None:
            raise ValueError("a table is read from file or from dataset: write one of them")
        if self.language is not None and "{lang}" in (self.columns.text or ""):
            raise ValueError("language is that of a columns.text without {lang}: remove one of the two")
        if self.dataset:
            self.dataset.refuse_unpinned()
        return self


class Labelled(Group):
    """A knowledge base: entries with a label, of which a share is searched and the rest trained on."""

    language: Language
    index: Annotated[float, Field(gt=0, lt=1)]
    tables: dict[Name, LabelledTable]
    out_of_scope: list[str] = Field(default_factory=list)
    similarity: Annotated[str, AfterValidator(_beneath)] | None = None

    @model_validator(mode="after")
    def _searched(self) -> Labelled:
        if not any(table.role == "entries" for table in self.tables.values()):
            raise ValueError("tables has no table of the role entries, and so nothing to search: add one")
        return self


class Duplicates(Group):
    exact: bool
    near: Annotated[float, Field(ge=0.5, lt=1)] | None

    @model_validator(mode="after")
    def _both(self) -> Duplicates:
        if self.near is not None and not self.exact:
            raise ValueError("near finds exact duplicates too: set exact to true, or near to null")
        return self


class Corpus(Source):
    source: Literal[  # type: ignore[assignment]
        "jsonl",
        "parquet",
        "csv",
        "datasets",
        "tmx",
        "po",
        "xliff",
        "resources",
        "moses",
        "markdown",
        "beir",
        "squad",
        "mixed",
        "labelled",
        "none",
    ]
    parts: dict[Name, Part]
    labelled: Labelled | None
    languages: Annotated[list[Language], Field(min_length=1)] | None
    normalize: Literal["NFC", "NFKC"] | None
    chars: Limits
    keep_untranslated: bool
    duplicates: Duplicates
    queries: Literal["none", "inverse-cloze", "source"]
    limit: Count | None
    split: Split

    def check(self) -> None:
        if self.source not in ("none", "mixed"):
            super().check()
        if (self.source == "labelled") != (self.labelled is not None):
            raise ValueError("labelled belongs to the source labelled, and only to it (else write null)")
        if self.source == "labelled" and self.queries != "none":
            raise ValueError("queries: a labelled source has its own, so write none")
        if (self.source == "mixed") != bool(self.parts):
            raise ValueError("parts belong to the source mixed, and only to it: it needs one at least, others {}")
        if len({part.weight is None for part in self.parts.values()}) > 1:
            raise ValueError("parts: give each of them a weight, or none of them")
        if self.queries == "source" and self.source not in JUDGED_SOURCES:
            raise ValueError(f"queries: source needs a source that has queries ({', '.join(JUDGED_SOURCES)})")


def read_corpus() -> Corpus:
    return value("corpus", Corpus)
