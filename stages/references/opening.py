"""From a reference's settings to what ranks with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from stages.references import bm25
from stages.settings.references import Reference
from stages.shared import ranking
from stages.shared.encoder import Encoder
from stages.shared.ranking import Rankers, Tables


class Opened(NamedTuple):
    """`rankers` ranks a benchmark; `record`, asked for after that, says what was run, and how. `tokenizer` is
    that of an encoder that runs here."""

    rankers: Callable[[Tables], Rankers]
    record: Callable[[], dict[str, Any]]
    tokenizer: Any = None


def opened(reference: Reference, key: str, batch_size: int) -> Opened:
    """The reference that the group `key` of params describes; raises `UserError` if it cannot be had."""
    if reference.bm25 is not None:
        return Opened(partial(bm25.rankers, reference.bm25), partial(bm25.record, reference.bm25))
    if reference.endpoint is not None:
        from stages.references.endpoint import Embeddings

        asked = Embeddings(reference.endpoint, f"{key}.endpoint")
        return Opened(partial(by_encoder, asked), asked.record)
    from stages.references import encoder

    loaded, record = encoder.load(reference, key, batch_size)
    return Opened(partial(by_encoder, loaded), lambda: record, loaded.tokenizer)


def by_encoder(encoder: Encoder, benchmark: Tables) -> Rankers:
    passages, queries = (encoder.encode(benchmark.texts(role), role) for role in ("passage", "query"))
    return ranking.by_vectors(passages, queries)
