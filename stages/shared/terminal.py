"""What stages and tools print: texts of data, file names and others' messages may hold what a terminal obeys."""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from collections.abc import Iterator
from typing import Any, cast

# Control characters but tab and line feed, what turns the direction of text about, and halves of characters.
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""`text` with such characters escaped as `\u001b`, which they are in JSON too."""
    return OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class PrintableFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


class _Printable:
    """A text stream that is written to in printable characters."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        # Streams of libraries may say nothing.
        self._stream.write(printable(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def escaped() -> Iterator[None]:
    """In the block, what is printed and logged is printable; progress bars, on standard error, are not touched."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(PrintableFormatter("%(message)s"))
    with contextlib.redirect_stdout(cast(Any, _Printable(sys.stdout))):
        yield
