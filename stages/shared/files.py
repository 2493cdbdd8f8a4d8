"""Files as people have them: compressed or not, in any encoding, with a byte order mark or not."""

from __future__ import annotations

import bz2
import codecs
import gzip
import hashlib
import io
import lzma
import zipfile
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
COMPRESSED = (".gz", ".xz", ".bz2", ".zst", ".zip")
# What is read as one may be no longer, so that a small packed file fills no memory: a line, a unit of XML, a row of
# Parquet, in bytes; a text that is read as a whole, in characters.
LONGEST_LINE = 64 * 2**20
LONGEST_TEXT = 256 * 2**20
CHUNK = 2**18
SPLIT = "split it, or check that the file is what its name says"


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
    """A file's bytes, decompressed if its suffix is one of COMPRESSED; of a zip that holds several files
    `<zip>/<name within>`. Raises `UserError` if it is not there, and in the block if what is read is no whole file of
    that kind."""
    path = Path(path)
    if not path.is_file() and not _archive(path):
        raise UserError(f"{path} is not there: check the path in params.yaml")
    try:
        with _open(path) as file:
            yield file
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError) as error:
        if errors.fault(error):
            raise  # be it met in reading, or in what the block writes
        raise UserError(f"{path} cannot be read ({error}): is it whole?") from None


def _archive(path: Path) -> Path | None:
    """The zip that `path` names a file within."""
    return next((above for above in path.parents if above.suffix == ".zip" and above.is_file()), None)


def _unzipped(path: Path) -> BinaryIO:
    """The one file of a zip, or the one that is named; raises `UserError` if there are several, none or no such one."""
    archive = path if path.is_file() else cast(Path, _archive(path))
    # Open as long as what it holds: the member keeps the file open itself.
    with zipfile.ZipFile(archive) as opened:
        held = [entry for entry in opened.infolist() if not entry.is_dir()]
        if archive != path:
            held = [entry for entry in held if entry.filename == path.relative_to(archive).as_posix()]
        if len(held) != 1:
            names = ", ".join(name for name in opened.namelist()[:10] if not name.endswith("/")) or "nothing"
            raise UserError(f"{path}: the zip holds {names}: name one file, as {archive.name}/<its name>")
        if held[0].flag_bits & 1:
            raise UserError(f"{path} is encrypted: unpack it yourself, and name what it holds")
        return io.BufferedReader(cast(io.RawIOBase, opened.open(held[0])))


def _open(path: Path) -> BinaryIO:
    if path.suffix == ".zip" or not path.is_file():
        return _unzipped(path)
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

    A byte order mark wins over `encoding`. Raises `UserError` naming file and line if the bytes are of no such text, or
    a line is longer than LONGEST_LINE.
    """
    with opened(path) as file:
        encoding = _marked(file) or codecs.lookup(encoding).name
        wide = encoding.startswith(("utf-16", "utf-32"))
        number = 0
        try:
            for line in _wide(file, encoding) if wide else _narrow(file, encoding):
                number += 1
                yield line
        except _TooLongError:
            raise _too_long(path, number + 1) from None
        except UnicodeError as error:
            reason = getattr(error, "reason", error)
            raise UserError(
                f"{path}:{number + 1} is not {encoding.removesuffix('-sig')} ({reason}): save the file as UTF-8 or, if "
                "it is the corpus's, set corpus.encoding to what it is in, e.g. cp949"
            ) from None


def check_lines(path: str | Path) -> None:
    """Raise `UserError` as `lines` does if a line is too long, for readers that split lines themselves."""
    with opened(path) as file:
        number, length = 1, 0
        while chunk := file.read(CHUNK):
            end = chunk.find(b"\n")
            length += len(chunk) if end < 0 else end
            if length > LONGEST_LINE:
                raise _too_long(path, number)
            if end >= 0:
                number += chunk.count(b"\n")
                length = len(chunk) - chunk.rfind(b"\n") - 1


def text(path: str | Path, encoding: str = "utf-8") -> str:
    """A whole text, as `lines` reads it; raises `UserError` if it is longer than LONGEST_TEXT."""
    parts, length = [], 0
    for line in lines(path, encoding):
        length += len(line)
        if length > LONGEST_TEXT:
            raise UserError(
                f"{path} is longer than {LONGEST_TEXT // 2**20} MiB, the most that is read as one: split it"
            )
        parts.append(line)
    return "".join(parts)


def bound() -> str:
    """LONGEST_LINE for a message."""
    return f"{LONGEST_LINE // 2**20} MiB"


def _too_long(path: str | Path, number: int) -> UserError:
    return UserError(f"{path}:{number} is longer than {bound()}, the most that a line may be: {SPLIT}")


class _TooLongError(Exception):
    """A line is longer than LONGEST_LINE."""


def _marked(file: BinaryIO) -> str | None:
    start = cast(io.BufferedReader, file).peek(4)
    return next((encoding for mark, encoding in BYTE_ORDER_MARKS.items() if start.startswith(mark)), None)


def _narrow(file: BinaryIO, encoding: str) -> Iterator[str]:
    """Lines of an encoding in which the byte 10 is a line's end and nothing else, so that a mistake has a line."""
    decoder = codecs.getincrementaldecoder(encoding)()
    rest = b""
    while chunk := file.read(CHUNK):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield decoder.decode(line + b"\n")
        if len(rest) > LONGEST_LINE:
            raise _TooLongError
    if rest:
        yield decoder.decode(rest)
    decoder.decode(b"", final=True)


def _wide(file: BinaryIO, encoding: str) -> Iterator[str]:
    text = io.TextIOWrapper(file, encoding=encoding, newline="\n")
    while line := text.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            raise _TooLongError
        yield line
