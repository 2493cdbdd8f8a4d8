"""synthesize: queries for the passages, written by a language model in each language.

The replies of one passage in its languages are parallel: the i-th query asks the same in each.
"""

import logging

import polars as pl

from stages.shared import errors, params, tables
from stages.shared.collection import CORPUS, SYNTHETIC
from stages.shared.errors import UserError
from stages.synthesize import providers, replies, requests

log = logging.getLogger("synthesize")


def main() -> None:
    settings, llm = params.read("synthesize", "llm")
    passages = tables.read(CORPUS / "passages.parquet", tables.PASSAGES)
    count = settings.queries_per_passage
    asked = requests.for_passages(passages, settings.prompt, llm.model, count) if count else []
    answers = providers.answer(asked, llm) if asked else []
    rows, refused = [], []
    for request, content in zip(asked, answers, strict=True):
        try:
            found = replies.queries(content, count, settings.max_query_chars)
        except ValueError as error:
            refused.append(f"passage {request.passage!r} in {request.lang}: {error}")
            continue
        rows += [(f"{request.passage}#q{i}", request.lang, text, request.passage) for i, text in enumerate(found, 1)]
    if refused:
        raise UserError(f"{len(refused):,} of {len(asked):,} replies cannot be used, the first is {refused[0]}")
    table = pl.DataFrame(rows, schema={**tables.QUERIES, "passage": pl.String}, orient="row")
    judgements = table.select("query", "passage", relevance=pl.lit(1, pl.Int32)).unique()
    with tables.replacing(SYNTHETIC) as draft:
        tables.write(table.select(*tables.QUERIES).sort("query", "lang"), draft / "queries.parquet", tables.QUERIES)
        tables.write(judgements.sort("query", "passage"), draft / "judgements.parquet", tables.JUDGEMENTS)
    log.info(f"{table.height:,} queries from {len(asked):,} replies ({llm.provider})")


if __name__ == "__main__":
    errors.run(main)
