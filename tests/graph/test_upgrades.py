"""What an upgrade of the code builds again: what reads the line that changed and, its bytes being the same, no more."""

import pytest

pytestmark = [pytest.mark.graph, pytest.mark.xdist_group("smoke")]


def test_a_comment_in_one_group_s_settings_reruns_that_group_s_stages_alone(graph):
    graph.code("stages/settings/score.py")
    assert graph.repro() == {"check", "score"}
    graph.code("stages/settings/labels.py")
    assert graph.repro() == {"check", "labels", "report"}


def test_a_new_option_of_the_llm_client_reruns_synthesize_and_nothing_behind_it(graph):
    graph.code(
        "stages/settings/llm.py",
        ("    poll_seconds: Positive\n", "    poll_seconds: Positive\n    pause: float = 0.0\n"),
    )
    graph.edit("llm.pause", 0.5)
    assert graph.repro() == {"check", "synthesize"}


def test_a_new_table_of_a_stage_reruns_that_stage_alone(graph):
    graph.code(
        "stages/synthesize/rejected.py",
        ("FAILURES: Schema", 'KEPT: Schema = {"job": pl.String, "texts": pl.UInt32}\nFAILURES: Schema'),
    )
    graph.code(
        "stages/synthesize/output.py",
        ("import DROPPED, FAILURES\n", "import DROPPED, FAILURES, KEPT\n"),
        (
            '            ("failures", failures,',
            '            ("kept", kept.group_by("job").agg(texts=pl.len()), KEPT, ["job"]),\n'
            '            ("failures", failures,',
        ),
    )
    graph.code(
        "dvc.yaml",
        (
            "      - data/synthetic/failures.parquet\n",
            "      - data/synthetic/failures.parquet\n      - data/synthetic/kept.parquet\n",
        ),
    )
    assert graph.repro() == {"synthesize"}
    assert (graph.folder / "data/synthetic/kept.parquet").is_file()


def test_a_new_merging_method_trains_nothing(graph):
    graph.code(
        "stages/settings/merges.py",
        ("METHODS: dict[str, Method] = {\n", 'METHODS: dict[str, Method] = {\n    "stub": Method(True, "none", {}),\n'),
        ("MergingMethod = Literal[\n", 'MergingMethod = Literal[\n    "stub",\n'),
    )
    # What the merge is computed from stays, so it is not merged again.
    assert graph.repro() == {"check", "plans", "compare", "report", "chosen"}


def test_a_line_of_how_weights_are_merged_ranks_nothing_again(graph):
    graph.code("stages/shared/merging.py")
    # The merge that is there gives the same bytes.
    assert graph.repro() == {"plans", "merge@avg-koenen-kokoko"}


def test_a_template_of_the_report_reruns_report_alone_and_a_tool_nothing(graph):
    graph.code("stages/report/page.html.j2", ("</body>", "<!-- a new line --></body>"))
    graph.code("tools/results.py")
    graph.code("tools/study.py")
    assert graph.repro() == {"report"}


def test_a_line_of_what_trains_is_all_that_trains(graph):
    """And if the weights are the same, nothing is merged or ranked again."""
    graph.code("stages/train/__main__.py")
    assert graph.repro() == {"train@enenen", "train@koenen", "train@kokoko"}
