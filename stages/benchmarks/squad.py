"""Sets in the layout of SQuAD as retrieval: a question's right passage is the paragraph that it was asked about.

- XQuAD (arXiv 1910.11856): `xquad.<language>.json` of the repository google-deepmind/xquad, or the hub's google/xquad
- MLQA (arXiv 1910.07475): `<split>-context-<language>-question-<language>.json` of MLQA_V1.zip
- KorQuAD 1 (arXiv 1909.07005), GermanQuAD (arXiv 2104.12741) and others in one language: one file, and `languages`
  of one

Questions that their paragraph does not answer (SQuAD 2) are left out.
"""

from __future__ import annotations

import logging
from pathlib import Path

from stages.benchmarks.parts import Parts, by_language
from stages.shared import squad
from stages.shared.codes import Wanted
from stages.shared.errors import UserError

log = logging.getLogger("benchmarks")
LAYOUT = "xquad.<language>.json, <split>-context-<language>-question-<language>.json or <language>.json"


def read(folder: Path, wanted: Wanted, split: str | None) -> Parts:
    languages = wanted.languages
    files = sorted(path for path in folder.rglob("*.json*") if path.is_file())
    if len(languages) == 1 and len(files) == 1:
        found = {languages[0]: files}
    elif len(languages) == 1 and (named := [path for path in files if (split or "test") in path.stem.lower()]):
        if len(named) > 1:
            raise UserError(f"{folder} has several files of {split or 'test'}: set the path to the folder of one")
        found = {languages[0]: named}
    else:
        # MLQA also has questions in another language than their paragraph, which our tasks are made of anyway.
        mlqa = rf"{split or 'test'}-context-(?P<lang>\w+)-question-(?P=lang)\.json"
        mlqa_there = any("-context-" in path.name for path in files)
        shard = r"(?:/[^/]+)?\.(?:json(?:l)?(?:\.gz)?|parquet)"
        pattern = mlqa if mlqa_there else rf"(?:xquad\.)?(?P<lang>[a-zA-Z]{{2,3}}(?:[-_][A-Za-z]+)?){shard}"
        found = by_language(folder, pattern, wanted, LAYOUT)
    passages, queries, qrels, unanswerable = squad.read(found)
    if unanswerable:
        log.info(f"{folder}: {unanswerable:,} {squad.UNANSWERABLE} are left out")
    # A paragraph has the id of one of its questions, and is another text.
    left_out = {squad.UNANSWERABLE: unanswerable}
    return Parts(passages.lazy(), queries, qrels, ids_shared=False, left_out=left_out)
