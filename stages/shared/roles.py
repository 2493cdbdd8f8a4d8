"""What a text is to an encoder, which has a prompt for each."""

from typing import Literal

Role = Literal["query", "passage"]
# sentence-transformers looks for a passage's prompt under this name.
PROMPT_NAMES: dict[Role, str] = {"query": "query", "passage": "document"}
