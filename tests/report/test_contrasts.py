"""Planned contrasts on the page."""

from pathlib import Path

from tests.report.conftest import BENCHMARKS, MEANS, edit, page, section, write


def contrasted():
    """The study with a contrast of avg and both, by one domain on `test`."""
    contrast = {"models": ["avg"], "against": ["both"], "beside": ["koenen"]}
    edit(lambda params: params["compare"].update(contrasts={"merging": contrast}))
    for benchmark in BENCHMARKS:
        domains = ["domain,model,queries,mono,cross,multi,language_bias"]
        tests = Path(f"metrics/tables/contrasts/{benchmark}.csv").read_text().splitlines()
        for domain, queries in (("*", 300), ("science", 50)) if benchmark == "test" else (("*", 300),):
            for name in ("koenen", "both", "avg"):
                mono, cross, multi, bias = MEANS[name]
                domains.append(f"{domain},{name},{queries},{mono},{cross},{multi},{bias}")
            tests.append(f"merging,{domain},cross,avg,both,{queries},0.01,0,-0.02,0.04,0.2,0.3,,0.2,0.1,900,0.4,false")
            tests.append(
                f"merging,{domain},language_bias,avg,both,{queries},5.0,1,3.0,7.0,0.001,0.001,0.002,0.002,,90,0.004,true"
            )
        write(f"metrics/tables/domains/{benchmark}.csv", "\n".join(domains) + "\n")
        write(f"metrics/tables/contrasts/{benchmark}.csv", "\n".join(tests) + "\n")
    own = {"koenen": (["koenen"], 60), "both": (["both"], 60), "avg": (["koenen", "both"], 120)}
    costs = {n: {"recipes": r, "steps": s, "examples": 64 * s, "rows": 1280} for n, (r, s) in own.items()}
    write("metrics/costs.json", costs)


def test_a_contrast_is_a_table_of_its_own_by_domain(study):
    edit(lambda params: params["recipes"]["both"].update(train={"steps": 30}, part=[0.0, 0.5]))
    contrasted()
    text, reader = page()
    values = [[cell[0] for cell in row] for row in reader.tables["contrast-values-test-merging"]]
    assert values[0] == ["Domain", "tasks", "queries", "koenen", "both", "avg"]
    assert values[2] == ["all", "Cross", "300", "55.0", "56.0", "57.0"]
    assert values[8] == ["science", "Bias", "50", "20.0", "10.0", "15.0"]
    rows = [[cell[0] for cell in row] for row in reader.tables["contrast-test-merging"]][1:]
    assert rows[2] == [
        *("science", "Cross", "avg", "both", "57.0", "56.0", "+1.0", "−2.0 to +4.0", "0.400", "no", "0.300", "+0.10")
    ]
    # Fewer ranks of bias are better.
    assert rows[3][:2] == ["science", "Bias"] and rows[3][9] == "▼ worse"
    assert "over the 4 rows of the second table" in text
    costs = {row[0][0]: [cell[0] for cell in row[1:]] for row in reader.tables["costs-of-models"]}
    assert costs["avg merge"] == ["koenen, both", "120", "7,680", "1,280", "6.0"]
    assert [cell[0] for row in reader.tables["recipes"] if row[0][0] == "both" for cell in row[-2:]] == [
        "part 0 to 0.5",
        "steps 30",
    ]
    tables = Path("metrics/report/tables.md").read_text()
    assert "| science | Cross | avg | both | 57.0 | 56.0 | +1.0 | −2.0 to +4.0 | 0.400 | no | 0.300 | +0.10 |" in tables
    assert "| avg | koenen, both | 120 | 7,680 | 1,280 | 6.0 |" in tables


def test_without_contrasts_nothing_is_said_of_them(study):
    text, _ = page()
    assert "Contrast" not in text and "Contrast" not in Path("metrics/report/tables.md").read_text()
    assert 'id="costs"' not in text and "training" in section(text, "training")
