"""Long documents to measure `windows` on: pages of Korean-English software documentation, asked for by their headings.

python benchmarks/pages.py ../pages [--pages 80] [--chars 2000 10000]

writes a folder in the layout of BEIR. A page is all paragraphs of a file of ../shared/data/parallel_ko_en, in order and
without headings; a question is a heading that no other page has, in both languages. Of pages with so many characters in
English, both included, some are drawn by seed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from stages.shared import seeds  # noqa: E402

PARAGRAPHS = ROOT / "../shared/data/parallel_ko_en/paragraphs.train.jsonl.gz"
LANGUAGES = ("en", "ko")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--paragraphs", type=Path, default=PARAGRAPHS, metavar="FILE")
    parser.add_argument("--pages", type=int, default=80)
    parser.add_argument("--chars", type=int, nargs=2, default=(2000, 10000), metavar=("LEAST", "MOST"))
    given = parser.parse_args()
    texts: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    headed: dict[str, set[str]] = defaultdict(set)
    spoken: dict[str, str] = {}
    with gzip.open(given.paragraphs, "rt", encoding="utf-8") as opened:
        for row in map(json.loads, opened):
            page = f"{row['source']}/{row['path']}"
            if row["source"] == "tldr" or row["kind"] == "title":
                continue
            for lang in LANGUAGES:
                texts[page][lang].append(row[lang])
            if row["heading_en"] and row["heading_ko"]:
                headed[row["heading_en"]].add(page)
                spoken[row["heading_en"]] = row["heading_ko"]
    asked = {heading: next(iter(pages)) for heading, pages in headed.items() if len(pages) == 1}
    least, most = given.chars
    long = [page for page in set(asked.values()) if least <= sum(map(len, texts[page]["en"])) <= most]
    chosen = set(sorted(long, key=lambda page: seeds.number(1, page))[: given.pages])
    questions = sorted(heading for heading, page in asked.items() if page in chosen)
    for lang in LANGUAGES:
        write(given.folder / f"corpus.{lang}.jsonl", [(page, " ".join(texts[page][lang])) for page in sorted(chosen)])
        said = [heading if lang == "en" else spoken[heading] for heading in questions]
        write(given.folder / f"queries.{lang}.jsonl", [(f"q{n}", text) for n, text in enumerate(said)])
    judged = "".join(f"q{n}\t{asked[heading]}\t1\n" for n, heading in enumerate(questions))
    (given.folder / "qrels.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}", encoding="utf-8")
    print(f"{len(chosen)} pages, {len(questions)} questions")


def write(file: Path, rows: list[tuple[str, str]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps({"_id": name, "text": text}, ensure_ascii=False) for name, text in rows)
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
