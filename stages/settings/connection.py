"""What is set of an endpoint that speaks the OpenAI API, whatever it is asked for."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from stages.settings.types import Count, Group, Positive


def _variable(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):  # not repeated: it may be a key
        raise ValueError("what is given is no name of an environment variable: write its name here, and never the key")
    return name


def _url(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url!r} is no URL: write one such as http://localhost:8000/v1")
    return url


Variable = Annotated[str, AfterValidator(_variable)]
Url = Annotated[str, AfterValidator(_url)]
Retries = Annotated[int, Field(ge=0)]


class Connection(Group):
    model: str
    base_url: Url | None
    key_env: Variable | None
    key_header: str | None
    query: dict[str, str]
    concurrency: Count
    requests_per_minute: Count | None
    tokens_per_minute: Count | None
    timeout: Positive
    retries: Retries
    patience: Positive
    max_cost_usd: Positive | None
