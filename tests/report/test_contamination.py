"""What training holds of the benchmarks."""

import json
from pathlib import Path

from tests.report.conftest import BENCHMARKS, RECIPES, contaminated, page, section, write


def test_what_training_holds_of_the_benchmarks(study):
    text, reader = page()
    assert 'class="warning"' not in text and 'class="high"' not in text
    contaminated(
        test={
            "koenen": {"en": {"queries": 0.011, "passages": 0.00001}, "ko": {"queries": 0.2, "passages_negative": 1.0}},
            "koenko": {"*": {"passages": 0.01}},
        },
        plain={"both": {"*": {"queries": 0.0101}}},
        dev={"both": {"en": {"passages": 0.01}}},
    )
    text, reader = page()
    heads, header, *rows = [[c[0] for c in row] for row in reader.tables["contaminated"]]
    assert heads == ["Recipe", "dev", "test", "plain"] and header == ["queries", "passages", "as negatives"] * 3
    assert rows == [
        ["koenen", *["0"] * 3, "▲ 20.00", "< 0.01", "100.00", *["0"] * 3],
        ["koenko", *["0"] * 3, "0", "1.00", "0", *["0"] * 3],
        ["both", "0", "1.00", "0", *["0"] * 3, "▲ 1.01", "0", "0"],
    ]
    assert text.count('class="high"') == 2
    sections = {name: section(text, f"benchmark-{name}") for name in BENCHMARKS}
    assert "Recipes train on up to 20.00 % of its queries and up to 1.00 % of the passages" in sections["test"]
    assert "Recipes train on" in sections["plain"] and "Recipes train on" not in sections["dev"]
    # The chosen merge is of koenen and both.
    card = Path("metrics/report/model_card.md").read_text().split("### plain")
    held = "the model's training sets hold, exactly or nearly and in any language"
    assert f"{held}, 20.00 % of the queries and < 0.01 % of the passages that answer them, so what it" in card[0]
    assert f"{held}, 1.01 % of the queries" in card[1]
    tables = Path("metrics/report/tables.md").read_text()
    assert "| koenen | 0 | 0 | 0 | **20.00** | < 0.01 | 100.00 | 0 | 0 | 0 |" in tables
    assert "| recipe | dev: queries | dev: passages | dev: as negatives | test: queries |" in tables


def test_a_kind_that_a_benchmark_lacks_is_a_dash(study):
    report = json.loads(Path("metrics/contamination.json").read_text())
    report["plain"] = {recipe: {"en": {"queries": 0.5}, "*": {"queries": 0.5}} for recipe in RECIPES}
    write("metrics/contamination.json", report)
    _, reader = page()
    assert [c[0] for c in reader.tables["contaminated"][2]][-3:] == ["▲ 50.00", "–", "–"]
