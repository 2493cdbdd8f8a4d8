"""Names of metrics, as several groups write them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

METRIC = re.compile(r"(ndcg|mrr|map|recall|accuracy)@([1-9]\d*)")


def _metric(name: str) -> str:
    if not METRIC.fullmatch(name):
        raise ValueError(f"{name!r} is no metric: write ndcg@K, mrr@K, map@K, recall@K or accuracy@K")
    return name


Metric = Annotated[str, AfterValidator(_metric)]
