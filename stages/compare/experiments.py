"""python -m stages.compare --experiments [--all] [--csv FILE]: finished experiments side by side.

DVC keeps an experiment as a commit of its own, under refs/exps/<the commit it was made on>/<its name>. Experiments that
differ in the seed alone are one row for each model: the mean and the sample standard deviation over their seeds. The
workspace and HEAD count as one more seed of such a row, and make no row of their own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import statistics
import subprocess
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import yaml

from stages.shared import params, tables, yaml12
from stages.shared.errors import UserError
from stages.shared.languages import BIAS, GROUPS

log = logging.getLogger("compare")
SUMMARY, LOCK = "metrics/summary.json", "dvc.lock"
MEASURES = (*GROUPS, BIAS)
ABSENT = "-"
# A key of params.yaml in its parts: ("base", "name").
Key = tuple[str, ...]


class Result(NamedTuple):
    """What was measured with one set of params.

    Attributes:
        commit: on which it was made.
        made_from: a digest of the code and the data that it was built from.
        settings: the params without their seed.
        metrics: of each benchmark, what it is measured by.
        values: benchmark -> model -> mono, cross, multi and language bias, as far as there are such tasks.
    """

    name: str
    commit: str
    made_from: str
    seed: int
    settings: dict[str, Any]
    metrics: dict[str, str]
    values: dict[str, dict[str, dict[str, float]]]

    @property
    def group(self) -> str:
        """Equal for results that differ in the seed alone."""
        return json.dumps([self.made_from, self.settings], sort_keys=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.compare")
    parser.add_argument("--experiments", action="store_true", help="print a table of the finished experiments")
    parser.add_argument("--all", action="store_true", help="those made on any commit, not on HEAD alone")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write a row for each value to FILE")
    arguments = parser.parse_args()
    head = (_git("rev-parse", "--verify", "--quiet", "HEAD") or "").strip()
    if not head:
        raise UserError("there is no commit here, and so no experiment: run in a clone of the repository")
    made_on = None if arguments.all else head
    results = finished(made_on)
    for name, why in unfinished(made_on):
        log.info(f"left out: {name}, {why}")
    if not results:
        raise UserError(
            "there are no finished experiments here: queue some (`make study STUDY=... SWEEP=...`), run them "
            "(`dvc queue start`), or add --all for those that were made on other commits"
        )
    results += further_seeds(results, head)
    check_metrics(results)
    if arguments.csv:
        with tables.replacing(arguments.csv) as draft:
            long(results).write_csv(draft, line_terminator="\n")
    print("\n\n".join(markdown(results)))


def finished(commit: str | None) -> list[Result]:
    """Results of the experiments made on `commit` (None: on any); of equal params, those of the last run."""
    within = f"refs/exps/{commit[:2]}/{commit[2:]}/" if commit else "refs/exps/"
    listed = _git("for-each-ref", "--sort=committerdate", "--format=%(objectname) %(refname)", within) or ""
    results: dict[tuple[str, int], Result] = {}
    for line in listed.splitlines():
        revision, reference = line.split(" ", 1)
        _, _, *made_on, name = reference.split("/", 4)
        # Not DVC's own, such as refs/exps/celery/stash.
        if len("".join(made_on)) == len(revision):
            result = _result(name, "".join(made_on), partial(_committed, revision))
            if result:
                results[result.group, result.seed] = result
            else:
                log.info(f"left out: {name}, whose results are not those of its params: it was built in part")
    return list(results.values())


def unfinished(commit: str | None) -> list[tuple[str, str]]:
    """Names of queued experiments made on `commit` (None: on any) that have no results, and why."""
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    try:
        queue = Repo().experiments.celery_queue
    except NotDvcRepoError:
        return []
    found = []
    for entries, why in (
        ([done.entry for done in queue.iter_failed()], "which failed: `dvc queue logs {}` says why"),
        (queue.iter_active(), "which is running: `dvc queue status` says when it is done"),
        (queue.iter_queued(), "which has not started: `dvc queue start` runs it"),
    ):
        for entry in entries:
            name = entry.name or entry.stash_rev[:7]
            if commit in (None, entry.baseline_rev):
                found.append((name, why.format(name)))
    return found


def further_seeds(results: list[Result], head: str) -> list[Result]:
    """The workspace and HEAD, where they are seeds that the experiments lack."""
    groups, seeds = {r.group for r in results}, {(r.group, r.seed) for r in results}
    found = []
    for name, read in (("workspace", _present), ("HEAD", partial(_committed, "HEAD"))):
        result = _result(name, head, read)
        if result and result.group in groups and (result.group, result.seed) not in seeds:
            seeds.add((result.group, result.seed))
            found.append(result)
    return found


def check_metrics(results: list[Result]) -> None:
    """Raise `UserError` if a benchmark is not measured alike in all of them."""
    first: dict[str, Result] = {}
    for result in results:
        for benchmark, metric in result.metrics.items():
            other = first.setdefault(benchmark, result)
            if other.metrics[benchmark] != metric:
                raise UserError(
                    f"{other.name} measures {benchmark} by {other.metrics[benchmark]} and {result.name} by {metric}, "
                    "which do not compare: remove one of them with `dvc exp remove`"
                )


def markdown(results: list[Result]) -> list[str]:
    """A titled table for each benchmark: a row for each set of params and model."""
    keys = columns(results)
    header = [*(".".join(key) or "commit" for key in keys), "model", *GROUPS, "bias", "n"]
    metrics = {benchmark: metric for result in results for benchmark, metric in result.metrics.items()}
    blocks = []
    for benchmark, metric in metrics.items():
        rows = []
        for group in grouped(results):
            seeds = [result.values[benchmark] for result in group if benchmark in result.values]
            for model in dict.fromkeys(name for models in seeds for name in models):
                found = [models[model] for models in seeds if model in models]
                spreads = [spread([r[m] * (1 if m == BIAS else 100) for r in found if m in r]) for m in MEASURES]
                rows.append([*(_shown(group[0], key) for key in keys), model, *spreads, str(len(found))])
        title = f"{benchmark}: {metric} x 100, mean ± deviation over n seeds"
        blocks.append("\n".join([title, "", *_padded([header, *rows], len(keys) + 1)]))
    return blocks


def long(results: list[Result]) -> pl.DataFrame:
    """A row for each value, with the keys of params.yaml that the results differ in."""
    keys = [key for key in columns(results) if key]
    rows = [
        {"experiment": r.name, "commit": r.commit, "seed": r.seed}
        | {".".join(key): _shown(r, key) for key in keys}
        | {"benchmark": benchmark, "metric": r.metrics[benchmark], "model": model, "measure": measure, "value": value}
        for group in grouped(results)
        for r in group
        for benchmark, models in r.values.items()
        for model, row in models.items()
        for measure, value in row.items()
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def grouped(results: list[Result]) -> list[list[Result]]:
    """Results that differ in the seed alone, by seed; groups in the order of what they differ in."""
    keys = [key for key in columns(results) if key]
    groups: dict[str, list[Result]] = {}
    for result in sorted(results, key=lambda r: ([_order(_at(r.settings, key)) for key in keys], r.seed)):
        groups.setdefault(result.group, []).append(result)
    return list(groups.values())


def columns(results: list[Result]) -> list[Key]:
    """The keys that results differ in; the empty key stands for code and data, and is shown as the commit."""
    several = len({result.made_from for result in results}) > 1
    return [*([()] if several else []), *differing([result.settings for result in results])]


def differing(trees: list[dict[str, Any]], path: Key = ()) -> Iterator[Key]:
    """The keys whose values are not the same in all `trees`; a group that some lack is one key."""
    for key in dict.fromkeys(key for tree in trees for key in tree):
        values = [tree.get(key, ABSENT) for tree in trees]
        if all(isinstance(value, dict) for value in values):
            yield from differing(values, (*path, key))
        elif any(value != values[0] for value in values):
            yield (*path, key)


def spread(values: list[float]) -> str:
    """Mean and sample standard deviation; of one value, the value alone."""
    if not values:
        return ABSENT
    mean = f"{statistics.fmean(values):.1f}"
    return f"{mean} ± {statistics.stdev(values):.1f}" if len(values) > 1 else mean


def sources(settings: dict[str, Any], lock: dict[str, Any]) -> str | None:
    """A digest of the files that no stage makes; None unless every stage last ran with these params."""
    members = {name for group in ("fetch", "recipes", "merges", "benchmarks") for name in settings.get(group, ())}
    # DVC's lock keeps the stages of members that are gone.
    stages = [s for name, s in lock["stages"].items() if (member := name.partition("@")[2]) in members or not member]
    for stage in stages:
        for key, value in stage.get("params", {}).get(str(params.PARAMS), {}).items():
            if _at(settings, key.split(".")) != value:
                return None
    if "compare" not in lock["stages"]:
        return None
    made = {Path(out["path"]) for stage in stages for out in stage.get("outs", [])}
    read = sorted({(dep["path"], dep.get("md5", "")) for stage in stages for dep in stage.get("deps", [])})
    return hashlib.sha256(json.dumps([dep for dep in read if not _within(dep[0], made)]).encode()).hexdigest()


def _within(path: str, made: set[Path]) -> bool:
    """Whether `path` is what stages make, a part of it, or a folder that holds some of it."""
    return any(Path(path).is_relative_to(out) or out.is_relative_to(path) for out in made)


def _result(name: str, commit: str, read: Callable[[str], str | None]) -> Result | None:
    """None if a file is missing, or the results were not made with the params beside them."""
    texts = [text for file in (str(params.PARAMS), LOCK, SUMMARY) if (text := read(file)) is not None]
    if len(texts) < 3:
        return None
    settings, lock = (yaml.load(text, yaml12.Loader) for text in texts[:2])
    made_from = sources(settings, lock)
    if made_from is None:
        return None
    summary = json.loads(texts[2])
    benchmarks = {n: benchmark for n, benchmark in settings["benchmarks"].items() if n in summary}
    return Result(
        name,
        commit,
        made_from,
        settings.pop("seed"),
        settings,
        {n: benchmark.get("metric") or settings["compare"]["metric"] for n, benchmark in benchmarks.items()},
        {n: summary[n] for n in benchmarks},
    )


def _at(tree: Any, key: Sequence[str]) -> Any:
    for part in key:
        tree = tree.get(part, ABSENT) if isinstance(tree, dict) else ABSENT
    return tree


def _shown(result: Result, key: Key) -> str:
    value = _at(result.settings, key) if key else result.commit[:7]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _order(value: Any) -> tuple[bool, float, str]:
    """Numbers by size, then the rest by how it is written."""
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return (not numeric, value if numeric else 0, json.dumps(value))


def _padded(lines: list[list[str]], left: int) -> list[str]:
    """A Markdown table that also reads in a terminal: the first `left` columns to the left, the rest to the right."""
    lines = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    widths = [max(2, *map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * width if i < left else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    return [
        "| "
        + " | ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in (lines[0], rule, *lines[1:])
    ]


def _present(file: str) -> str | None:
    return Path(file).read_text(encoding="utf-8") if Path(file).is_file() else None


def _committed(revision: str, file: str) -> str | None:
    return _git("show", f"{revision}:./{file}")


def _git(*arguments: str) -> str | None:
    """What Git prints; None if it fails."""
    done = subprocess.run(["git", *arguments], capture_output=True, encoding="utf-8", check=False)
    return done.stdout if done.returncode == 0 else None
