"""Bad input ends in a sentence and exit code 1; a mistake of ours in a traceback."""

import logging

import pytest

from stages.shared import errors

CONTROLS = "a\x1b[2J\x9b\u202e\r\x00b"
ESCAPED = r"a\u001b[2J\u009b\u202e\u000d\u0000b"


def test_a_user_error_is_its_sentence():
    def main():
        raise errors.UserError("mend it")

    with pytest.raises(SystemExit) as caught:
        errors.run(main)
    assert caught.value.code == "error: mend it"


def test_a_name_that_no_file_system_takes_is_told_in_a_sentence(tmp_path):
    with pytest.raises(SystemExit, match=r"^error: .+\.\.\. is too long for a file's name: shorten it$"):
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
