"""`params.yaml`, typed: every key a study can set, and what it may be.

A stage calls `read` with the keys it declares in `dvc.yaml` and gets those values only. The whole file is
validated each time, so that a mistake anywhere stops the first stage that runs.
"""

from __future__ import annotations

import codecs
import contextlib
import difflib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from stages.shared import yaml12
from stages.shared.errors import UserError
from stages.shared.languages import composition, is_language

PARAMS = Path("params.yaml")
BASE = "base"


def _language(tag: str) -> str:
    if not is_language(tag):
        raise ValueError(f"{tag!r} is no language tag: write a BCP-47 code such as en, ko or hi-Latn")
    return tag


def _model_name(name: str) -> str:
    # Names become file, stage and override names (DVC's `-S`), so only what all three take.
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise ValueError(f"{name!r} is no name: use letters, digits, - and _, beginning with a letter")
    return name


def _variable(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):  # not repeated: it may be a key
        raise ValueError("what is given is no name of an environment variable: write its name here, and never the key")
    return name


Language = Annotated[str, AfterValidator(_language)]
Name = Annotated[str, AfterValidator(_model_name)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
SPLITS = ("train", "dev", "test")


class Group(BaseModel):
    """A group of keys: unknown keys are refused."""

    # Strict: "2e-5" in quotes or `true` is no number.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())


def _range(bounds: list[int]) -> list[int]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"{bounds} begins above its end: write the least, then the most")
    return bounds


Range = Annotated[list[int], Field(min_length=2, max_length=2), AfterValidator(_range)]


class Fetch(Group):
    repo: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    revision: Annotated[str, Field(min_length=1)]
    files: Annotated[list[str], Field(min_length=1)]


class Columns(Group):
    id: str | None = None
    text: str
    title: str | None = None
    stratum: str | None = None


class Split(Group):
    train: Share
    dev: Share
    test: Share

    @model_validator(mode="after")
    def _whole(self) -> Split:
        if abs(self.train + self.dev + self.test - 1) > 1e-9:
            raise ValueError("train, dev and test must add up to 1")
        return self


FILED = ("tmx", "po", "xliff", "moses", "markdown")
TABULAR = ("jsonl", "parquet", "csv", "datasets")


class HubSet(Group):
    """A data set that `datasets` reads, from the hub or a folder."""

    name: str | None = None
    config: str | None = None
    split: str = "train"
    revision: str | None = None


class Source(Group):
    """Where passages come from."""

    source: Literal["jsonl", "parquet", "csv", "datasets", "tmx", "po", "xliff", "moses", "markdown", "beir"]
    path: str
    columns: Columns | None = None
    dataset: HubSet | None = None
    files: str | None = None
    codes: dict[Language, str] = {}
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
        if self.dataset and self.dataset.name and not Path(self.dataset.name).exists() and not self.dataset.revision:
            raise ValueError(f"dataset.name {self.dataset.name!r} is on the hub: pin its revision (a commit) as well")
        if self.files is not None and kind not in FILED:
            raise ValueError(f"files belong to the sources {', '.join(FILED)}: write null")
        if kind in ("moses", "markdown") and "{lang}" not in (self.files or ""):
            raise ValueError(f"files must say where {kind} has a language, with {{lang}} in its place")
        if (kind == "po") != (self.original is not None):
            raise ValueError("original is the language of a po file's msgids: the source po needs it, and only it")
        try:
            codecs.lookup(self.encoding)
        except LookupError:
            raise ValueError(f"encoding is {self.encoding!r}, which Python does not know: write e.g. cp949") from None


class Part(Source):
    weight: Positive | None = None


class LabelledColumns(Group):
    """Where a labelled row has what; `label` may be several columns, the parts of a hierarchical label."""

    id: str | None = None
    text: str | None = None
    label: str | Annotated[list[str], Field(min_length=1)]
    description: str | None = None


def _beneath(path: str) -> str:
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise ValueError(
            f"{path!r} is not beneath corpus.path, which is all that DVC watches: set corpus.path above it"
        )
    return path


class LabelledTable(Group):
    role: Literal["entries", "synthetic", "dev", "test", "labels"]
    file: Annotated[str, AfterValidator(_beneath)] | None = None
    dataset: HubSet | None = None
    rows: dict[str, list[str]] = {}
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
        if self.dataset and self.dataset.name and not Path(self.dataset.name).exists() and not self.dataset.revision:
            raise ValueError(f"dataset.name {self.dataset.name!r} is on the hub: pin its revision (a commit) as well")
        return self


class Labelled(Group):
    """A knowledge base: entries with a label, of which a share is searched and the rest trained on."""

    language: Language
    index: Annotated[float, Field(gt=0, lt=1)]
    tables: dict[Name, LabelledTable]
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
        "moses",
        "markdown",
        "beir",
        "mixed",
        "labelled",
        "none",
    ]
    parts: dict[Name, Part]
    labelled: Labelled | None
    languages: Annotated[list[Language], Field(min_length=1)] | None
    normalize: Literal["NFC", "NFKC"] | None
    chars: Range
    duplicates: Duplicates
    queries: Literal["none", "held-out-lead", "source"]
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
        if self.queries == "source" and self.source != "beir":
            raise ValueError("queries: source needs a source that has queries (beir)")


class Prices(Group):
    """US dollars per million tokens."""

    input: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)]


# What a request is made of besides `llm.parameters`.
OWN = ("model", "messages", "response_format", "seed", "n", "stream")
LENGTHS = ("max_completion_tokens", "max_tokens")


class Llm(Group):
    provider: Literal["recorded", "openai"]
    mode: Literal["direct", "batch"]
    model: str
    recorded: str
    base_url: str | None
    key_env: Annotated[str, AfterValidator(_variable)] | None
    key_header: str | None
    query: dict[str, str]
    structured: Literal["auto", "schema", "json", "none"]
    parameters: dict[str, Any]
    seed: int | None
    cache: str | None
    concurrency: Count
    requests_per_minute: Count | None
    tokens_per_minute: Count | None
    timeout: Positive
    retries: Annotated[int, Field(ge=0)]
    patience: Positive
    reasks: Annotated[int, Field(ge=0)]
    max_failed: Share
    prices: Prices | None
    max_cost_usd: Positive | None
    batch_size: Annotated[int, Field(ge=1, le=50_000)]
    poll_seconds: Positive

    @property
    def longest_reply(self) -> int | None:
        """The most tokens a reply may have; None: nothing bounds it."""
        given = [self.parameters[name] for name in LENGTHS if name in self.parameters]
        return given[0] if given else None

    @model_validator(mode="after")
    def _sendable(self) -> Llm:
        for name in OWN:
            if name in self.parameters:
                raise ValueError(f"parameters.{name} is set by the stage itself: remove it")
        if self.longest_reply is not None and (type(self.longest_reply) is not int or self.longest_reply < 1):
            raise ValueError(f"parameters: a reply's greatest length is {self.longest_reply!r}: write a whole number")
        if self.max_cost_usd is not None and (self.prices is None or self.longest_reply is None):
            raise ValueError(
                "max_cost_usd needs prices, and max_completion_tokens (or max_tokens) in parameters: "
                "without them nothing bounds what a request costs"
            )
        if self.base_url is not None and not self.base_url.startswith(("http://", "https://")):
            raise ValueError(f"base_url is {self.base_url!r}: write a URL such as http://localhost:8000/v1")
        return self


class PassageQueries(Group):
    per_passage: Annotated[int, Field(ge=0)]
    written: Literal["each", "once"]
    prompt: str


class Topics(Group):
    taxonomy: str
    per_topic: Annotated[int, Field(ge=0)]
    prompt: str
    query_types: Annotated[list[str], Field(min_length=1)]
    lengths: Annotated[list[str], Field(min_length=1)]
    difficulties: Annotated[list[str], Field(min_length=1)]
    registers: Annotated[list[str], Field(min_length=1)]


class Translation(Group):
    of: Literal["passages", "queries"]
    source: Language
    target: Language

    @model_validator(mode="after")
    def _apart(self) -> Translation:
        if self.source == self.target:
            raise ValueError(f"source and target are both {self.source}: name two languages")
        return self


class LabelledQueries(Group):
    per_label: Annotated[int, Field(ge=0)]
    language: Language
    examples_language: Language
    examples: Annotated[int, Field(ge=0)]
    prompt: str


class Filters(Group):
    script: Share | None
    language: Share | None
    query_chars: Range | None
    passage_chars: Range | None
    boilerplate: bool
    copied: Share | None
    untranslated: Share | None
    duplicates: bool
    near_duplicates: Share | None
    label_leak: bool


class Synthesize(Group):
    queries: PassageQueries
    topics: Topics
    translations: dict[Name, Translation]
    labelled: LabelledQueries
    translate_prompt: str
    varieties: dict[Language, str]
    filters: Filters


class Static(Group):
    vocabulary: Count
    dimension: Count
    steps: Count
    batch_size: Count
    learning_rate: Positive
    temperature: Positive


class Prompts(Group):
    query: str
    passage: str


def _word_or(word: str, other: Any) -> Any:
    """The type of `word` itself or of `other`; a mistake is then one sentence, about the one that was meant."""
    kind = Discriminator(lambda value: "word" if isinstance(value, str) else "[key]")
    return Annotated[Annotated[Literal[word], Tag("word")] | Annotated[other, Tag("[key]")], kind]


if TYPE_CHECKING:
    PromptsOrNone = Prompts | Literal["none"]
    Targets = list[str] | Literal["all-linear"]
else:
    PromptsOrNone = _word_or("none", Prompts)
    Targets = _word_or("all-linear", Annotated[list[str], Field(min_length=1)])


class Encoder(Group):
    """A pretrained model, and what is set that it does not say of itself; null: its preset, then its own files."""

    name: str
    revision: str | None
    preset: str | None
    pooling: Literal["cls", "mean", "lasttoken", "max"] | None
    prompts: PromptsOrNone | None
    max_length: Count | None
    padding: Literal["left", "right"] | None
    dtype: Literal["float32", "bfloat16", "float16"]
    attention: Literal["eager", "sdpa", "flash_attention_2"] | None
    trust_remote_code: bool


class Normalize(Group):
    """What is done to queries before they are encoded."""

    elongation: bool
    script: bool
    spelling: bool


class Base(Encoder):
    normalize: Normalize | None
    static: Static


class Candidates(Group):
    depth: Count
    batch_size: Count


class LabelWeights(Group):
    """How alike two labels are: a weighted mean of measures of it, and what is done to the matrix."""

    similarity: Annotated[dict[Literal["descriptions", "centroids", "path", "given"], Positive], Field(min_length=1)]
    level: Count | None = None
    noise: Share = 0.0


class Negatives(Group):
    k: Count
    direction: str = "each"
    random: Annotated[int, Field(ge=0)] = 0
    rank_min: Count | None = None
    rank_max: Count | None = None
    absolute_margin: float | None = None
    relative_margin: float | None = None
    min_score: float | None = None
    max_score: float | None = None
    labels: LabelWeights | None = None
    pick: Literal["random", "weighted", "top"] = "random"
    temperature: Positive = 1.0
    floor: Share = 0.0
    written: bool = False
    round_trip: Count | None = None

    @property
    def chosen(self) -> int:
        """How many of the k are chosen, by ranks or by labels; the others are drawn from all passages."""
        return self.k - self.random

    @property
    def by_rank(self) -> bool:
        return self.chosen > 0 and self.labels is None

    @model_validator(mode="after")
    def _chosen_somehow(self) -> Negatives:
        if self.chosen < 0:
            raise ValueError(f"random is {self.random}, more than k = {self.k}: lower it")
        ranked = [self.rank_min, self.rank_max, self.absolute_margin, self.relative_margin, self.min_score]
        ranked += [self.max_score, self.round_trip]
        if not self.by_rank and (self.written or any(value is not None for value in ranked)):
            raise ValueError(
                "ranks, margins, scores, round_trip and written belong to negatives that the teacher's ranking gives, "
                "not to those by labels or at random alone: write null"
            )
        if self.by_rank and (self.rank_min is None or self.rank_max is None):
            raise ValueError(
                f"of k = {self.k} only random = {self.random} are random: add rank_min and rank_max, or labels"
            )
        if self.by_rank and self.rank_max - self.rank_min + 1 < self.chosen:  # type: ignore[operator]
            raise ValueError(f"the window rank_min..rank_max must hold at least k = {self.chosen} ranks")
        return self


class Triples(Group):
    positives: Count | None


class Recipe(Group):
    compositions: Annotated[list[str], Field(min_length=1)]
    negatives: str
    hybrid: Share | None = None
    synthetic: Share | None = None


class Lora(Group):
    rank: Count
    alpha: Positive
    targets: Targets
    dropout: Annotated[float, Field(ge=0, lt=1)]


class Train(Group):
    steps: Count
    batch_size: Count
    mini_batch_size: Count | None
    learning_rate: Positive
    warmup: Share
    weight_decay: Annotated[float, Field(ge=0)]
    temperature: Positive
    in_batch: bool
    precision: Literal["fp32", "bf16", "fp16"]
    gradient_checkpointing: bool
    lora: Lora | None
    max_length: Count | None
    log_every: Count
    checkpoint_every: Count

    @model_validator(mode="after")
    def _logged(self) -> Train:
        if self.log_every > self.steps:
            raise ValueError(f"log_every is {self.log_every}, but there are only {self.steps} steps: lower it")
        return self


class Merge(Group):
    method: Literal["linear"]
    weights: Annotated[dict[Name, float], Field(min_length=2)]

    @model_validator(mode="after")
    def _weighted(self) -> Merge:
        if abs(sum(self.weights.values())) < 1e-9:
            raise ValueError("the weights add up to 0, so there is nothing to average")
        return self


METRIC = re.compile(r"(ndcg|mrr|map|recall|accuracy)@([1-9]\d*)")


def _metric(name: str) -> str:
    if not METRIC.fullmatch(name):
        raise ValueError(f"{name!r} is no metric: write ndcg@K, mrr@K, map@K, recall@K or accuracy@K")
    return name


Metric = Annotated[str, AfterValidator(_metric)]


class IntentColumns(Group):
    text: str
    label: str
    id: str | None = None


class Benchmark(Group):
    source: Literal[
        "held-out",
        "beir",
        "belebele",
        "strategyqa",
        "xquad-r",
        "mlqa-r",
        "miracl",
        "mmarco",
        "mkqa",
        "feverous",
        "intents",
        "massive",
        "mtop",
        "hinglish-top",
    ]
    path: str
    split: str | None = None
    languages: Annotated[list[Language], Field(min_length=1)] | None = None
    columns: IntentColumns | None = None
    rerank: str | None = None
    queries: Count | None = None
    passages: Count | None = None
    metric: Metric | None = None
    max_contamination: Share | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Benchmark:
        if self.source == "held-out" and self.split not in ("dev", "test"):
            raise ValueError("the source held-out needs a split, dev or test")
        if (self.source == "intents") != (self.columns is not None):
            raise ValueError("columns belong to the source intents, and only to it")
        return self


# What metrics/summary.json has beside the benchmarks.
SUMMARY = ("metric", "selected_on", "best_recipe", "chosen_model", "contamination")


class Contamination(Group):
    near: Annotated[float, Field(ge=0.5, lt=1)] | None
    examples: Annotated[int, Field(ge=0)]


class Retrieve(Group):
    depth: Count
    batch_size: Count


class Score(Group):
    metrics: Annotated[list[Metric], Field(min_length=1)]


class Labels(Group):
    precision: Share
    bins: Count
    confusions: Annotated[int, Field(ge=0)]


class Index(Group):
    """A model's index of entries, which `stages.answer` searches."""

    model: str
    path: str
    rows: dict[str, list[str]] = {}
    columns: LabelledColumns

    @model_validator(mode="after")
    def _readable(self) -> Index:
        if self.columns.text is None:
            raise ValueError("columns.text is missing: name the column of the entries' texts")
        return self


class Compare(Group):
    metric: Metric
    select_on: Name
    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    resamples: Count
    correction: Literal["holm", "bonferroni"]


class Report(Group):
    title: str


class Params(Group):
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    languages: Annotated[list[Language], Field(min_length=1)]
    fetch: dict[Name, Fetch]
    corpus: Corpus
    llm: Llm
    synthesize: Synthesize
    base: Base
    teacher: Encoder
    candidates: Candidates
    negatives: Annotated[dict[Name, Negatives], Field(min_length=1)]
    triples: Triples
    recipes: Annotated[dict[Name, Recipe], Field(min_length=1)]
    train: Train
    merges: dict[Name, Merge]
    benchmarks: Annotated[dict[Name, Benchmark], Field(min_length=1)]
    contamination: Contamination
    retrieve: Retrieve
    score: Score
    labels: Labels
    compare: Compare
    report: Report
    indexes: dict[Name, Index]


def read(*keys: str) -> Any:
    """The values of `keys` (`seed`, `train`, `merges.<name>`) in `params.yaml`, one value alone or a tuple.

    Raises `UserError`, one sentence a mistake, if the file cannot be read, a key is unknown or missing, a value
    has the wrong type, or names contradict each other.
    """
    values: list[Any] = []
    params = load()
    for key in keys:
        value: Any = params
        for part in key.split("."):
            try:
                value = value[part] if isinstance(value, dict) else getattr(value, part)
            except (KeyError, AttributeError):
                raise UserError(f"{PARAMS} has no {key}{_meant(part, value)}") from None
        values.append(value)
    return values[0] if len(values) == 1 else tuple(values)


def load(path: Path = PARAMS) -> Params:
    """Read and validate the whole file; raises `UserError`."""
    try:
        tree = yaml12.load(path)
    except OSError:
        raise UserError(f"{path} is missing here: run from the repository's root") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8: save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{line} is not YAML: {getattr(error, 'problem', error)}") from None
    return validate(tree, path)


def validate(tree: Any, path: Path = PARAMS) -> Params:
    """`tree` as typed params; raises `UserError` naming each key that is wrong and its mend."""
    try:
        params = Params.model_validate(tree)
    except ValidationError as error:
        raise UserError("\n".join(_sentence(e, path) for e in error.errors())) from None
    mistakes = list(_contradictions(params))
    if mistakes:
        raise UserError("\n".join(f"{path}: {mistake}" for mistake in mistakes))
    return params


def _contradictions(params: Params) -> Any:
    """What no single key shows: names that nothing makes, and names that are made twice."""
    languages = params.languages
    if len(set(languages)) < len(languages):
        yield "languages names one twice: name each once"
    yield from _untranslated(params)
    for name, strategy in params.negatives.items():
        pairs = [f"{q}-{c}" for q in languages for c in languages]
        if strategy.direction not in ("each", *pairs):
            yield (
                f"negatives.{name}.direction is {strategy.direction!r}: "
                f"write each, or a query and a corpus language ({', '.join(pairs)})"
            )
        if strategy.labels and not params.corpus.labelled:
            yield f"negatives.{name}.labels needs labels, which only corpus.source labelled has: write null"
        if (strategy.rank_max or 0) > params.candidates.depth:
            yield (
                f"negatives.{name}.rank_max is {strategy.rank_max}, but candidates.depth ranks only "
                f"{params.candidates.depth}: raise candidates.depth or lower rank_max"
            )
        if (strategy.round_trip or 0) > params.candidates.depth:
            yield (
                f"negatives.{name}.round_trip is {strategy.round_trip}, but candidates.depth ranks only "
                f"{params.candidates.depth}: raise candidates.depth or lower round_trip"
            )
    if params.train.lora and params.base.name == "static":
        yield "train.lora sets adapters beside a transformer's layers, and base.name static has none: write null"
    if params.teacher.name == "static":
        yield "teacher.name is 'static', which only base.name may be: write base for the study's own base"
    for name, recipe in params.recipes.items():
        if name == BASE or name in params.merges:
            yield f"recipes.{name} has the name of another model: rename it"
        if recipe.negatives not in params.negatives:
            yield (
                f"recipes.{name}.negatives is {recipe.negatives!r}, which no strategy makes: "
                f"name one of {', '.join(params.negatives)}"
            )
        for spelling in recipe.compositions:
            try:
                composition(spelling, languages)
            except UserError as error:
                yield f"recipes.{name}.compositions: {error}"
                break
        else:
            yield from _unmixed(name, recipe, languages)
    if len({params.negatives[r.negatives].k for r in params.recipes.values() if r.negatives in params.negatives}) > 1:
        yield "the recipes' negatives differ in k, so their losses would not compare: give them one k"
    models = {BASE, *params.recipes}
    for name, merge in params.merges.items():
        if name == BASE:
            yield f"merges.{name} has the name of the base: rename it"
        for part in merge.weights:
            if part not in models:
                yield (
                    f"merges.{name}.weights names {part!r}, which no recipe makes{_meant(part, models)}: "
                    f"add recipes.{part} or name one of {', '.join(sorted(models))}"
                )
    made = [
        "models/base",
        *(f"models/trained/{r}" for r in params.recipes),
        *(f"models/merged/{m}" for m in params.merges),
    ]
    for name, index in params.indexes.items():
        if index.model.startswith("models/") and index.model not in made:
            yield f"indexes.{name}.model is {index.model!r}, which no stage makes: name one of {', '.join(made)}"
    chosen = params.compare.select_on
    if chosen not in params.benchmarks:
        yield f"compare.select_on is {chosen!r}: name one of the benchmarks ({', '.join(params.benchmarks)})"
    elif params.benchmarks[chosen].split == "test":
        yield f"compare.select_on is {chosen!r}, a test split: choose models on a dev split"
    for name, benchmark in params.benchmarks.items():
        if name in SUMMARY:
            yield f"benchmarks.{name} has the name of a key of metrics/summary.json: rename it"
        if benchmark.metric and benchmark.metric not in params.score.metrics:
            yield f"benchmarks.{name}.metric is {benchmark.metric!r}: name one of score.metrics, or add it there"
    if params.compare.metric not in params.score.metrics:
        yield f"compare.metric is {params.compare.metric!r}: name one of score.metrics, or add it there"
    deepest = max(int(m.split("@")[1]) for m in params.score.metrics)
    if deepest > params.retrieve.depth:
        yield (
            f"score.metrics looks at rank {deepest}, but retrieve.depth is {params.retrieve.depth}: "
            f"raise retrieve.depth to {deepest}"
        )


def _unmixed(name: str, recipe: Recipe, languages: list[str]) -> Any:
    """Batches that a hybrid recipe asks for and has no compositions for."""
    if recipe.hybrid is None:
        return
    crosses = {composition(spelling, languages).crosses for spelling in recipe.compositions}
    for kind, needed in (("mono-lingual", recipe.hybrid > 0), ("cross-lingual", recipe.hybrid < 1)):
        if needed and (kind == "cross-lingual") not in crosses:
            yield (
                f"recipes.{name}.hybrid is {recipe.hybrid:g}, so some batches are {kind}, but none of its compositions "
                "is: add one, or change hybrid"
            )


def _unsearched(params: Params, base: Labelled) -> Any:
    """What a knowledge base in one language, with the labels and measures it has, cannot give."""
    for name, recipe in params.recipes.items():
        for spelling in recipe.compositions:
            with contextlib.suppress(UserError):  # is told elsewhere
                searched = {*composition(spelling, params.languages)[1:]} == {base.language}
                if not searched and base.language in params.languages:
                    yield (
                        f"recipes.{name}.compositions has {spelling!r}, but what corpus.labelled searches is in "
                        f"{base.language}: its positives and negatives must be, too"
                    )
    for name, strategy in params.negatives.items():
        if strategy.direction not in ("each", *(f"{lang}-{base.language}" for lang in params.languages)):
            yield f"negatives.{name}.direction is {strategy.direction!r}, but {base.language} is searched: write each"
        measures = strategy.labels.similarity if strategy.labels else {}
        if "given" in measures and not base.similarity:
            yield f"negatives.{name}.labels.similarity names given: set corpus.labelled.similarity, or another measure"
        if "descriptions" in measures and all(table.role != "labels" for table in base.tables.values()):
            yield (
                f"negatives.{name}.labels.similarity names descriptions: add a table of the role labels to "
                "corpus.labelled.tables, or name another measure"
            )
    for name, table in base.tables.items():
        if table.language not in (None, *params.languages):
            yield f"corpus.labelled.tables.{name}.language is {table.language!r}, which languages does not name: add it"
    labelled = params.synthesize.labelled
    if labelled.per_label and labelled.language not in params.languages:
        yield f"synthesize.labelled.language is {labelled.language!r}, which languages does not name: add it"


def _unlabelled(synthesize: Synthesize) -> Any:
    """What has no place in a knowledge base, whose passages are in one language and answer by their labels."""
    for key, count in (
        ("queries.per_passage", synthesize.queries.per_passage),
        ("topics.per_topic", synthesize.topics.per_topic),
    ):
        if count:
            yield f"synthesize.{key} is {count}, but corpus.source labelled has queries with a label alone: set it to 0"
    for name, translation in synthesize.translations.items():
        if translation.of == "passages":
            yield (
                f"synthesize.translations.{name}.of is 'passages', which corpus.source labelled has in one language: "
                "remove it"
            )


def _untranslated(params: Params) -> Any:
    """Languages that the collection would have no passages in."""
    own = params.corpus.languages or params.languages
    translations = params.synthesize.translations
    if len(set(own)) < len(own) and own is not params.languages:
        yield "corpus.languages names one twice: name each once"
    for lang in own:
        if lang not in params.languages:
            yield f"corpus.languages names {lang!r}, which languages does not: add it there or remove it here"
    reached, asked = set(own), set(params.languages)
    for name, translation in translations.items():
        if name in ("topics", "queries", "labelled"):
            yield f"synthesize.translations.{name} has the name of another job: rename it"
        if translation.of == "passages":
            if translation.source not in reached:
                yield (
                    f"synthesize.translations.{name}.source is {translation.source!r}, in which there are no "
                    "passages by then: name one of corpus.languages or the target of a translation before it"
                )
            if translation.target not in params.languages:
                yield (
                    f"synthesize.translations.{name}.target is {translation.target!r}, which languages does not name: "
                    "add it there, or translate queries alone into it"
                )
            reached.add(translation.target)
        else:
            if translation.source not in asked:
                yield (
                    f"synthesize.translations.{name}.source is {translation.source!r}, in which there are no "
                    "queries by then: name one of languages or the target of a translation before it"
                )
            asked.add(translation.target)
    for lang in params.languages:
        if lang not in reached and params.corpus.source not in ("none", "labelled"):
            yield (
                f"corpus.languages leaves out {lang!r}: add a translation of the passages into it "
                "(synthesize.translations), or the language to corpus.languages"
            )
    if params.corpus.labelled and params.corpus.labelled.language not in params.languages:
        yield f"corpus.labelled.language is {params.corpus.labelled.language!r}, which languages does not name: add it"
    if params.corpus.labelled:
        yield from _unlabelled(params.synthesize)
        yield from _unsearched(params, params.corpus.labelled)
    if params.synthesize.labelled.per_label and not params.corpus.labelled:
        yield "synthesize.labelled writes queries for labels, which only corpus.source labelled has: set per_label to 0"
    if params.corpus.source == "none" and not params.synthesize.topics.per_topic:
        yield "corpus.source none leaves only the passages of synthesize.topics: set its per_topic above 0"
    if params.synthesize.queries.written == "once" and len(params.languages) < 2:
        yield "synthesize.queries.written once needs a second language to translate into: write each"


def _sentence(error: Any, path: Path) -> str:
    # Pydantic marks a mapping's keys, and `_word_or` its choice, with pseudo-parts.
    parts = [str(p) for p in error["loc"] if p not in ("[key]", "word")]
    key = ".".join(parts)
    kind, given = error["type"], error.get("input")
    if kind == "extra_forbidden":
        return f"{path}: unknown key {key}{_meant(parts[-1], _siblings(parts[:-1]))}: rename or remove it"
    if kind == "missing":
        return f"{path}: {key} is missing: add it"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"{path}: {key or 'the file'} must hold a group of keys, but is {given!r}"
    message = error["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        return f"{path}: {key + ': ' if key else ''}{message}"
    return f"{path}: {key} is {given!r}: {message[0].lower()}{message[1:]}"


def _siblings(parts: list[str]) -> list[str]:
    """The keys that the group at `parts` knows."""
    group: Any = Params
    for part in parts:
        if isinstance(group, type) and issubclass(group, BaseModel):
            field = group.model_fields.get(part)
            group = field.annotation if field else None
        else:  # a mapping of names: its values' type
            group = get_args(group)[-1] if get_args(group) else None
        # Of `X | None` only X has keys.
        options = [o for o in get_args(group) if o is not type(None)]
        if type(None) in get_args(group):
            group = options[0]
    return list(group.model_fields) if isinstance(group, type) and issubclass(group, BaseModel) else []


def _meant(word: str, group: Any) -> str:
    names = list(group.model_fields) if isinstance(group, BaseModel) else list(group) if group else []
    close = difflib.get_close_matches(word, names, n=1)
    return f" (did you mean {close[0]}?)" if close else ""
