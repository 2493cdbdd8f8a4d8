"""Who answers requests. `recorded` answers from a file of replies by key, and sends nothing anywhere."""

from __future__ import annotations

from stages.shared import jsonl
from stages.shared.errors import UserError
from stages.shared.params import Llm
from stages.synthesize.requests import Request


def answer(requests: list[Request], llm: Llm) -> list[str]:
    """Each request's reply, in order; raises `UserError` if some have none."""
    recorded = {row["key"]: row["reply"] for row in _replies(llm.recorded)}
    missing = [r for r in requests if r.key not in recorded]
    if missing:
        raise UserError(
            f"{llm.recorded} has no reply to {len(missing):,} of {len(requests):,} requests "
            f"(the first: passage {missing[0].passage!r} in {missing[0].lang}): a reply answers one exact request, so "
            "restore the prompt, llm.model and synthesize.queries_per_passage it was recorded with, "
            "or set synthesize.queries_per_passage to 0"
        )
    return [recorded[r.key] for r in requests]


def _replies(path: str) -> list[dict[str, str]]:
    found = []
    for place, row in jsonl.rows(path):
        if not isinstance(row.get("key"), str) or not isinstance(row.get("reply"), str):
            raise UserError(f"{place} is no recorded reply: it needs the texts 'key' and 'reply'")
        found.append(row)
    return found
