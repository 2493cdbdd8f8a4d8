"""From a reference's settings to what ranks with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from stages.references import bm25
from stages.settings.references import Reference
from stages.settings.windows import Windows
from stages.shared import ranking
from stages.shared.ranking import Rankers, Tables
from stages.shared.windows import WindowedEncoder


class Opened(NamedTuple):
    """`rankers` ranks a benchmark; `record`, asked for after that, says what was run, and how. `tokenizer` is
    that of an encoder that runs here."""

    rankers: Callable[[Tables], Rankers]
    record: Callable[[], dict[str, Any]]
    tokenizer: Any = None


def opened(reference: Reference, key: str, batch_size: int, windows: Windows | None) -> Opened:
    """The reference that the group `key` of params describes; raises `UserError` if it cannot be had.

    An endpoint reads passages whole, since where its model's tokens are is not known here.
    """
    if reference.bm25 is not None:
        return Opened(partial(bm25.rankers, reference.bm25), partial(bm25.record, reference.bm25))
    if reference.endpoint is not None:
        from stages.references.endpoint import Embeddings

        asked = Embeddings(reference.endpoint, f"{key}.endpoint")
        return Opened(partial(ranking.by_encoder, WindowedEncoder(asked, None, key)), asked.record)
    from stages.references import encoder

    loaded, record = encoder.load(reference, key, batch_size)
    read = WindowedEncoder(loaded, windows, key)
    return Opened(partial(ranking.by_encoder, read), lambda: record | read.record(), loaded.tokenizer)
