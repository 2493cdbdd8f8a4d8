"""Reading a source in tests."""

from collections import Counter

from stages.corpus.batches import schema
from stages.corpus.readers.sources import batches
from stages.settings.corpus import Source


def read(*columns, languages=("en", "ko"), dropped=None, **settings):
    """The rows of a source, as tuples of these columns (`file` is the batch's)."""
    rows = []
    for batch in batches(Source(**settings), list(languages), Counter() if dropped is None else dropped):
        assert dict(batch.rows.schema) == schema(list(languages))
        rows += [tuple({"file": batch.file, **row}[column] for column in columns) for row in batch.rows.to_dicts()]
    return rows
