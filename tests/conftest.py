"""What the unit tests share: a workspace away from the repository, with params.yaml and written tables."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import importlib
import shutil
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml

from stages.schemas.similarity import SIMILARITY
from stages.schemas.texts import LABELLED, LABELS, PASSAGES, QRELS, QUERIES
from stages.settings import yaml12
from stages.shared import tables
from stages.shared.vectors import keys
from stages.synthesize.rejected import DROPPED, FAILURES

ROOT = Path(__file__).parents[1]


SYNTHETIC = {
    "passages": PASSAGES,
    "queries": QUERIES,
    "qrels": QRELS,
    "labelled": LABELLED,
    "failures": FAILURES,
    "dropped": DROPPED,
}
# The params of a labelled knowledge base, in English, asked in Hinglish.
KNOWLEDGE_BASE = {
    "languages": ["en", "hi-Latn"],
    "corpus__source": "labelled",
    "corpus__columns": None,
    "corpus__codes": {"hi-Latn": "hinglish"},
    "corpus__labelled": {
        "language": "en",
        "index": 0.3,
        "tables": {
            "labels": {
                "role": "labels",
                "rows": {"kind": ["label"]},
                "columns": {"label": "label", "description": "description_en"},
            },
            **{
                kind: {
                    "role": role,
                    "rows": {"kind": [kind]},
                    "columns": {"id": "id", "text": "text_{lang}", "label": "label"},
                }
                for kind, role in (("kb", "entries"), ("synthetic", "synthetic"), ("test", "test"))
            },
        },
    },
    "synthesize__queries__per_passage": 0,
    "recipes": {"only": {"compositions": ["hi-Latn-en-en"], "negatives": "window"}},
    "merges": {},
}


class Workspace:
    """A folder that stages run in, in this process: `edit` its params, write its tables, `run` a stage."""

    def __init__(self, path, monkeypatch):
        self.path = path
        self.monkeypatch = monkeypatch
        self.params = path / "params.yaml"
        self.params.write_bytes((ROOT / "params.yaml").read_bytes())

    def edit(self, **changes):
        """Set keys, written `train__steps=3` for `train.steps`; `...` as a value removes the key."""
        tree = yaml12.load(self.params)
        for key, value in changes.items():
            *groups, last = key.split("__")
            group = tree
            for name in groups:
                group = group[name]
            if value is ...:
                del group[last]
            else:
                group[last] = value
        self.params.write_text(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False), encoding="utf-8")
        return self

    def run(self, stage, *arguments):
        """What `python -m stages.STAGE ARGUMENTS` does, or `python -m tools.STAGE`."""
        tool = (ROOT / "tools" / f"{stage}.py").is_file()
        module = importlib.import_module(f"{'tools' if tool else 'stages'}.{stage}")
        if hasattr(module, "__path__"):
            module = importlib.import_module(f"stages.{stage}.__main__")
        self.monkeypatch.setattr(sys, "argv", [stage, *arguments])
        module.main()

    def jsonl(self, name, rows, encoding="utf-8"):
        import json

        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding=encoding)
        return file

    def corpus(self, passages, queries=()):
        """Write data/corpus and an empty data/synthetic.

        `passages`: rows (passage, split) or (passage, split, {lang: (title, text)}), else with the texts
        'passage|lang'; `queries`: rows (query, passage) or (query, [passages]), with the texts 'query|lang'.
        """
        languages = yaml12.load(self.params)["languages"]
        rows = []
        for name, split, *texts in passages:
            for lang in languages:
                title, text = texts[0][lang] if texts else ("", f"{name}|{lang}")
                rows.append((name, lang, title, text, "", split))
        asked = [(query, lang, f"{query}|{lang}") for query, _ in queries for lang in languages]
        judged = [(q, p, 1) for q, found in queries for p in ([found] if isinstance(found, str) else found)]
        self.tables("corpus", rows, asked, judged)
        self.tables("synthetic")

    def knowledge_base(self, passages, queries, descriptions=None):
        """Write data/corpus of a labelled knowledge base and an empty data/synthetic, and have params say so.

        `passages`: rows (passage, label), with the texts 'passage|en'; `queries`: rows (query, label, split, languages)
        or (query, label, split, languages, origin), with the texts 'query|lang'; `descriptions`: {label: description},
        else 'About label.'.
        """
        self.edit(**KNOWLEDGE_BASE)
        members = [("passage", name, label, "labelled", "train") for name, label in passages]
        members += [
            ("query", name, label, (*origin, "labelled")[0], split) for name, label, split, _, *origin in queries
        ]
        names = {label for _, _, label, *_ in members}
        self.tables(
            "corpus",
            [(name, "en", "", f"{name}|en", label, "train") for name, label in passages],
            [(name, lang, f"{name}|{lang}") for name, _, _, langs, *_ in queries for lang in langs],
            labelled=members,
            labels=(descriptions or {name: f"About {name}." for name in names}).items(),
        )
        self.tables("synthetic")
        return self

    def tables(self, folder, passages=(), queries=(), qrels=(), labelled=(), labels=(), similarity=()):
        """Write the tables of data/FOLDER that later stages read, from rows as their schemas have them.

        When both corpus and synthetic are there, they are collected.
        """
        kinds = {
            "passages": (passages, PASSAGES),
            "queries": (queries, QUERIES),
            "qrels": (qrels, QRELS),
            "labelled": (labelled, LABELLED),
        }
        if folder == "corpus":
            kinds |= {"labels": (labels, LABELS), "similarity": (similarity, SIMILARITY)}
        for kind, (rows, schema) in kinds.items():
            table = pl.DataFrame(list(rows), schema=schema, orient="row").sort(list(schema)[:2])
            tables.write(table, Path("data") / folder / f"{kind}.parquet", schema)
        if all(Path("data", other, "queries.parquet").exists() for other in ("corpus", "synthetic")):
            self.run("collect")

    def asks(self, endpoint, **changes):
        """Have synthesize ask `endpoint`, for what `changes` turn on alone; replies are kept in the workspace."""
        settings = {
            "llm__provider": "openai",
            "llm__base_url": endpoint.url,
            "llm__key_env": None,
            "llm__cache": str(self.path / "llm.sqlite"),
            "synthesize__queries__per_passage": 0,
        }
        return self.edit(**settings | changes)

    def written(self, name):
        """A table of data/synthetic."""
        return tables.read(f"data/synthetic/{name}.parquet", SYNTHETIC[name])


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny tensors gain nothing from a second thread, and lose much on a busy machine."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    folder = tmp_path / "workspace"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(keys, "STATE", folder / ".state")
    return Workspace(folder, monkeypatch)


@pytest.fixture
def prompt_files(tmp_path, monkeypatch):
    """The folder of a copy of the prompts, to be changed."""
    from stages.synthesize import jobs

    folder = tmp_path / "prompts"
    shutil.copytree(jobs.PROMPTS_FOLDER, folder)
    monkeypatch.setattr(jobs, "PROMPTS_FOLDER", folder)
    return folder


@pytest.fixture
def topics(workspace, monkeypatch):
    """Call it with rows to have them for the study's only taxonomy, `mine`."""
    from stages.synthesize import taxonomy

    monkeypatch.setattr(taxonomy, "TAXONOMIES_FOLDER", workspace.path / "taxonomies")

    def write(rows):
        workspace.jsonl("taxonomies/mine.jsonl", rows)
        workspace.edit(synthesize__topics__taxonomy="mine")

    return write


def prompts_of(endpoint):
    """What `endpoint` was asked in first messages, sorted."""
    return sorted(request.body["messages"][0]["content"] for request in endpoint.requests if request.body)


@pytest.fixture
def training(tmp_path, monkeypatch):
    """`stages.shared.training`, with its checkpoints kept in the test's own folder."""
    from stages.shared import training

    monkeypatch.setattr(training, "STATE", tmp_path / "state")
    return training
