"""runs: rows of all kinds are read by their names, and a stale one is never taken for another."""

import polars as pl
import pytest

from stages.schemas.runs import RUN
from stages.shared import runs, tables
from stages.shared.errors import UserError


@pytest.mark.parametrize("folder", ["runs", "fused", "reranked"])
def test_a_row_is_read_wherever_it_was_made(workspace, folder):
    made = pl.DataFrame([("en-en", "q", "p", "en", 1, 0.5)], RUN, orient="row")
    tables.write(made, f"data/{folder}/row/dev.run.parquet", RUN)
    assert runs.run("row", "dev").equals(made)


def test_a_name_that_two_stages_made_is_told(workspace):
    for folder in ("runs", "reranked"):
        tables.write(pl.DataFrame(schema=RUN), f"data/{folder}/row/dev.run.parquet", RUN)
    with pytest.raises(UserError, match=r"data/runs/row and data/reranked/row are both there.* tools\.tidy"):
        runs.run("row", "dev")


def test_what_is_missing_is_one_sentence(workspace):
    with pytest.raises(UserError, match=r"data/runs/row/dev\.run\.parquet is missing"):
        runs.run("row", "dev")
    tables.write_json({"fused": {"name": "fusion"}}, "data/fused/about.json")
    tables.write_json({"name": "re-ranker"}, "data/reranked/row/about.json")
    assert runs.records([], ["fused"], ["row"]) == {"fused": {"name": "fusion"}, "row": {"name": "re-ranker"}}
    tables.write_json({"windows": {}}, "data/runs/base/about.json")
    assert runs.records([], ["fused"], [])["base"] == {"windows": {}}
    with pytest.raises(UserError, match=r"data/reranked/other/about\.json is missing"):
        runs.records([], ["fused"], ["other"])
