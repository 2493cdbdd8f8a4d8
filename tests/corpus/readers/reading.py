"""Reading a source in tests."""

from collections import Counter

from stages.corpus.batches import Notes, schema
from stages.corpus.readers.sources import batches
from stages.settings.corpus import Source
from stages.shared.codes import Wanted

NOTES = Notes(Counter(), Counter())


def read(*columns, languages=("en", "ko"), dropped=None, noted=None, **settings):
    """The rows of a source, as tuples of these columns (`file` is the batch's)."""
    rows = []
    notes = Notes(*(Counter() if counter is None else counter for counter in (dropped, noted)))
    source = Source(**settings)
    for batch in batches(source, Wanted(list(languages), source.codes), notes):
        assert dict(batch.rows.schema) == schema(list(languages))
        rows += [tuple({"file": batch.file, **row}[column] for column in columns) for row in batch.rows.to_dicts()]
    return rows
