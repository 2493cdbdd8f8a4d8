"""Bad input ends in a sentence and exit code 1; a mistake of ours in a traceback."""

import pytest

from stages.shared import errors


def test_a_user_error_is_its_sentence():
    def main():
        raise errors.UserError("mend it")

    with pytest.raises(SystemExit) as caught:
        errors.run(main)
    assert caught.value.code == "error: mend it"


def test_other_errors_are_not_hidden():
    def main():
        raise KeyError("x")

    with pytest.raises(KeyError):
        errors.run(main)
