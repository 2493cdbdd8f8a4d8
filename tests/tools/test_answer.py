"""answer: the nearest entry's label, one text at a time or as a stream, with the index of this very model."""

import gzip
import json
import os
import select
import signal
import subprocess
import sys

import numpy as np
import pytest

from stages.shared import encoder, errors, terminal
from stages.shared.errors import UserError
from tests.conftest import ROOT
from tests.fakes.checkpoints import WORDS, save_sentence_transformer, static_model
from tools import answer, indexes

ENTRIES = [
    {"id": f"e{i:02}", "text": f"w{i} w{(i * 7 + 1) % 40} w{(i * 3 + 2) % 40}", "label": f"l{i % 4}"} for i in range(30)
]
TEXTS = ["w3 w4", "w5", "w22 w1 w9"]


@pytest.fixture
def study(workspace, monkeypatch):
    monkeypatch.setattr(indexes, "STATE", workspace.path / ".state")
    static_model().save_pretrained("models/trained/one", create_model_card=False)
    workspace.jsonl("kb.jsonl", ENTRIES)
    index(workspace, "kb", "models/trained/one")
    return workspace


def index(workspace, name, model):
    columns = {"id": "id", "text": "text", "label": "label"}
    trained = {"compositions": ["enenen"], "negatives": "window"}
    workspace.edit(
        recipes={"one": trained, "other": trained},
        merges={"two": {"method": "linear", "weights": {"one": 0.5, "other": 0.5}}},
        indexes={name: {"model": model, "path": "kb.jsonl", "columns": columns}},
    )
    workspace.run("index", name)


def expected(texts, top, model="models/trained/one"):
    """[[(entry, score), ...], ...] by a plain product of vectors."""
    loaded = encoder.load(model, 8)
    scores = loaded.encode(texts, "query") @ loaded.encode([e["text"] for e in ENTRIES], "passage").T
    return [[(ENTRIES[i], row[i]) for i in np.argsort(-row)[:top]] for row in scores]


def stream(study, capsys, rows, *options, model="models/trained/one"):
    """The rows answered, and the lines written."""
    (study.path / "rows.jsonl").write_bytes(b"".join(r if isinstance(r, bytes) else encode(r) for r in rows))
    study.run("answer", "--model", model, "--jsonl", "rows.jsonl", *options)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def encode(row):
    return (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)).encode() + b"\n"


@pytest.mark.parametrize("kind", ["static", "transformer"])
def test_an_answer_is_the_label_of_the_nearest_entry(study, capsys, kind):
    model = "models/trained/one"
    if kind == "transformer":
        model = "models/merged/two"
        save_sentence_transformer(model, "bert", prompts={"query": "query: ", "document": "passage: "})
        index(study, "two", model)
    found = stream(study, capsys, [{"text": text} for text in TEXTS], model=model)
    for one, wanted in zip(found, expected(TEXTS, 5, model), strict=True):
        assert one.keys() == {"label", "score", "entries"}
        assert one["label"] == wanted[0][0]["label"]
        assert one["score"] == one["entries"][0]["score"]
        assert [e["entry"] for e in one["entries"]] == [e["id"] for e, _ in wanted]
        assert [(e["label"], e["text"]) for e in one["entries"]] == [(e["label"], e["text"]) for e, _ in wanted]
        np.testing.assert_allclose([e["score"] for e in one["entries"]], [s for _, s in wanted], atol=1e-5)


def test_people_read_label_entries_and_scores(study, capsys):
    study.run("answer", "--model", "models/trained/one", "--top", "2", "w3 w22 w11")
    assert capsys.readouterr().out.splitlines()[:2] == ["1.0000  l3", "  1.0000  l3  w3 w22 w11  (e03)"]
    study.run("answer", "--model", "models/trained/one", "--top", "2", "w3 w22 w11", "w5")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 9 and lines[0] == "w3 w22 w11" and lines[4:6] == ["", "w5"]


def test_below_the_threshold_no_entry_fits(study, capsys):
    (((_, best), *_),) = expected(["w5"], 1)
    found = [stream(study, capsys, ["w5"], "--threshold", f"{best + d:.4f}") for d in (-0.001, 0.001)]
    assert [one["label"] for (one,) in found] == [expected(["w5"], 1)[0][0][0]["label"], None]
    assert len(found[1][0]["entries"]) == 5
    study.run("answer", "--model", "models/trained/one", "--threshold", "1.1", "w3 w22 w11")
    assert capsys.readouterr().out.splitlines()[0] == "1.0000  no entry fits"


def test_a_text_of_which_the_model_knows_nothing_has_no_answer(study, capsys, monkeypatch):
    original = encoder.StaticEncoder.encode

    def blind(self, texts, role):
        return original(self, ["" if text == "???" else text for text in texts], role)

    monkeypatch.setattr(encoder.StaticEncoder, "encode", blind)
    unknown, known = stream(study, capsys, ["???", "w5"])
    assert unknown["label"] is None and unknown["score"] == 0
    assert known["label"] is not None


def test_equal_scores_are_always_in_the_same_order(study, capsys):
    study.jsonl("kb.jsonl", [{"id": i, "text": "w1 w2", "label": f"of {i}"} for i in ("b", "c", "a")])
    index(study, "kb", "models/trained/one")
    found = stream(study, capsys, ["w1 w2"] * 50, "--top", "2")
    assert {tuple(e["entry"] for e in one["entries"]) for one in found} == {("c", "b")}


def test_rows_keep_their_order_and_ids(study, capsys, monkeypatch):
    monkeypatch.setattr(answer, "INPUT_BLOCK", 100)
    rows = [{"text": WORDS[i % 40], "id": i} for i in range(200)]
    found = stream(study, capsys, rows)
    assert [one["id"] for one in found] == list(range(200))
    wanted = expected([row["text"] for row in rows], 1)
    assert [one["label"] for one in found] == [first["label"] for ((first, _),) in wanted]


def test_plain_lines_empty_lines_and_any_ids_are_taken(study, capsys):
    rows = [
        b"\xef\xbb\xbfw3 w22 w11\r\n",
        b"\n",
        b"  \r\n",
        {"id": None, "text": "w5"},
        {"id": {"a": "\u00e9"}, "text": "w5"},
    ]
    found = stream(study, capsys, [*rows, b"w7"])
    assert [one.get("id", "none") for one in found] == ["none", None, {"a": "\u00e9"}, "none"]
    assert found[0]["entries"][0]["text"] == "w3 w22 w11" and found[0]["score"] == 1
    assert found[3] == stream(study, capsys, ["w7"])[0]


@pytest.mark.parametrize("text", ["{w5}", "{{ w5 }}", "{w5: w6", "{ w5"])
def test_a_question_may_begin_with_a_brace(study, capsys, text):
    assert stream(study, capsys, [text]) == stream(study, capsys, [{"text": text}])


def test_vectors_that_are_no_numbers_answer_nothing(study, capsys, monkeypatch):
    original = encoder.StaticEncoder.__init__

    def damaged(self, *given):
        original(self, *given)
        self.table[:] = np.nan

    monkeypatch.setattr(encoder.StaticEncoder, "__init__", damaged)
    with pytest.raises(UserError, match="gives vectors that are no numbers"):
        stream(study, capsys, ["w5"])
    assert capsys.readouterr().out == ""


def test_a_terminal_is_told_nothing_by_what_entries_hold(study, capsys, monkeypatch):
    entry = {"id": "e\x9b2J", "text": "w1 \x1b]0;title\x07 \u202ew2", "label": "l\x1b[31m"}
    study.jsonl("kb.jsonl", [entry])
    index(study, "kb", "models/trained/one")
    monkeypatch.setattr(sys, "argv", ["answer", "--model", "models/trained/one", "w1"])
    errors.run(answer.main)
    out = capsys.readouterr().out
    assert "l\\u001b[31m  w1 \\u001b]0;title\\u0007 \\u202ew2  (e\\u009b2J)" in out and not terminal.OBEYED.search(out)
    (study.path / "rows.jsonl").write_text("w1\n")
    study.run("answer", "--model", "models/trained/one", "--jsonl", "rows.jsonl")
    out = capsys.readouterr().out
    (found,) = json.loads(out)["entries"]
    assert not terminal.OBEYED.search(out)
    assert (found["entry"], found["text"], found["label"]) == (entry["id"], entry["text"], entry["label"])


def test_more_entries_than_there_are_gives_all(study, capsys):
    (found,) = stream(study, capsys, ["w5"], "--top", "100")
    assert len(found["entries"]) == 30


def test_a_compressed_file_is_read(study, capsys):
    (study.path / "rows.jsonl.gz").write_bytes(gzip.compress(b"w5\nw6\n"))
    study.run("answer", "--model", "models/trained/one", "--jsonl", "rows.jsonl.gz")
    assert len(capsys.readouterr().out.splitlines()) == 2


BAD = {
    "broken JSON": (b'{"text": "w1"\n', "rows.jsonl:3 is not JSON"),
    "no text": (b'{"query": "w1"}\n', "rows.jsonl:3 has no text"),
    "text is no text": (b'{"text": 5}\n', "rows.jsonl:3 has no text"),
    "bytes": (b"w1 \xff\n", "rows.jsonl:3 is not UTF-8"),
    "lone surrogate": (b'{"text": "w1 \\ud83d"}\n', "rows.jsonl:3 is not UTF-8"),
    "lone surrogate in id": (b'{"id": "\\ud83d", "text": "w1"}\n', "rows.jsonl:3 is not UTF-8"),
    "no number": (b'{"id": NaN, "text": "w1"}\n', "rows.jsonl:3 has an id that is not JSON"),
    "no number, large": (b'{"id": [1e999], "text": "w1"}\n', "rows.jsonl:3 has an id that is not JSON"),
    "another's quotes": (b"{'text': 'w1'}\n", "rows.jsonl:3 is not JSON"),
    "deep": (b'{"text": ' + b"[" * 100_000 + b"\n", "rows.jsonl:3"),
}


@pytest.mark.parametrize(("bad", "words"), BAD.values(), ids=BAD)
def test_a_bad_line_is_named_and_those_before_it_answered(study, capsys, bad, words):
    with pytest.raises(UserError, match=words) as error:
        stream(study, capsys, ["w1", b"\n", bad, "w2"])
    assert "\n" not in str(error.value)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_name_for_short_is_a_trained_or_merged_model(study, capsys):
    study.run("answer", "--model", "models/one", "w3")
    short = capsys.readouterr().out
    study.run("answer", "--model", "models/trained/one", "w3")
    assert capsys.readouterr().out == short
    static_model(seed=1).save_pretrained("models/merged/one", create_model_card=False)
    with pytest.raises(UserError, match="models/one may be models/trained/one or models/merged/one"):
        study.run("answer", "--model", "models/one", "w3")
    with pytest.raises(UserError, match="models/two holds no model"):
        study.run("answer", "--model", "models/two", "w3")


def test_a_model_that_changed_is_refused(study):
    static_model(seed=1).save_pretrained("models/trained/one", create_model_card=False)
    with pytest.raises(UserError, match=r"before it changed: run `dvc repro index@kb`"):
        study.run("answer", "--model", "models/one", "w3")


def test_a_model_and_an_index_may_be_anywhere(study, capsys, tmp_path, monkeypatch):
    folder = study.path
    study.run("answer", "--model", "models/one", "w3")
    here = capsys.readouterr().out
    monkeypatch.chdir(tmp_path)
    study.run(
        "answer", "--model", str(folder / "models/trained/one"), "--index", str(folder / "models/indexes/kb"), "w3"
    )
    assert capsys.readouterr().out == here


@pytest.mark.parametrize("options", [[], ["w1", "--jsonl", "rows.jsonl"], ["w1", "--top", "0"], ["w1", "--top", "x"]])
def test_options_that_make_no_sense_are_refused(study, options, capsys):
    with pytest.raises(SystemExit) as stop:
        study.run("answer", "--model", "models/one", *options)
    assert stop.value.code == 2 and "usage: python -m tools.answer" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named(study):
    with pytest.raises(UserError, match=r"nowhere.jsonl is no file"):
        study.run("answer", "--model", "models/one", "--jsonl", "nowhere.jsonl")


@pytest.fixture
def process(study):
    """Start the tool as a process of its own; it is killed at the end."""
    started = []

    def start(*options, **how):
        command = [sys.executable, "-m", "tools.answer", "--model", "models/one", *options]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        # A job in the background ignores SIGINT, and so would what it starts.
        heeding = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
        started.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, **heeding, **how))
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.wait()
        for pipe in (one.stdin, one.stdout, one.stderr):
            if pipe:
                pipe.close()


def test_a_conversation_through_pipes(process):
    tool = process("--jsonl", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for text in TEXTS:
        tool.stdin.write(encode({"text": text, "id": text}))
        tool.stdin.flush()
        assert select.select([tool.stdout], [], [], 60)[0]
        assert json.loads(tool.stdout.readline())["id"] == text
    tool.stdin.close()
    assert tool.wait(60) == 0 and tool.stdout.read() == b"" and tool.stderr.read() == b""


def test_a_reader_that_leaves_ends_it_quietly(process, study):
    study.jsonl("many.jsonl", [{"text": "w5"}] * 20_000)
    tool = process("--jsonl", "many.jsonl", stdout=subprocess.PIPE)
    assert json.loads(tool.stdout.readline())["label"]
    tool.stdout.close()
    assert tool.wait(60) == -signal.SIGPIPE and tool.stderr.read() == b""


def test_an_interrupt_ends_it_quietly(process):
    tool = process("--jsonl", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    tool.stdin.write(encode("w5"))
    tool.stdin.flush()
    assert json.loads(tool.stdout.readline())["label"]
    tool.send_signal(signal.SIGINT)
    assert tool.wait(60) == -signal.SIGINT and tool.stdout.read() == tool.stderr.read() == b""


def test_a_static_model_answers_without_torch_or_pydantic(study):
    code = (
        "import sys; from tools import answer; sys.argv = ['answer', '--model', 'models/one', 'w3']; answer.main(); "
        "sys.exit(str({'torch', 'transformers', 'pydantic', 'yaml'} & set(sys.modules) or ''))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.stdout and done.stderr.strip() == ""
