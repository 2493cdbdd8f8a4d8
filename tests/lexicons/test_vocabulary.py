"""vocabulary: the forms of a word as one, and how it is written."""

from stages.lexicons.vocabulary import Vocabulary


def written(lang, *texts, stems=True):
    vocabulary = Vocabulary(lang, stems)
    read = [vocabulary.read(text).tolist() for text in texts]
    return read, dict(zip(vocabulary.numbers, vocabulary.written, strict=True))


def test_the_forms_of_a_word_have_one_number():
    read, found = written("ko", "프로젝트를 프로젝트는", "새 프로젝트")
    assert read == [[0, 0], [1, 0]]
    assert found == {"프로젝트": "프로젝트", "새": "새"}
    read, found = written("ko", "프로젝트를 프로젝트는", stems=False)
    assert read == [[0, 1]]


def test_a_word_is_written_as_it_stands_in_texts():
    """The stem `studi` is no word; `project` is one, and in `projects`; names keep their capital."""
    _, found = written("en", "Studies and studying of Python projects", "one project of studies", "Of python Python")
    assert {found[stem] for stem in ("studi", "project", "python", "of")} == {"studies", "project", "Python", "of"}
