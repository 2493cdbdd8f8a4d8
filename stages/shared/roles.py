"""What a text is to an encoder, which has a prompt for each, and what encodes."""

from typing import Any, Literal, Protocol

import numpy as np

Role = Literal["query", "passage"]
# sentence-transformers looks for a passage's prompt under this name.
PROMPT_NAMES: dict[Role, str] = {"query": "query", "passage": "document"}


class Encoder(Protocol):
    def encode(self, texts: list[str], role: Role) -> np.ndarray:
        """Unit vectors of `texts`, float32, shape [len(texts), dimension]; the role chooses the prompt."""


class TokenEncoder(Encoder, Protocol):
    """One that runs here, so that its tokens can be counted."""

    @property
    def tokenizer(self) -> Any:
        """Of tokenizers or transformers."""
