"""Bad input and what machines do end in a sentence and exit code 1; a mistake of ours in a traceback."""

import errno
import logging
import os
import sqlite3
import subprocess
import sys
from functools import partial

import polars as pl
import pytest

from stages.shared import errors, tables
from tests.conftest import ROOT

CONTROLS = "a\x1b[2J\x9b\u202e\r\x00b"
ESCAPED = r"a\u001b[2J\u009b\u202e\u000d\u0000b"


def test_a_user_error_is_its_sentence():
    def main():
        raise errors.UserError("mend it")

    with pytest.raises(SystemExit) as caught:
        errors.run(main)
    assert caught.value.code == "error: mend it"


def test_a_name_that_no_file_system_takes_is_told_in_a_sentence(tmp_path):
    with pytest.raises(
        SystemExit, match=r"^error: .+\.\.\.: the name is too long for this file system: choose a shorter one"
    ):
        errors.run(lambda: (tmp_path / ("a" * 300)).write_text(""))
    with pytest.raises(FileNotFoundError):
        errors.run(lambda: (tmp_path / "a" / "b").write_text(""))


def test_other_errors_are_not_hidden():
    def main():
        raise KeyError("x")

    with pytest.raises(KeyError):
        errors.run(main)


def test_what_is_printed_logged_or_told_holds_nothing_that_a_terminal_obeys(capsys, monkeypatch):
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", logging.WARNING)

    def main():
        print(f"{CONTROLS}\n\tkept, 한국어")
        logging.getLogger("any").info(CONTROLS)
        raise errors.UserError(CONTROLS)

    with pytest.raises(SystemExit) as caught:
        errors.run(main)
    assert caught.value.code == f"error: {ESCAPED}"
    printed = capsys.readouterr()
    assert printed.out == f"{ESCAPED}\n\tkept, 한국어\n" and printed.err == f"{ESCAPED}\n"


def told(error):
    """What `run` says of it."""

    def main():
        raise error

    with pytest.raises(SystemExit) as caught:
        errors.run(main)
    return caught.value.code


class LibraryError(Exception):
    """Of another's making."""


FULL, MEMORY = "the disk is full: free some space", "memory is used up: give it more"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), FULL),
        (OSError(errno.EROFS, "x", "data/a.parquet"), "data/a.parquet: the file system is read-only"),
        (PermissionError(errno.EACCES, "x", "models"), "models: its permissions do not allow it"),
        (OSError(errno.ENAMETOOLONG, "x", "a"), "a: the name is too long for this file system"),
        (MemoryError(), MEMORY),
        # As libraries say it.
        (LibraryError("parquet: underlying IO error: No space left on device (os error 28)"), FULL),
        (OSError("1000000 requested and 1520 written"), FULL),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"), FULL),
        (sqlite3.OperationalError("database or disk is full"), FULL),
        (sqlite3.OperationalError("attempt to write a readonly database"), "the file system is read-only"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"), MEMORY),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), MEMORY),
        (RuntimeError("can't start new thread"), "no process or thread may be started"),
    ],
)
def test_what_machines_do_is_one_sentence(error, sentence):
    code = told(error)
    assert code.startswith(f"error: {sentence}") and code.endswith("; run the same command again to go on")
    assert "\n" not in code


def test_the_machine_s_fault_is_found_behind_another_error():
    try:
        try:
            raise MemoryError
        except MemoryError as error:
            raise LibraryError("it did not work") from error
    except LibraryError as error:
        assert told(error).startswith(f"error: {MEMORY}")


@pytest.mark.parametrize("error", [ValueError("No space left on device"), FileNotFoundError(errno.ENOENT, "x", "y")])
def test_what_may_be_a_mistake_of_ours_is_not_laid_on_the_machine(error):
    with pytest.raises(type(error)):
        errors.run(partial(_raise, error))


def _raise(error):
    raise error


def test_a_table_that_cannot_be_written_leaves_the_one_before(tmp_path):
    """For real: in a process whose files may be no longer than the first table."""
    code = """
import resource, sys
import polars as pl
from stages.shared import errors, tables
schema = {"a": pl.Int64}
tables.write(pl.DataFrame({"a": [1]}), "t.parquet", schema)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
many = pl.DataFrame({"a": [i * i * 7919 % 10007 for i in range(10_000)]})
errors.run(lambda: tables.write(many, "t.parquet", schema))
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert (
        done.stderr.startswith("error: t.parquet: the file would be larger than files may be here")
        and done.stderr.count("\n") == 1
    )
    assert [file.name for file in tmp_path.iterdir()] == ["t.parquet"]
    assert pl.read_parquet(tmp_path / "t.parquet")["a"].to_list() == [1]


def test_the_file_is_named_and_not_its_draft(tmp_path):
    """Where Polars says nothing of the system's reason, too."""

    def main():
        with tables.replacing(tmp_path / "out.json") as draft:
            raise OSError(errno.ENOSPC, "x", str(draft))

    with pytest.raises(SystemExit) as caught:
        errors.run(main)
    assert caught.value.code.startswith(f"error: {tmp_path / 'out.json'}: the disk is full")

    class Table(pl.DataFrame):
        def write_parquet(self, *_, **__):
            raise pl.exceptions.ComputeError("File out of specification: Invalid thrift: transport error")

    with pytest.raises(errors.UserError, match=r"t\.parquet cannot be written \(.*transport error\): is there room on"):
        tables.write(Table({"a": [1]}), tmp_path / "t.parquet", {"a": pl.Int64})
