"""A knowledge base in English that answers Korean: the whole graph, and what a change of it builds again."""

import io
import json
import re
import sys

import pytest
from ruamel.yaml import YAML

from stages.schemas.negatives import NEGATIVES
from stages.schemas.texts import PASSAGES
from stages.shared import tables
from tests.graph.conftest import build, checkout

# label: (what it is about, the same in Korean)
LABELS = {
    "cards/lost": ("a lost card", "분실한 카드"),
    "cards/order": ("ordering a new card", "새 카드 신청"),
    "loans/interest": ("the interest of a loan", "대출 이자"),
    "loans/term": ("the term of a mortgage", "주택 담보 기간"),
    "travel/visa": ("a visa for a journey", "여행 비자"),
    "travel/hotel": ("booking a hotel room", "호텔 방 예약"),
}
FRAMES = [
    ("Tell me about {}", "{} 알려 주세요"),
    ("Where do I ask about {}?", "{} 어디에 물어보나요?"),
    ("I need help with {}", "{} 도와주세요"),
    ("How much does {} cost?", "{} 얼마예요?"),
    ("My question is about {}", "{} 질문이 있어요"),
    ("Who looks after {}?", "{} 누가 담당하나요?"),
    ("Is there a form for {}?", "{} 양식이 있나요?"),
    ("I have a problem with {}", "{} 문제가 생겼어요"),
]
ASKED = ["{} 급해요", "저기요, {} 때문에 전화했어요", "{} 아시는 분"]

ALIKE = {"similarity": {"descriptions": 1.0, "path": 1.0}}
STUDY = {
    "languages": ["en", "ko"],
    "corpus": {
        "source": "labelled",
        "path": "kb",
        "columns": None,
        "labelled": {
            "language": "en",
            "index": 0.375,
            "tables": {
                "about": {
                    "role": "labels",
                    "file": "labels.jsonl",
                    "columns": {"label": ["area", "name"], "description": "text"},
                },
                "entries": {
                    "role": "entries",
                    "file": "entries.jsonl",
                    "columns": {"id": "id", "text": "text_{lang}", "label": ["area", "name"]},
                },
                "test": {
                    "role": "test",
                    "file": "test.csv",
                    "language": "ko",
                    "columns": {"text": "question", "label": ["area", "name"]},
                },
            },
        },
        "split": {"train": 0.8, "dev": 0.2, "test": 0.0},
    },
    "synthesize": {"queries": {"per_passage": 0}},
    "base": {"static": {"vocabulary": 400, "dimension": 64, "steps": 40, "batch_size": 32}},
    "candidates": {"depth": 18},
    "negatives": {
        "window": {"k": 3, "direction": "each", "rank_min": 2, "rank_max": 18, "relative_margin": None},
        "mixed": {"k": 3, "random": 1, "pick": "weighted", "labels": ALIKE},
        "random": {"k": 3, "random": 3},
        "hard": {"k": 3, "pick": "weighted", "labels": ALIKE},
        "hardest": {"k": 3, "pick": "top", "labels": ALIKE},
    },
    "triples": {"positives": 1},
    "recipes": {
        "mixed": {"compositions": ["koenen"], "negatives": "mixed"},
        "window": {"compositions": ["koenen"], "negatives": "window"},
    },
    "train": {"steps": 40, "batch_size": 16, "learning_rate": 0.02},
    "merges": {},
    "retrieve": {"depth": 10},
    "score": {"metrics": ["accuracy@1", "mrr@10"]},
    "compare": {"metric": "mrr@10", "resamples": 200},
    "indexes": {
        "kb": {
            "model": "models/trained/mixed",
            "path": "answers.jsonl",
            "columns": {"id": "id", "text": "text", "label": "label"},
        }
    },
}  # fmt: skip
pytestmark = [pytest.mark.graph, pytest.mark.xdist_group("knowledge")]
AFTER_RUNS = {"fusions", "score", "labels", "compare", "report", "chosen"}
OF_MIXED = {"train@mixed", "retrieve-trained@mixed", "index@kb"}


def jsonl(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write(folder):
    """The knowledge base, the entries that are answered from, and the study."""
    parts = {label: dict(zip(("area", "name"), label.split("/"), strict=True)) for label in LABELS}
    entries = [
        {"id": f"{label}-{i}", **parts[label], "text_en": frame_en.format(en), "text_ko": frame_ko.format(ko)}
        for label, (en, ko) in LABELS.items()
        for i, (frame_en, frame_ko) in enumerate(FRAMES)
    ]
    answers = [{"id": row["id"], "text": row["text_en"], "label": f"{row['area']}/{row['name']}"} for row in entries]
    asked = [
        f'"{frame.format(ko)}",{label.replace("/", ",")}\n' for label, (_, ko) in LABELS.items() for frame in ASKED
    ]
    (folder / "kb").mkdir()
    (folder / "kb/entries.jsonl").write_text(jsonl(entries), encoding="utf-8")
    (folder / "kb/labels.jsonl").write_text(
        jsonl({**parts[label], "text": f"Questions about {en}."} for label, (en, _) in LABELS.items()), encoding="utf-8"
    )
    (folder / "kb/test.csv").write_text("question,area,name\n" + "".join(asked), encoding="utf-8")
    (folder / "answers.jsonl").write_text(jsonl(answers), encoding="utf-8")
    text = io.StringIO()
    YAML().dump(STUDY, text)
    # Its recipes are the only ones, and it has no merges.
    only = re.sub(r"(?m)^(recipes|merges):", r"\1: !only", text.getvalue())
    (folder / "studies/knowledge.yaml").write_text(only, encoding="utf-8")


@pytest.fixture(scope="module")
def built_knowledge(tmp_path_factory):
    workspace = checkout(tmp_path_factory.mktemp("knowledge"))
    write(workspace.folder)
    return build(workspace, "knowledge")


@pytest.fixture
def graph(built_knowledge, tmp_path):
    return built_knowledge.copied(tmp_path)


def ask(graph, *arguments):
    return graph.run(sys.executable, "-m", "tools.answer", "--model", "models/trained/mixed", *arguments)


def test_an_english_knowledge_base_answers_korean(graph):
    read = graph.folder / "data"
    passages = tables.read(read / "corpus/passages.parquet", PASSAGES)
    assert passages["lang"].unique().to_list() == ["en"] and passages.height == 18
    for strategy in STUDY["negatives"]:
        mined = tables.read(read / f"negatives/{strategy}.parquet", NEGATIVES)
        assert {*mined.select("query_lang", "corpus_lang").rows()} == {("en", "en"), ("ko", "en")}
        if strategy != "window":
            assert mined.height == 2 * 24
    # What is asked on test is in Korean alone, and what is found in English alone.
    scores = {name: json.loads(graph.read(f"metrics/models/{name}.json"))["test"] for name in ("base", "mixed")}
    assert "ko-en" in scores["mixed"] and "en-en" not in scores["mixed"]
    assert scores["mixed"]["ko-en"]["accuracy@1"] >= 0.9
    dev = {name: json.loads(graph.read(f"metrics/models/{name}.json"))["dev"] for name in ("base", "mixed")}
    assert {"en-en", "ko-en"} <= set(dev["mixed"])
    assert dev["mixed"]["en-en"]["mrr@10"] > dev["base"]["en-en"]["mrr@10"] + 0.2
    labels = json.loads(graph.read("metrics/labels.json"))["test"]
    assert labels["tasks"]["ko-en"]["categories"] == {"cards": 6, "loans": 6, "travel": 6}
    assert labels["models"]["mixed"]["tasks"]["ko-en"]["accuracy@1"] == scores["mixed"]["ko-en"]["accuracy@1"]


def test_noise_in_the_similarity_of_labels_encodes_nothing_before_training(graph):
    assert graph.repro() == set()
    graph.edit("negatives.mixed.labels.noise", 0.9)
    ran = graph.repro() - {"check"}
    # If no score changes there is nothing to compare anew.
    assert ran | {"compare"} == {"negatives", "triples", "trainsets", "contamination", "plans", *OF_MIXED, *AFTER_RUNS}


def test_the_precision_of_answers_reruns_labels_alone(graph):
    graph.edit("labels.precision", 0.5)
    assert graph.repro() == {"check", "labels", "report", "chosen"}


def test_an_index_answers_and_a_changed_entry_builds_it_alone(graph):
    said = ask(graph, "호텔 방 예약 때문에 왔어요")
    assert said.splitlines()[0].split(maxsplit=1)[1] == "travel/hotel"
    file = graph.folder / "answers.jsonl"
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    changed = [{**row, "label": "travel/rooms"} if row["label"] == "travel/hotel" else row for row in rows]
    file.write_text(jsonl(changed), encoding="utf-8")
    assert graph.repro() == {"index@kb"}
    (graph.folder / "asked.jsonl").write_text(jsonl([{"id": 7, "text": "호텔 방 예약 부탁해요"}]), encoding="utf-8")
    answer = json.loads(ask(graph, "--jsonl", "asked.jsonl"))
    assert (answer["id"], answer["label"]) == (7, "travel/rooms")


def test_forced_reruns_give_the_same_bytes(graph):
    lock = graph.read("dvc.lock")
    stages = ["corpus", "candidates", "negatives", "triples", "index@kb"]
    assert graph.repro("-f", "-s", *stages) == {*stages}
    assert graph.read("dvc.lock") == lock
