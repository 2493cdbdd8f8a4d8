"""What is written: each job is a list of tasks, and each task's steps end in rows of texts.

Every row is of one item, named alike in all languages, and of one bundle: if a text of it is left out, all of it is, so
that what the compositions of a study are made of stays the same in every language.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import polars as pl

from stages.settings.llm import Llm
from stages.settings.synthesize import LabelledQueries, PassageQueries, Topics, Translation
from stages.shared import seeds
from stages.shared.llm.converse import ask
from stages.shared.llm.prompts import Prompts
from stages.shared.llm.request import Reply, Request
from stages.shared.llm.session import WritingTask
from stages.shared.llm.texts import stand_in, translated, wrong_language
from stages.synthesize.forms import Queries, Triple, check_queries
from stages.synthesize.taxonomy import Topic

PROMPTS_FOLDER = Path(__file__).parent / "prompts"
# Queries of one passage translated in one request, and labelled queries written in one, at most.
QUERIES_TOGETHER = 8
# Lengths of stand-ins, in characters.
QUERY, PASSAGE = "q" * 60, "p" * 500


class WrittenRow(NamedTuple):
    bundle: str
    item: str
    lang: str
    kind: str  # query or passage
    title: str
    text: str
    passage: str  # of a query: the passage that answers it; of a hard negative: the query it is written against
    label: str


Rows = Generator[Request, Reply, list[WrittenRow]]


class Writer(NamedTuple):
    """What every job needs."""

    llm: Llm
    prompts: Prompts
    translate_prompt: str
    seed: int

    def translated(self, texts: list[str], source: str, target: str) -> Generator[Request, Reply, list[str]]:
        """Steps that end in `texts` translated, one for one."""
        key = "synthesize.translate_prompt"
        return translated(self.llm, self.prompts, key, self.translate_prompt, texts, source, target)


# ── queries for passages ──


def queries(
    writer: Writer, settings: PassageQueries, passages: pl.DataFrame, languages: list[str]
) -> list[WritingTask]:
    """Queries for `passages` (PASSAGES); a query's number is its place in the reply, in every language."""
    if not settings.per_passage:
        return []
    write = languages if settings.written == "each" else languages[:1]
    others = [] if settings.written == "each" else languages[1:]
    return [
        WritingTask(
            f"{row['passage']} in {row['lang']}",
            partial(_queries, writer, settings, row["passage"], row["lang"], row["title"], row["text"], others),
        )
        for row in passages.filter(pl.col("lang").is_in(write)).iter_rows(named=True)
    ]


def _queries(
    writer: Writer, settings: PassageQueries, passage: str, lang: str, title: str, text: str, others: list[str]
) -> Rows:
    count, name = settings.per_passage, writer.prompts.language(lang)
    prompt = writer.prompts.fill(
        "synthesize.queries.prompt", settings.prompt, language=name, count=count, title=title, text=text
    )
    check = partial(check_queries, count=count, lang=lang, name=name)
    reply = yield from ask(writer.llm, prompt, Queries, stand_in(Queries, [QUERY] * count), check)
    found = {lang: reply.queries[:count]}
    for other in others:
        found[other] = yield from writer.translated(found[lang], lang, other)
    return [
        WrittenRow(item := f"{passage}#q{number}", item, each, "query", "", query, passage, "")
        for each, texts in found.items()
        for number, query in enumerate(texts, 1)
    ]


# ── triples from topics ──


def triples(writer: Writer, settings: Topics, topics: list[Topic], languages: list[str]) -> list[WritingTask]:
    """Parallel triples (arXiv 2507.08480, data synthesis): a query, a passage that answers it and one that does not,
    in the first language, then translated, so that all compositions share one content."""
    return [
        WritingTask(
            name := f"{settings.taxonomy}-{topic.id}-{number}",
            partial(_triple, writer, settings, topic, number, name, languages),
        )
        for topic in topics
        for number in range(1, settings.per_topic + 1)
    ]


def _triple(writer: Writer, settings: Topics, topic: Topic, number: int, name: str, languages: list[str]) -> Rows:
    first = languages[0]
    language = writer.prompts.language(first)

    def draw(knob: str, values: list[str]) -> str:
        return values[seeds.number(writer.seed, "topics", knob, topic.id, number) % len(values)]

    prompt = writer.prompts.fill(
        "synthesize.topics.prompt",
        settings.prompt,
        language=language,
        topic=topic.name(first),
        number=number,
        query_type=draw("query_type", settings.query_types),
        length=draw("length", settings.lengths),
        difficulty=draw("difficulty", settings.difficulties),
        register=draw("register", settings.registers),
    )

    def check(reply: Triple) -> str | None:
        if reply.positive == reply.hard_negative:
            return "the hard negative is the positive again"
        return wrong_language([reply.query, reply.positive, reply.hard_negative], first, language)

    reply = yield from ask(writer.llm, prompt, Triple, stand_in(Triple, [QUERY, PASSAGE, PASSAGE]), check)
    found = {first: [reply.query, reply.positive, reply.hard_negative]}
    for other in languages[1:]:
        found[other] = yield from writer.translated(found[first], first, other)
    rows = []
    for lang, (query, positive, negative) in found.items():
        rows += [
            WrittenRow(name, f"{name}#query", lang, "query", "", query, f"{name}#positive", ""),
            WrittenRow(name, f"{name}#positive", lang, "passage", "", positive, "", ""),
            WrittenRow(name, f"{name}#negative", lang, "passage", "", negative, f"{name}#query", ""),
        ]
    return rows


# ── translations ──


def passage_translations(writer: Writer, into: Translation, passages: pl.DataFrame) -> list[WritingTask]:
    """The passages (PASSAGES) that are in the source language and not yet in the target language."""
    have = passages.filter(lang=into.target).select("passage")
    todo = passages.filter(lang=into.source).join(have, on="passage", how="anti", maintain_order="left")
    return [
        WritingTask(
            f"{row['passage']} into {into.target}",
            partial(_passage, writer, into, row["passage"], row["title"], row["text"]),
        )
        for row in todo.iter_rows(named=True)
    ]


def _passage(writer: Writer, into: Translation, passage: str, title: str, text: str) -> Rows:
    texts = [title, text] if title else [text]
    *titles, body = yield from writer.translated(texts, into.source, into.target)
    bundle = f"{passage}>{into.target}"
    return [WrittenRow(bundle, passage, into.target, "passage", titles[0] if titles else "", body, "", "")]


def query_translations(writer: Writer, into: Translation, asked: pl.DataFrame) -> list[WritingTask]:
    """The queries (QUERIES and `passage`) that are in the source language and not yet in the target language,
    those of a passage together."""
    have = asked.filter(lang=into.target).select("query")
    todo = asked.filter(lang=into.source).join(have, on="query", how="anti").sort("passage", "query")
    tasks = []
    for (passage,), rows in todo.group_by("passage", maintain_order=True):
        for number, some in enumerate(rows.iter_slices(QUERIES_TOGETHER)):
            pairs = list(some.select("query", "text").iter_rows())
            name = f"{passage}{f' ({number + 1})' if number else ''} into {into.target}"
            tasks.append(WritingTask(name, partial(_some_queries, writer, into, str(passage), pairs)))
    return tasks


def _some_queries(writer: Writer, into: Translation, passage: str, pairs: list[tuple[str, str]]) -> Rows:
    texts = yield from writer.translated([text for _, text in pairs], into.source, into.target)
    return [
        WrittenRow(f"{query}>{into.target}", query, into.target, "query", "", text, passage, "")
        for (query, _), text in zip(pairs, texts, strict=True)
    ]


# ── labelled queries ──


class Label(NamedTuple):
    name: str
    description: str
    texts: list[str]


def labelled(writer: Writer, settings: LabelledQueries, labels: list[Label]) -> list[WritingTask]:
    """Queries that belong to a label (arXiv 2506.02527, synthetic queries in the target language)."""
    return [
        WritingTask(f"{label.name}, set {number}", partial(_labelled, writer, settings, label, number, count))
        for label in labels
        for number, count in _sets(settings.per_label)
    ]


def _sets(count: int) -> Iterator[tuple[int, int]]:
    for number, begin in enumerate(range(0, count, QUERIES_TOGETHER), 1):
        yield number, min(QUERIES_TOGETHER, count - begin)


def _labelled(writer: Writer, settings: LabelledQueries, label: Label, number: int, count: int) -> Rows:
    order: Callable[[str], int] = partial(seeds.number, writer.seed, "examples", label.name, number)
    name = writer.prompts.language(settings.language)
    prompt = writer.prompts.fill(
        "synthesize.labelled.prompt",
        settings.prompt,
        language=name,
        label=label.name,
        description=label.description,
        examples=sorted(label.texts, key=order)[: settings.examples],
        examples_language=writer.prompts.language(settings.examples_language),
        count=count,
        number=number,
    )
    check = partial(check_queries, count=count, lang=settings.language, name=name)
    reply = yield from ask(writer.llm, prompt, Queries, stand_in(Queries, [QUERY] * count), check)
    return [
        WrittenRow(item := f"{label.name}#s{number}.{n}", item, settings.language, "query", "", text, "", label.name)
        for n, text in enumerate(reply.queries[:count], 1)
    ]
