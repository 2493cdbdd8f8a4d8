"""What was measured at each revision: of experiments, of HEAD and of the workspace; and in folders that were saved.

DVC keeps an experiment as a commit of its own, under refs/exps/<the commit it was made on>/<its name>. Params, dvc.lock
and the small metrics are read from Git; each query's values are DVC's, and read from its cache or its remote.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from stages.schemas.scores import MODEL_METRICS, QUERY_SCORES, SCORES_FOLDER
from stages.schemas.summary import SUMMARY_FILE
from stages.settings import yaml12
from stages.settings.reading import PARAMS
from stages.shared.errors import UserError
from stages.shared.tasks import task_groups
from tools.git import git
from tools.graph import CHECKOUT, GRAPH, LOCK, group

log = logging.getLogger("experiments")
ABSENT = "-"


class Result(NamedTuple):
    """What was measured with one set of params.

    Attributes:
        revision: of Git, at which the files are; None: in the workspace.
        commit: on which it was made.
        made_from: a digest of the code and the data that it was built from.
        group: equal for results that differ in the seed alone.
        settings: the params without their seed.
        metrics: of each benchmark, what it is measured by.
        values: benchmark -> model -> mono, cross, multi, language bias and its median, as far as there are such tasks.
        folder: where the files are, if they are of no revision.
    """

    name: str
    revision: str | None
    commit: str
    made_from: str
    group: str
    seed: int
    settings: dict[str, Any]
    metrics: dict[str, str]
    values: dict[str, dict[str, dict[str, float]]]
    folder: Path = Path()

    @property
    def models(self) -> list[str]:
        return list(dict.fromkeys(model for models in self.values.values() for model in models))

    @property
    def task_groups(self) -> dict[str, str]:
        """mono, cross or multi, by the name of a task."""
        # The params may be of another version of the code: they are not validated.
        own = [lang for benchmark in self.settings["benchmarks"].values() for lang in benchmark.get("languages") or ()]
        return task_groups(list(dict.fromkeys([*self.settings["languages"], *own])))


def head() -> str | None:
    return (git("rev-parse", "--verify", "--quiet", "HEAD") or "").strip() or None


def finished(commit: str | None) -> list[Result]:
    """Results of the experiments made on `commit` (None: on any); of equal params, those of the last run."""
    within = f"refs/exps/{commit[:2]}/{commit[2:]}/" if commit else "refs/exps/"
    listed = git("for-each-ref", "--sort=committerdate", "--format=%(objectname) %(refname)", within) or ""
    results: dict[tuple[str, int], Result] = {}
    for line in listed.splitlines():
        revision, reference = line.split(" ", 1)
        _, _, *made_on, name = reference.split("/", 4)
        # Not DVC's own, such as refs/exps/celery/stash.
        if len("".join(made_on)) == len(revision):
            result = read(name, revision, "".join(made_on))
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
        (queue.iter_queued(), "which has not started: `python -m tools.queued` runs it"),
    ):
        for entry in entries:
            name = entry.name or entry.stash_rev[:7]
            if commit in (None, entry.baseline_rev):
                found.append((name, why.format(name)))
    return found


def further_seeds(results: list[Result], commit: str) -> list[Result]:
    """The workspace and HEAD, which is `commit`, where they are seeds that the experiments lack."""
    groups, seeds = {r.group for r in results}, {(r.group, r.seed) for r in results}
    found = []
    for name, revision in (("workspace", None), ("HEAD", commit)):
        result = read(name, revision, commit)
        if result and result.group in groups and (result.group, result.seed) not in seeds:
            seeds.add((result.group, result.seed))
            found.append(result)
    return found


def read(name: str, revision: str | None, commit: str) -> Result | None:
    """None if a file is missing, or the results were not made with the params beside them."""
    texts = [text for file in (PARAMS, LOCK, SUMMARY_FILE) if (text := stored(revision, file)) is not None]
    if len(texts) < 3:
        return None
    settings, lock = (yaml12.parse(text) for text in texts[:2])
    made_from = sources(settings, lock)
    return None if made_from is None else _result(name, revision, commit, made_from, settings, json.loads(texts[2]))


def saved(folders: Sequence[Path]) -> list[Result]:
    """Results in folders that hold params.yaml, metrics/ and data/scores/ of where they were built, and dvc.lock: where
    that is missing, it is taken on trust that the rest belongs together and is of the same code and data.

    Raises `UserError` for what is missing, was built in part, or of other code or data than another of these settings.
    """
    found = []
    first: dict[str, tuple[str, Path]] = {}
    for folder in folders:
        for file in (PARAMS, SUMMARY_FILE):
            if not (folder / file).is_file():
                raise UserError(f"{folder} lacks {file}: copy it there from where the study was built")
        settings, summary = yaml12.load(folder / PARAMS), json.loads((folder / SUMMARY_FILE).read_text("utf-8"))
        made_from = None
        if (folder / LOCK).is_file():
            made_from = sources(settings, yaml12.load(folder / LOCK))
            if made_from is None:
                raise UserError(f"the results in {folder} are not those of its {PARAMS}: it was built in part")
        else:
            log.info(f"{folder} has no {LOCK}: that its results are of its {PARAMS} is taken on trust")
        result = _result(str(folder), None, ABSENT, "", settings, summary)._replace(folder=folder)
        if made_from is not None:
            other = first.setdefault(result.group, (made_from, folder))
            if other[0] != made_from:
                raise UserError(f"{folder} and {other[1]} have the same settings, but are of other code or data")
        found.append(result)
    return found


def _result(
    name: str, revision: str | None, commit: str, made_from: str, settings: dict[str, Any], summary: dict[str, Any]
) -> Result:
    benchmarks = {n: benchmark for n, benchmark in settings["benchmarks"].items() if n in summary}
    seed = settings.pop("seed")
    return Result(
        name,
        revision,
        commit,
        made_from,
        json.dumps([made_from, settings], sort_keys=True),
        seed,
        settings,
        {n: benchmark.get("metric") or settings["compare"]["metric"] for n, benchmark in benchmarks.items()},
        {n: summary[n] for n in benchmarks},
    )


def sources(settings: dict[str, Any], lock: dict[str, Any]) -> str | None:
    """A digest of the files that no stage makes; None unless all that `compare` is made of was last built with these
    params and of one another. What else a study builds of its models, such as the report or an index, may be older."""
    # DVC's lock keeps the stages of members that are gone, whose names another group may have.
    over = _groups()
    stages = {}
    for name, body in lock["stages"].items():
        stage, _, member = name.partition("@")
        if not member or member in settings.get(over.get(stage, ""), ()):
            stages[name] = body
    # It reads all of params.yaml, and no value passes through it.
    stages.pop("check", None)
    if "compare" not in stages:
        return None
    behind = _behind("compare", stages)
    for stage in behind:
        for key, value in stage.get("params", {}).get(str(PARAMS), {}).items():
            if at(settings, key.split(".")) != value:
                return None
    made = {out["path"]: out.get("md5", "") for stage in behind for out in stage.get("outs", [])}
    read = sorted({(dep["path"], dep.get("md5", "")) for stage in behind for dep in stage.get("deps", [])})
    if any(digest != made.get(path, digest) for path, digest in read):
        return None
    outside = [dep for dep in read if not any(_overlap(dep[0], out) for out in made)]
    return hashlib.sha256(json.dumps(outside).encode()).hexdigest()


@cache
def _groups() -> dict[str, str]:
    """Of each stage of dvc.yaml the group of which it has a member each, or empty."""
    return {stage: group(body) for stage, body in yaml12.load(CHECKOUT / GRAPH)["stages"].items()}


def _behind(name: str, stages: dict[str, Any]) -> list[dict[str, Any]]:
    """A stage of dvc.lock and all those that it is made of, however far back; in the order of the lock."""
    makers = [(out["path"], maker) for maker, stage in stages.items() for out in stage.get("outs", [])]
    found, paths = {name}, [dep["path"] for dep in stages[name].get("deps", [])]
    seen = set(paths)
    while paths:
        path = paths.pop()
        for maker in {maker for out, maker in makers if _overlap(path, out)} - found:
            found.add(maker)
            fresh = {dep["path"] for dep in stages[maker].get("deps", [])} - seen
            seen |= fresh
            paths += fresh
    return [stage for member, stage in stages.items() if member in found]


def _overlap(path: str, out: str) -> bool:
    """Whether `path` is what a stage makes, a part of it, or a folder that holds it."""
    return path == out or path.startswith(f"{out}/") or out.startswith(f"{path}/")


def scored(result: Result) -> dict[str, dict[str, dict[str, Any]]]:
    """Each model's metrics, as `score` writes them: model -> benchmark -> task or group -> metric -> mean."""
    trees = {}
    for model in result.models:
        text = stored(result.revision, f"{MODEL_METRICS}/{model}.json", result.folder)
        if text is None:
            raise UserError(f"{result.name} lacks {MODEL_METRICS}/{model}.json: remove it, or run it again")
        trees[model] = json.loads(text)
    return trees


def query_scores(result: Result, metrics: list[str]) -> pl.DataFrame:
    """Each query's values of `metrics` by all models: columns model, then those of QUERY_SCORES.

    Raises `UserError` if they are neither in DVC's cache nor in the remote that the revision names.
    """
    found = []
    for file, content in score_files(result).items():
        own = pl.read_parquet(content).filter(pl.col("metric").is_in(metrics))
        found.append(own.select(pl.lit(file.stem).alias("model"), *QUERY_SCORES))
    return pl.concat(found)


def score_files(result: Result) -> dict[Path, bytes]:
    """The files of each query's values, in the order of the models; raises `UserError` if one is not to be had."""
    files = [SCORES_FOLDER / f"{model}.parquet" for model in result.models]
    if result.folder != Path():
        if missing := [file for file in files if not (result.folder / file).is_file()]:
            raise UserError(f"{result.folder} lacks {missing[0]}: copy it there from where the study was built")
        return {file: (result.folder / file).read_bytes() for file in files}
    from dvc.api import DVCFileSystem

    # One for all files: opening it parses the whole graph of that revision, a third of a second.
    kept = DVCFileSystem(rev=result.revision)
    found = {}
    for file in files:
        try:
            found[file] = kept.read_bytes(str(file))
        except Exception as error:  # also those of a remote's own library, which DVC lets through
            own_commit = result.revision not in (None, result.commit)
            mend = f"`dvc exp pull <remote of Git> {result.name}`" if own_commit else "`dvc pull`"
            raise UserError(
                f"{file} of {result.name} is in neither DVC's cache nor its remote ({error}): get it with {mend} from "
                "where it was built, or build it again"
            ) from error
    return found


def at(tree: Any, key: Sequence[str]) -> Any:
    for part in key:
        tree = tree.get(part, ABSENT) if isinstance(tree, dict) else ABSENT
    return tree


def stored(revision: str | None, file: str | Path, folder: Path = Path()) -> str | None:
    """A file of Git's, or of the workspace or another folder; None if it is not there."""
    if revision is not None:
        return git("show", f"{revision}:./{file}")
    return (folder / file).read_text(encoding="utf-8") if (folder / file).is_file() else None
