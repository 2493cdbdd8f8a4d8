"""candidates: the teacher's ranks, against the vectors themselves."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sentence_transformers import SentenceTransformer

from stages.candidates import positive_scores
from stages.schemas.candidates import CANDIDATE_POOL, CANDIDATES
from stages.schemas.collected import COLLECTED_QRELS
from stages.schemas.similarity import SIMILARITY
from stages.schemas.texts import QUERIES
from stages.shared import encoder, tables
from stages.shared.errors import UserError
from tests.fakes.checkpoints import save_published, save_sentence_transformer, static_model

PROMPTS = {"query": "q: ", "document": "p: "}


def text(seed):
    rng = np.random.default_rng(seed)
    return " ".join(f"w{i}" for i in rng.integers(40, size=6))


def prepared(workspace, depth=12):
    passages = []
    for i in range(15):
        split = "train" if i < 10 else "test"
        passages.append((f"p{i:02}", split, {"en": ("w1", text(i)), "ko": ("", text(100 + i))}))
    queries = [("q1", "p03"), ("q2", ["p05", "p01"]), ("q3", ["p02", "p12"]), ("q4", "p14")]
    workspace.corpus(passages, queries)
    asked = [(query, lang) for query, _ in queries for lang in ("en", "ko")]
    texts = {key: text(200 + i) for i, key in enumerate(asked)}
    file = workspace.path / "data/corpus/queries.parquet"
    table = tables.read(file, QUERIES)
    table = table.with_columns(text=pl.Series([texts[q, lang] for q, lang, _ in table.iter_rows()]))
    tables.write(table, file, QUERIES)
    workspace.run("collect")
    static_model(prompts=PROMPTS).save_pretrained(str(workspace.path / "models/base"), create_model_card=False)
    workspace.edit(candidates__depth=depth, negatives__window__rank_max=depth, negatives__window__rank_min=1)
    return passages, dict(queries), texts


def test_lists_are_the_teachers_ranks_with_the_relevant_left_in(workspace):
    passages, queries, texts = prepared(workspace)
    workspace.run("candidates")
    pool = tables.read("data/candidates/pool.parquet", CANDIDATE_POOL)["passage"].to_list()
    assert pool == [p[0] for p in passages]
    ranked = tables.read("data/candidates/ranked.parquet", CANDIDATES)
    # q3's other passage is of the test split and q4's is too: neither is trained on.
    assert ranked["query"].unique().sort().to_list() == ["q1", "q2"]
    assert ranked.height == 2 * 2 * 2
    model = encoder.load("models/base", 3)
    for query, query_lang, corpus_lang, positive, candidates, scores in ranked.iter_rows():
        documents = [" ".join(filter(None, p[2][corpus_lang])) for p in passages]
        exact = model.encode([texts[query, query_lang]], "query") @ model.encode(documents, "passage").T
        order = np.argsort(-exact[0], kind="stable")[:12]
        assert candidates == order.tolist()
        np.testing.assert_allclose(scores, exact[0][order], atol=1e-6)
        relevant = [queries[query]] if isinstance(queries[query], str) else queries[query]
        assert positive == pytest.approx(min(exact[0][pool.index(p)] for p in relevant), abs=1e-6)


def test_a_deeper_list_begins_with_the_shallower(workspace):
    prepared(workspace, depth=15)
    workspace.run("candidates")
    deep = tables.read("data/candidates/ranked.parquet", CANDIDATES)
    workspace.edit(candidates__depth=6, candidates__batch_size=2, negatives__window__rank_max=6)
    workspace.run("candidates")
    shallow = tables.read("data/candidates/ranked.parquet", CANDIDATES)
    assert deep["candidates"].list.len().unique().to_list() == [15]
    assert deep["candidates"].list.head(6).to_list() == shallow["candidates"].to_list()


def test_an_approximate_index_tells_its_recall_and_a_mapped_file_changes_nothing(workspace):
    prepared(workspace)
    workspace.run("candidates")
    exact = ranked()
    assert json.loads(Path("metrics/candidates.json").read_text()) == {}
    workspace.edit(candidates__memory=1e-9).run("candidates")
    assert ranked().equals(exact)
    workspace.edit(candidates__index={"factory": "Flat"}).run("candidates")
    assert ranked()["candidates"].to_list() == exact["candidates"].to_list()
    told = json.loads(Path("metrics/candidates.json").read_text())
    assert told == {"index": "Flat", "recall": dict.fromkeys(["en-en", "ko-en", "en-ko", "ko-ko"], 1.0)}


def test_a_passage_judged_not_relevant_changes_no_score(workspace):
    prepared(workspace)
    workspace.run("candidates")
    before = tables.read("data/candidates/ranked.parquet", CANDIDATES)
    every = [f"p{i:02}" for i in range(15)]
    workspace.tables("synthetic", qrels=[("q1", name, 0) for name in every if name != "p03"])
    workspace.run("candidates")
    assert tables.read("data/candidates/ranked.parquet", CANDIDATES).equals(before)


def test_without_training_queries_there_is_nothing_to_mine(workspace):
    workspace.corpus([("p1", "test"), ("p2", "train")], [("q", "p1")])
    with pytest.raises(UserError, match="there is no training query"):
        workspace.run("candidates")


@pytest.fixture
def encoded(monkeypatch):
    """The texts that transformers were given, in the order of the calls."""
    seen, encode = [], encoder.TransformerEncoder.encode

    def watched(self, texts, role):
        seen.extend((role, text) for text in texts)
        return encode(self, texts, role)

    monkeypatch.setattr(encoder.TransformerEncoder, "encode", watched)
    return seen


def ranked():
    return tables.read("data/candidates/ranked.parquet", CANDIDATES)


def written():
    return {f.name: f.read_bytes() for f in sorted(Path("data/candidates").iterdir())}


def test_another_teacher_ranks_with_its_own_prompts(workspace, encoded):
    passages, _, texts = prepared(workspace)
    folder = save_published(workspace.path / "hub", "intfloat/multilingual-e5-base")
    workspace.edit(teacher__name=str(folder)).run("candidates")
    record = json.loads((workspace.path / "data/candidates/teacher.json").read_text())
    assert record["preset"] == "intfloat/multilingual-e5-base"
    assert record["prompts"] == {"query": "query: ", "passage": "passage: "}
    assert record["pooling"] == "mean"
    assert record["unknown"].keys() == {"en", "ko"} and max(record["unknown"].values()) < 0.9
    plain = SentenceTransformer(str(folder), device="cpu")
    for query, query_lang, corpus_lang, _, candidates, scores in ranked().iter_rows():
        documents = ["passage: " + " ".join(filter(None, p[2][corpus_lang])) for p in passages]
        asked = plain.encode(["query: " + texts[query, query_lang]], normalize_embeddings=True)
        exact = (asked @ plain.encode(documents, normalize_embeddings=True).T)[0]
        np.testing.assert_allclose(scores, exact[candidates], atol=1e-5)
        np.testing.assert_allclose(scores, np.sort(exact)[::-1][:12], atol=1e-5)


def test_a_teachers_vectors_outlive_the_run_and_the_base(workspace, encoded):
    prepared(workspace)
    folder = save_published(workspace.path / "hub", "intfloat/multilingual-e5-base")
    workspace.edit(teacher__name=str(folder)).run("candidates")
    first, count = written(), len(encoded)
    assert count == 2 * 2 + 2 * 15
    static_model(seed=5).save_pretrained(str(workspace.path / "models/base"), create_model_card=False)
    workspace.edit(base__attention="eager").run("candidates")
    assert len(encoded) == count
    assert written() == first
    # Other prompts are other vectors.
    workspace.edit(teacher__prompts={"query": "", "passage": "passage: "}).run("candidates")
    assert [role for role, _ in encoded[count:]] == ["query"] * 4
    assert written()["ranked.parquet"] != first["ranked.parquet"]


def test_a_changed_base_is_never_taken_for_the_old_one(workspace, encoded):
    prepared(workspace)
    for seed in (0, 1):
        save_sentence_transformer(workspace.path / "models/base", "bert", seed)
        workspace.run("candidates")
        assert len(encoded) == (seed + 1) * 34
    assert json.loads((workspace.path / "data/candidates/teacher.json").read_text()) == {"name": "base"}
    workspace.run("candidates")
    assert len(encoded) == 68


def test_what_a_base_as_teacher_has_not_is_refused(workspace):
    prepared(workspace)
    workspace.edit(teacher__pooling="cls")
    with pytest.raises(UserError, match=r"teacher\.pooling does not apply to teacher\.name base: write null"):
        workspace.run("candidates")


ENTRIES = [("a1", "a"), ("a2", "a"), ("b1", "b"), ("c1", "c"), ("c2", "c"), ("c3", "c")]
DESCRIPTIONS = {"a": "w1 w2", "b": "w3 w4 w5", "c": "w6"}


def knowledge_base(workspace, descriptions=DESCRIPTIONS, given=()):
    """Entries in English and Korean queries q0 to q5, of the labels of the entries."""
    texts = {name: text(300 + i) for i, (name, _) in enumerate(ENTRIES)}
    asked = {f"q{i}": text(400 + i) for i in range(len(ENTRIES))}
    labels = [("passage", name, label, "labelled", "train") for name, label in ENTRIES]
    labels += [("query", f"q{i}", label, "labelled", "train") for i, (_, label) in enumerate(ENTRIES)]
    workspace.tables(
        "corpus",
        [(name, "en", "", texts[name], label, "train") for name, label in ENTRIES],
        [(name, "ko", said) for name, said in asked.items()],
        labelled=labels,
        labels=list(descriptions.items()),
        similarity=given,
    )
    workspace.tables("synthetic")
    static_model(prompts=PROMPTS).save_pretrained(str(workspace.path / "models/base"), create_model_card=False)
    workspace.edit(candidates__depth=4, negatives__window__rank_max=4, negatives__window__rank_min=1)
    workspace.edit(negatives__window__k=1)
    return texts, asked


def similarity():
    table = tables.read("data/candidates/similarity.parquet", SIMILARITY)
    assert table.select("kind", "label").rows() == sorted(table.select("kind", "label").rows())
    return {kind: np.array(part["values"].to_list()) for (kind,), part in table.group_by("kind")}


def test_labels_are_as_similar_as_their_descriptions_and_their_entries(workspace):
    texts, _ = knowledge_base(workspace)
    workspace.run("candidates")
    model = encoder.load("models/base", 8)
    vectors = model.encode(list(texts.values()), "passage").astype(np.float64)
    centroids = np.stack(
        [np.mean([v for v, (_, own) in zip(vectors, ENTRIES, strict=True) if own == label], axis=0) for label in "abc"]
    )
    described = model.encode(list(DESCRIPTIONS.values()), "passage").astype(np.float64)
    found = similarity()
    assert sorted(found) == ["centroids", "descriptions"]
    for kind, sides in (("centroids", centroids), ("descriptions", described)):
        sides /= np.linalg.norm(sides, axis=1, keepdims=True)
        np.testing.assert_allclose(found[kind], sides @ sides.T, atol=1e-6)
    assert np.abs(found["centroids"] - found["descriptions"]).max() > 0.1


def test_a_label_of_passages_in_windows_has_the_mean_of_their_means(workspace):
    texts, _ = knowledge_base(workspace)
    workspace.edit(windows={"size": 3, "stride": 3, "best": 1})
    workspace.run("candidates")
    halves = [" ".join(said.split()[at : at + 3]) for said in texts.values() for at in (0, 3)]
    vectors = encoder.load("models/base", 8).encode(halves, "passage")
    passages = encoder.normalized(vectors.reshape(len(texts), 2, -1).mean(axis=1))
    sides = encoder.normalized(
        np.stack([passages[[own == label for _, own in ENTRIES]].mean(axis=0) for label in "abc"])
    )
    np.testing.assert_allclose(similarity()["centroids"], sides @ sides.T, atol=1e-6)


def test_similarity_by_descriptions_needs_all_of_them_and_what_is_given_is_handed_on(workspace):
    given = [("given", label, [0.0, 2.0, float(i)]) for i, label in enumerate("abc")]
    knowledge_base(workspace, DESCRIPTIONS | {"b": ""}, given)
    workspace.run("candidates")
    found = similarity()
    assert sorted(found) == ["centroids", "given"]
    assert found["given"].tolist() == [[0.0, 2.0, 0.0], [0.0, 2.0, 1.0], [0.0, 2.0, 2.0]]


def test_without_labels_nothing_is_similar(workspace):
    prepared(workspace)
    workspace.run("candidates")
    assert similarity() == {}


def test_a_labelled_querys_positive_score_is_the_lowest_of_its_labels_passages(workspace):
    texts, asked = knowledge_base(workspace)
    workspace.run("candidates")
    model = encoder.load("models/base", 8)
    scores = model.encode(list(asked.values()), "query") @ model.encode(list(texts.values()), "passage").T
    found = ranked()
    assert found.select("query", "query_lang", "corpus_lang").rows() == [(name, "ko", "en") for name in asked]
    for row, (_, label), positive in zip(scores, ENTRIES, found["positive_score"], strict=True):
        own = [score for score, (_, other) in zip(row, ENTRIES, strict=True) if other == label]
        assert positive == pytest.approx(min(own), abs=1e-6)
    np.testing.assert_allclose(found["scores"].to_list(), -np.sort(-scores, axis=1)[:, :4], atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_a_positive_score_is_the_lowest_over_all_passages_of_all_groups(seed):
    """Groups of 1 to 4 passages in no order, and queries of 0 to 3 of them."""
    random = np.random.default_rng(seed)
    groups = random.permutation(np.repeat([f"g{i}" for i in range(12)], np.tile([1, 1, 2, 4], 3)))
    asked, vectors = (random.standard_normal((size, 8)).astype(np.float32) for size in (50, len(groups)))
    queries = [f"q{i:02}" for i in random.permutation(50)]
    own = {query: random.permutation(np.unique(groups))[: random.integers(0, 4)].tolist() for query in sorted(queries)}
    rows = [(query, group, 1) for query, found in own.items() for group in [*found, "unknown"]]
    qrels = pl.DataFrame(rows, schema=COLLECTED_QRELS, orient="row")
    scores = positive_scores(asked, vectors, pl.Series(queries), qrels, pl.Series(groups))
    for query, vector, score in zip(queries, asked, scores, strict=True):
        dots = vectors[np.isin(groups, own[query])] @ vector
        assert score == pytest.approx(dots.min(initial=np.inf), abs=1e-5)
    assert sum(map(bool, own.values())) > 25


def test_passages_without_a_label_change_nothing_about_labels(workspace):
    knowledge_base(workspace)
    workspace.run("candidates")
    before = similarity()
    workspace.tables("synthetic", [("x1", "en", "", text(9), "", "train")], [], [])
    workspace.run("candidates")
    after = similarity()
    assert sorted(after) == sorted(before)
    for kind in before:
        np.testing.assert_allclose(after[kind], before[kind], atol=1e-6)
    assert tables.read("data/candidates/pool.parquet", CANDIDATE_POOL).height == 7


def test_long_passages_are_mined_by_their_best_windows(workspace):
    passages, queries, texts = prepared(workspace)
    workspace.edit(windows={"size": 3, "stride": 2, "best": 2})
    workspace.run("candidates")
    model = encoder.load("models/base", 3)
    pool = [name for name, *_ in passages]

    def score(query, title, said):
        words, room = said.split(), 3 - bool(title)
        parts = [" ".join([title, *words[at : at + room]]).strip() for at in range(0, 6 - room + 2, 2)]
        return np.sort(model.encode(parts, "passage") @ model.encode([query], "query")[0])[-2:].mean()

    for query, asked, lang, positive, candidates, scores in tables.read(
        "data/candidates/ranked.parquet", CANDIDATES
    ).iter_rows():
        exact = np.array([score(texts[query, asked], *own[lang]) for _, _, own in passages])
        assert candidates == np.argsort(-exact, kind="stable")[:12].tolist()
        np.testing.assert_allclose(scores, exact[candidates], atol=1e-6)
        relevant = [queries[query]] if isinstance(queries[query], str) else queries[query]
        assert positive == pytest.approx(min(exact[pool.index(name)] for name in relevant), abs=1e-6)
    told = json.loads(Path("data/candidates/teacher.json").read_text())
    assert told["windows"] == {"documents": 30, "several": 30, "mean": 3.0}
