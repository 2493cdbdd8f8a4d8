"""What an endpoint says that it counted."""

from __future__ import annotations

import math
from typing import Any

# No request has as many tokens, and no file of replies holds any number.
MOST_TOKENS = 10**9


def counted(body: Any, name: str) -> int | None:
    """The tokens that the `usage` of an answer has under `name`; None if that is no count."""
    usage = body.get("usage") if isinstance(body, dict) else None
    return whole(usage.get(name)) if isinstance(usage, dict) else None


def whole(value: Any) -> int | None:
    """`value` as a count: a whole number, also written as a text. None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(number) or number != int(number) or not 0 <= number <= MOST_TOKENS:
        return None
    return int(number)
