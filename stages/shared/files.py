"""Files as people have them: compressed or not, in any encoding, with a byte order mark or not."""

from __future__ import annotations

import bz2
import codecs
import gzip
import hashlib
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from stages.shared import errors
from stages.shared.errors import UserError

# UTF-32's little-endian mark begins with UTF-16's.
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
COMPRESSED = (".gz", ".xz", ".bz2", ".zst")


def content(path: Path) -> str:
    """A digest of a file's bytes, or of a folder's files, names and bytes."""
    digest = hashlib.blake2b(digest_size=16)
    for file in [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file()):
        digest.update(str(file.relative_to(path)).encode() + b"\0")
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "blake2b").digest())
    return digest.hexdigest()


def plain_name(path: Path) -> str:
    """The file's name without the suffix of its compression."""
    return path.stem if path.suffix in COMPRESSED else path.name


@contextmanager
def opened(path: str | Path) -> Iterator[BinaryIO]:
    """A file's bytes, decompressed if its suffix is one of COMPRESSED. Raises `UserError` if it is not there, and in
    the block if what is read is no whole file of that kind."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} is not there: check the path in params.yaml")
    try:
        with _open(path) as file:
            yield file
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        if errors.fault(error):
            raise  # be it met in reading, or in what the block writes
        raise UserError(f"{path} cannot be read ({error}): is it whole?") from None


def _open(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return cast(BinaryIO, gzip.open(path))
    if path.suffix == ".xz":
        return cast(BinaryIO, lzma.open(path))
    if path.suffix == ".bz2":
        return cast(BinaryIO, bz2.open(path))
    if path.suffix == ".zst":
        import pyarrow as pa

        return io.BufferedReader(pa.input_stream(str(path), compression="zstd"))
    return path.open("rb")


def lines(path: str | Path, encoding: str = "utf-8") -> Iterator[str]:
    r"""A text's lines with their ends. They end at `\n` alone: a carriage return or U+2028 within one shifts none.

    A byte order mark wins over `encoding`. Raises `UserError` naming file and line if the bytes are of no such text.
    """
    with opened(path) as file:
        encoding = _marked(file) or codecs.lookup(encoding).name
        number = 0
        try:
            for line in _wide(file, encoding) if encoding.startswith(("utf-16", "utf-32")) else _narrow(file, encoding):
                number += 1
                yield line
        except UnicodeError as error:
            reason = getattr(error, "reason", error)
            raise UserError(
                f"{path}:{number + 1} is not {encoding.removesuffix('-sig')} ({reason}): save the file as UTF-8 or, if "
                "it is the corpus's, set corpus.encoding to what it is in, e.g. cp949"
            ) from None


def _marked(file: BinaryIO) -> str | None:
    start = cast(io.BufferedReader, file).peek(4)
    return next((encoding for mark, encoding in BYTE_ORDER_MARKS.items() if start.startswith(mark)), None)


def _narrow(file: BinaryIO, encoding: str) -> Iterator[str]:
    """Lines of an encoding in which the byte 10 is a line's end and nothing else, so that a mistake has a line."""
    decoder = codecs.getincrementaldecoder(encoding)()
    for line in file:
        yield decoder.decode(line)
    decoder.decode(b"", final=True)


def _wide(file: BinaryIO, encoding: str) -> Iterator[str]:
    yield from io.TextIOWrapper(file, encoding=encoding, newline="\n")
