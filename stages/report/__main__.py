"""report: one self-contained page, tables in Markdown and the chosen model's card, in `metrics/report`.

It computes nothing new: every number was measured by other stages, and is only arranged here.
"""

from __future__ import annotations

import logging
from pathlib import Path

from stages.report import inputs, render, view
from stages.report.study import Study
from stages.settings.base import read_base
from stages.settings.benchmarks import read_benchmarks
from stages.settings.compare import read_compare
from stages.settings.labels import read_precision
from stages.settings.languages import read_languages
from stages.settings.merges import read_merges
from stages.settings.reading import read_names
from stages.settings.recipes import read_recipes
from stages.settings.report import read_report
from stages.settings.rerank import read_rerank
from stages.settings.rerankers import read_rerankers
from stages.settings.seed import read_seed
from stages.settings.teacher import read_teacher
from stages.settings.train import read_train
from stages.shared import errors, tables

log = logging.getLogger("report")
OUT = Path("metrics/report")


def main() -> None:
    study = Study(
        report=read_report(),
        languages=read_languages(),
        recipes=read_recipes(),
        rerankers=read_rerankers(),
        merges=inputs.with_found_weights(read_merges()),
        benchmarks=read_benchmarks(),
        compare=read_compare(),
        base=read_base(),
        teacher=read_teacher(),
        train=read_train(),
        seed=read_seed(),
        precision=read_precision(),
        references=[*read_names("references"), *read_names("translated"), *read_names("fusions")],
        rerank=read_rerank(),
    )
    results = inputs.read(study.models, study.beside, list(study.trained), list(study.benchmarks))
    page = view.page(study, results)
    with tables.replacing(OUT) as draft:
        draft.mkdir()
        for name, template in (
            ("index.html", "page.html.j2"),
            ("tables.md", "tables.md.j2"),
            ("model_card.md", "card.md.j2"),
        ):
            tables.write_text(render.text(template, page), draft / name)
    log.info(f"{OUT / 'index.html'}: {len(study.models)} models on {', '.join(study.benchmarks)}")


if __name__ == "__main__":
    errors.run(main)
