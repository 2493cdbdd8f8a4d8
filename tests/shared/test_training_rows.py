"""A recipe's training set as the trainer reads it: texts by column, queries normalised, pools of rows."""

import polars as pl
import pytest

from stages.schemas.trainsets import TRAINING_ROWS, TRAINING_TEXTS
from stages.shared import query_normalizer, tables, training_rows
from stages.shared.errors import UserError
from tests.fakes.checkpoints import static_model
from tests.train.preparing import prepared, trainset


def test_rows_are_looked_up_column_by_column(workspace):
    texts = trainset()
    rows = training_rows.dataset(workspace.path / "data/trainsets/r")
    assert rows.column_names == ["query", "positive", "negative_1", "negative_2", "label"]
    assert rows[3] == {
        "query": texts[3],
        "positive": texts[27],
        "negative_1": texts[51],
        "negative_2": texts[52],
        "label": [3, 103, 203],
    }


def test_rows_of_unequal_groups_are_filled_with_their_positive_s(workspace):
    trainset()
    file = "data/trainsets/r/rows.parquet"
    rows = tables.read(file, TRAINING_ROWS).head(2)
    groups = pl.Series("groups", [[0, 100, 200, 7, 8], [1, 101, 201]], TRAINING_ROWS["groups"])
    tables.write(rows.with_columns(groups), file, TRAINING_ROWS)
    found = training_rows.dataset(workspace.path / "data/trainsets/r")["label"][:]
    assert found == [[0, 100, 200, 7, 8], [1, 101, 201, 1, 1]]


LEARNT = query_normalizer.learn({"elongation": True, "script": False, "spelling": False}, [], [])


def test_queries_alone_are_normalized(workspace):
    texts = trainset()
    drawn_out = pl.DataFrame({"text": [text + "!!!" for text in texts]})
    tables.write(drawn_out, "data/trainsets/r/texts.parquet", TRAINING_TEXTS)
    folder = workspace.path / "data/trainsets/r"
    plain, normalized = (
        training_rows.dataset(folder),
        training_rows.dataset(folder, query_normalizer.Normalizer(LEARNT)),
    )
    assert normalized.features == plain.features
    assert normalized["query"][:] == [text + "!" for text in texts[:24]]
    for column in ("positive", "negative_1", "negative_2", "label"):
        assert normalized[column][:] == plain[column][:]


def test_pools_are_the_rows_of_their_compositions(workspace, training, monkeypatch):
    pools = [(0.25, ["kokoen"]), (0.75, ["enkoko", "koenen"])]
    prepared(workspace, static_model(), ("enkoko", "kokoen", "koenen"), pools)
    found = [(share, rows.tolist()) for share, rows in training_rows.pools("r", 8)]
    assert found == [(0.25, list(range(8, 16))), (0.75, [*range(8), *range(16, 24)])]
    given = []
    monkeypatch.setattr(training, "fit", lambda *a, pools, **k: given.append(pools) or [(1, 0.0)])
    workspace.run("train", "r")
    assert [(share, rows.tolist()) for share, rows in given[0]] == found
    prepared(workspace)
    workspace.run("train", "r")
    assert given[1] is None


def test_a_pool_of_less_than_a_batch_is_refused(workspace, training):
    prepared(workspace, static_model(), ("enenen", "koenen"), [(0.5, ["kokoko"]), (0.5, ["koenen"])])
    with pytest.raises(UserError) as caught:
        workspace.run("train", "r")
    assert str(caught.value) == (
        "recipes.r.batches draws some of kokoko alone, but there are 0 such rows, fewer than train.batch_size (8): "
        "lower it, or change the recipe"
    )
    assert training_rows.pools("r", 0)
    prepared(workspace, None, ("enenen", "koenen"), [(0.5, ["enenen"]), (0.5, ["koenen"])], batch_size=13)
    with pytest.raises(UserError, match="enenen alone, but there are 12 such rows"):
        workspace.run("train", "r")
    workspace.edit(train__batch_size=12).run("train", "r")
