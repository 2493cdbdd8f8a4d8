"""Language tags and their names."""

import pytest

from stages.shared.languages import is_language, language_name


@pytest.mark.parametrize("tag", ["en", "ko", "hi-Latn", "no", "zh-Hant-TW"])
def test_tags(tag):
    assert is_language(tag)


@pytest.mark.parametrize("tag", ["english", "e", "", "x_", "en-"])
def test_other_texts_are_no_tags(tag):
    assert not is_language(tag)


def test_names():
    assert [language_name(t) for t in ("ko", "en", "hi-Latn")] == ["Korean", "English", "Hindi (Latin)"]
