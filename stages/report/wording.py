"""What groups of tasks, metrics, corrections, benchmarks' sources and paths are called on the page."""

from __future__ import annotations

from pathlib import Path

from stages.settings.benchmarks import Benchmark
from stages.shared.tasks import BIAS

GROUP_TITLES = {"mono": "Mono", "cross": "Cross", "multi": "Multi", BIAS: "Bias"}
METRIC_TITLES = {"ndcg": "nDCG", "mrr": "MRR", "map": "MAP", "recall": "Recall", "accuracy": "Accuracy"}
CORRECTIONS = {"holm": "Holm's", "bonferroni": "Bonferroni's"}
SOURCES = {
    "beir": "the BEIR folder",
    "belebele": "Belebele in",
    "strategyqa": "StrategyQA in",
    "xquad-r": "XQuAD-R in",
    "mlqa-r": "MLQA-R in",
    "miracl": "MIRACL in",
    "mmarco": "mMARCO in",
    "mkqa": "MKQA in",
    "feverous": "FEVEROUS in",
    "intents": "labelled texts in",
    "massive": "MASSIVE in",
    "mtop": "MTOP in",
    "hinglish-top": "Hinglish-TOP in",
}


def metric_title(metric: str) -> str:
    """`ndcg@10` -> `nDCG@10`."""
    kind, _, k = metric.partition("@")
    return f"{METRIC_TITLES.get(kind, kind)}@{k}"


def source(benchmark: Benchmark, by_label: bool) -> str:
    """Where a benchmark comes from, what answers its queries and how much of it is measured."""
    if benchmark.source == "held-out":
        details = [f"the collection's {benchmark.split} split"]
    else:
        details = [f"{SOURCES[benchmark.source]} {shown_path(benchmark.path)}"]
        details += [f"split {benchmark.split}"] if benchmark.split else []
    if by_label:
        details.append("where a passage answers if it has the query's label")
    if benchmark.rerank:
        details.append(f"ranking the candidates of {shown_path(benchmark.rerank)} alone")
    if benchmark.pool == "one":
        details.append("with a pool of each document in one language")
    if benchmark.queries or benchmark.passages:
        sizes = {"queries": benchmark.queries, "passages": benchmark.passages}
        details.append("a sample of " + " and ".join(f"{size:,} {kind}" for kind, size in sizes.items() if size))
    return ", ".join(details)


def shown_path(name: str) -> str:
    """A hub id or relative path as it is; of an absolute path its end, the same on every machine."""
    return Path(name).name if Path(name).is_absolute() else name
