"""Contradictions of what the collection is made of: languages that it would have no passages or queries in."""

from __future__ import annotations

from collections.abc import Iterator

from stages.check.groups import Params


def contradictions(params: Params) -> Iterator[str]:
    languages = params.languages
    if len(set(languages)) < len(languages):
        yield "languages names one twice: name each once"
    own = params.corpus.languages or params.languages
    translations = params.synthesize.translations
    if len(set(own)) < len(own) and own is not params.languages:
        yield "corpus.languages names one twice: name each once"
    for lang in own:
        if lang not in params.languages:
            yield f"corpus.languages names {lang!r}, which languages does not: add it there or remove it here"
        if isinstance(params.corpus.chars, dict) and lang not in params.corpus.chars:
            yield f"corpus.chars has no limits for {lang!r}: add them, or write one pair for all languages"
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
    if params.synthesize.labelled.per_label and not params.corpus.labelled:
        yield "synthesize.labelled writes queries for labels, which only corpus.source labelled has: set per_label to 0"
    if params.corpus.source == "none" and not params.synthesize.topics.per_topic:
        yield "corpus.source none leaves only the passages of synthesize.topics: set its per_topic above 0"
    if params.synthesize.queries.written == "once" and len(params.languages) < 2:
        yield "synthesize.queries.written once needs a second language to translate into: write each"
