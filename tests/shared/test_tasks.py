"""Tasks: who asks in which language what, and the languages that are measured."""

from stages.settings.benchmarks import Benchmark
from stages.shared.tasks import Task, measured, task_groups, tasks


def test_tasks_and_their_groups():
    assert task_groups(["en", "ko"]) == {
        "en-en": "mono",
        "en-ko": "cross",
        "en-*": "multi",
        "ko-en": "cross",
        "ko-ko": "mono",
        "ko-*": "multi",
    }


def test_one_corpus_language_has_no_pool():
    assert tasks(["en", "ko"], ["en"]) == [Task("en", "en"), Task("ko", "en")]


def test_the_languages_of_benchmarks_are_measured_after_the_studys():
    benchmarks = {
        name: Benchmark.model_construct(languages=languages)
        for name, languages in (("a", ["de", "ko"]), ("b", None), ("c", ["fr", "de"]))
    }
    assert measured(["en", "ko"], benchmarks) == ["en", "ko", "de", "fr"]
