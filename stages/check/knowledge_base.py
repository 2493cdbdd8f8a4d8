"""Contradictions of a knowledge base: it is in one language, and its queries have labels."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from stages.check.groups import Params
from stages.settings.corpus import Labelled
from stages.settings.synthesize import Synthesize
from stages.shared.compositions import selected
from stages.shared.errors import UserError


def contradictions(params: Params) -> Iterator[str]:
    base = params.corpus.labelled
    if base is None:
        return
    if base.language not in params.languages:
        yield f"corpus.labelled.language is {base.language!r}, which languages does not name: add it"
    yield from _unlabelled(params.synthesize)
    yield from _unsearched(params, base)


def _unlabelled(synthesize: Synthesize) -> Iterator[str]:
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


def _unsearched(params: Params, base: Labelled) -> Iterator[str]:
    """What a knowledge base in one language, with the labels and measures it has, cannot give."""
    for key, trained_on in params.training_sets.items():
        with contextlib.suppress(UserError):  # is told elsewhere
            for slots in selected(trained_on.compositions, params.languages):
                if {*slots[1:]} != {base.language} and base.language in params.languages:
                    yield (
                        f"{key}.compositions has {slots.name!r}, but what corpus.labelled searches is in "
                        f"{base.language}: its positives and negatives must be, too"
                    )
    for name, strategy in params.negatives.items():
        ways = [f"{lang}-{base.language}" for lang in params.languages]
        if base.language in params.languages and strategy.direction not in ("each", *ways):
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
