"""files: compression, encodings, line ends."""

import bz2
import gzip
import lzma
import tracemalloc
import zipfile

import pyarrow as pa
import pytest

from stages.shared import files
from stages.shared.errors import UserError

TEXT = "하나 é\nzwei\n"
PACK = {
    "": bytes,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": lambda body: pa.compress(body, codec="zstd", asbytes=True),
}


@pytest.mark.parametrize("suffix", PACK)
def test_what_is_compressed_reads_as_what_is_not(tmp_path, suffix):
    path = tmp_path / f"x.txt{suffix}"
    body = TEXT.encode() * 20_000
    # Two frames in one file, as pigz, zstd and cat write them.
    path.write_bytes(PACK[suffix](body) + PACK[suffix](body))
    assert list(files.lines(path)) == TEXT.splitlines(keepends=True) * 40_000
    assert files.plain_name(path) == "x.txt"
    if suffix:
        path.write_bytes(PACK[suffix](body)[:-20])
        with pytest.raises(UserError, match=rf"x\.txt\{suffix} cannot be read .*is it whole\?"):
            list(files.lines(path))
        path.write_bytes(b"plain text")
        with pytest.raises(UserError, match=r"is it whole\?"):
            list(files.lines(path))


def test_a_zip_is_read_as_its_one_file_or_as_the_one_that_is_named(tmp_path, monkeypatch):
    """fastText's wiki.en.zip holds wiki.en.bin beside wiki.en.vec."""
    one, two = tmp_path / "x.vec.zip", tmp_path / "wiki.zip"
    with zipfile.ZipFile(one, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("folder")
        archive.writestr("folder/x.vec", TEXT * 20_000)
    assert list(files.lines(one)) == TEXT.splitlines(keepends=True) * 20_000
    assert files.plain_name(one) == "x.vec"
    with zipfile.ZipFile(two, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("wiki.bin", b"\0" * 20_000_000)
        archive.writestr("in/wiki.vec", TEXT)
    assert "".join(files.lines(two / "in/wiki.vec")) == TEXT
    for path in (two, two / "wiki.vec"):
        with pytest.raises(UserError, match=r"the zip holds wiki\.bin, in/wiki\.vec: name one file, as wiki\.zip/<"):
            list(files.lines(path))
    monkeypatch.setattr(files, "LONGEST_LINE", 2**20)
    tracemalloc.start()
    with pytest.raises(UserError, match=r"wiki\.bin:1 is longer than 1 MiB"):
        list(files.lines(two / "wiki.bin"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20
    whole = one.read_bytes()
    for damaged in (whole[:-30], whole[:200] + b"\xff" * 50 + whole[250:]):
        one.write_bytes(damaged)
        with pytest.raises(UserError, match=r"x\.vec\.zip cannot be read .*is it whole\?"):
            list(files.lines(one))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_mark_wins_over_the_encoding_that_is_set(tmp_path, encoding):
    path = tmp_path / "x.txt"
    path.write_bytes(TEXT.encode(encoding))
    assert "".join(files.lines(path, "utf-8" if encoding == "utf-8" else "cp949")) == TEXT


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "euc-kr", "cp949", "iso2022_kr"])
def test_without_a_mark_the_encoding_is_what_is_set(tmp_path, encoding):
    path = tmp_path / "x.txt"
    text = "하나\n똠방각하\n둘\n" if encoding == "cp949" else "하나\n둘\n"
    path.write_bytes(text.encode(encoding))
    assert "".join(files.lines(path, encoding)) == text


def test_lines_end_at_newlines_alone(tmp_path):
    path = tmp_path / "x.txt"
    for encoding in ("utf-8", "utf-16"):
        path.write_bytes("a\rb\x0b\x0c\x1c\x85\u2028c\r\nlast".encode(encoding))
        assert list(files.lines(path)) == ["a\rb\x0b\x0c\x1c\x85\u2028c\r\n", "last"]


@pytest.mark.parametrize(
    ("body", "encoding", "place"),
    [
        (b"a\n" * 30_000 + b"\xff\n" + b"b\n" * 30_000, "utf-8", r"x\.txt:30001 is not utf-8 \(invalid start byte\)"),
        (b"\xef\xbb\xbfa\n\xff", "utf-8", r"x\.txt:2 is not utf-8 \("),
        ("a\n\N{HANGUL SYLLABLE GA}".encode()[:-1], "utf-8", r"x\.txt:\d is not utf-8 \(unexpected end of data\)"),
        ("하나".encode(), "cp949", r"x\.txt:1 is not cp949"),
        (b"\xff\xfea\0\n\0\0\xd8b\0\n\0", "utf-8", r"x\.txt:\d is not utf-16"),
    ],
)
def test_bytes_of_another_encoding_are_told_with_their_line(tmp_path, body, encoding, place):
    path = tmp_path / "x.txt"
    path.write_bytes(body)
    with pytest.raises(UserError, match=place + r".*save the file as UTF-8 or.*set corpus\.encoding"):
        list(files.lines(path, encoding))


@pytest.mark.parametrize("suffix", PACK)
def test_a_line_that_never_ends_is_refused_while_it_is_unpacked(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"x.txt{suffix}"
    path.write_bytes(PACK[suffix](b"a\n" + b"\0" * 20_000_000))
    monkeypatch.setattr(files, "LONGEST_LINE", 2**20)
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=r"x\.txt.*:2 is longer than 1 MiB, the most that a line may be: split it"):
            list(files.lines(path))
        # A line some times over and xz's dictionary of 8 MiB, not the 20 MB that the file unpacks to.
        assert tracemalloc.get_traced_memory()[1] < 14 * 2**20
    finally:
        tracemalloc.stop()


def test_the_bound_is_on_bytes_and_on_wide_characters(tmp_path, monkeypatch):
    path = tmp_path / "x.txt"
    monkeypatch.setattr(files, "LONGEST_LINE", 30_000)
    monkeypatch.setattr(files, "CHUNK", 10_000)
    path.write_text("a" * 29_999 + "\n" + "b" * 30_000)
    assert [len(line) for line in files.lines(path)] == [30_000, 30_000]
    for text, encoding in (("가" * 20_000, "utf-8"), ("a" * 30_001, "utf-16")):
        path.write_text(text + "\n", encoding=encoding)
        with pytest.raises(UserError, match=r"x\.txt:1 is longer than"):
            list(files.lines(path))


def test_a_whole_text_has_a_bound_too(tmp_path, monkeypatch):
    path = tmp_path / "x.po"
    path.write_text("a\n" * 50)
    assert files.text(path) == "a\n" * 50
    monkeypatch.setattr(files, "LONGEST_TEXT", 99)
    with pytest.raises(UserError, match=r"x\.po is longer than 0 MiB, the most that is read as one"):
        files.text(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"x\.txt is not there"):
        list(files.lines(tmp_path / "x.txt"))


def test_an_empty_file_has_no_lines(tmp_path):
    for name in ("x.txt", "x.zst"):
        (tmp_path / name).write_bytes(b"")
        assert list(files.lines(tmp_path / name)) == []


def test_a_folder_is_known_by_its_content(tmp_path):
    digests = set()
    for name, content in (("a", "1"), ("a", "2"), ("b", "2")):
        folder = tmp_path / f"{name}{content}"
        folder.mkdir()
        (folder / name).write_text(content)
        digests.add(files.content(folder))
    assert len(digests) == 3
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "a").write_text("1")
    assert files.content(other) == files.content(tmp_path / "a1")
