"""report: one self-contained page, tables in Markdown and the chosen model's card, in `metrics/report`.

It computes nothing new: every number was measured by `score` and `compare`, and is only arranged here.
"""

from __future__ import annotations

import logging
from pathlib import Path

from stages.report import inputs, render, view
from stages.shared import errors, params, tables

log = logging.getLogger("report")
OUT = Path("metrics/report")


def main() -> None:
    study = view.Study(
        # In the order of view.Study's fields.
        *params.read(
            "report",
            "languages",
            "recipes",
            "merges",
            "benchmarks",
            "compare",
            "base",
            "teacher",
            "train",
            "seed",
            "labels.precision",
        )
    )
    results = inputs.read(study.models, list(study.recipes), list(study.benchmarks))
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
