"""Durations as people say them."""

import pytest

from stages.shared.durations import duration


@pytest.mark.parametrize(("seconds", "said"), [(43.4, "43 s"), (100, "2 min"), (5999, "100 min"), (9000, "2.5 h")])
def test_seconds_are_said_in_the_unit_that_suits_them(seconds, said):
    assert duration(seconds) == said
