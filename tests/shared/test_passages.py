"""A passage as encoders read it."""

import polars as pl

from stages.shared.passages import passage_text


def test_a_passage_is_read_with_its_title():
    rows = pl.DataFrame({"title": ["T", ""], "text": ["x", "y"]})
    assert rows.select(passage_text())["text"].to_list() == ["T x", "y"]
