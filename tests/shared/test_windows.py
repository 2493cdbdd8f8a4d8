"""windows: where passages are cut, and how documents of several windows are scored and ranked."""

import numpy as np
import polars as pl
import pytest

from stages.settings.windows import Windows
from stages.shared import encoder, search
from stages.shared.errors import UserError
from stages.shared.windows import WindowedEncoder, cut
from tests.fakes.checkpoints import save_sentence_transformer, static_model, word_tokenizer

# Of two documents three windows, and what two queries score them.
WINDOWS = np.array([[4, 0], [0, 2], [3, 1]], np.float32)
QUERIES = np.eye(2, dtype=np.float32)


def passages(*rows):
    return pl.DataFrame(rows, schema=["title", "text"], orient="row")


def of_words(*texts, size=4, stride=2, title=""):
    settings = Windows(size=size, stride=stride, best=1)
    found, counts = cut(passages(*((title, text) for text in texts)), word_tokenizer("abcdefgh"), settings)
    return found, counts.tolist()


def test_windows_overlap_and_the_last_reaches_the_end():
    found, counts = of_words("a b c d e f g h a", "a b c d", "", "a b  c, d e")
    assert found == ["a b c d", "c d e f", "e f g h", "g h a", "a b c d", "", "a b  c, d", "c, d e"]
    assert counts == [4, 1, 1, 2]


@pytest.mark.parametrize(("length", "count"), [(4, 1), (5, 2), (6, 2), (7, 3)])
def test_no_window_is_within_another(length, count):
    found, counts = of_words(" ".join("abcdefgh"[:length]))
    assert counts == [count] and found[-1].endswith("abcdefgh"[length - 1])


def test_each_window_has_the_title_in_front_which_takes_half_of_it_at_most():
    assert of_words("a b c d e", title="h", stride=3) == (["h a b c", "h d e"], [2])
    assert of_words("a b c d", title="f g h", stride=4) == (["f g a b", "f g c d"], [2])
    assert of_words("a b", title="g h") == (["g h a b"], [1])


@pytest.mark.parametrize(
    ("best", "scores", "rows", "ranks"),
    [(1, [[4, 3], [2, 1]], [[0, 1], [0, 1]], [1, 2]), (2, [[2, 3], [1, 1]], [[1, 0], [1, 0]], [2, 1])],
)
def test_a_document_scores_the_mean_of_its_best_windows_and_ties_go_to_the_higher_row(best, scores, rows, ranks):
    documents = search.Documents(WINDOWS, np.array([2, 1]), best)
    assert search.scored(QUERIES, documents).tolist() == scores
    found, order = search.top_k(QUERIES, documents, 5)
    assert order.tolist() == rows and found.tolist() == [sorted(own, reverse=True) for own in scores]
    of_second = np.array([1, 1]), np.array([0, 1])
    for ranked in (search.ranks, search.among):
        places, scored = ranked(QUERIES, documents, *of_second)
        assert (places.tolist(), scored.tolist()) == (ranks, scores[1])


def test_documents_are_ranked_as_sorting_all_of_them_ranks_them(monkeypatch):
    monkeypatch.setattr(search, "PAIRS", 7)
    random = np.random.default_rng(5)
    counts = random.integers(1, 5, 40)
    queries = random.integers(-2, 3, (search.QUERY_BLOCK + 9, 4)).astype(np.float32)
    vectors = random.integers(-2, 3, (counts.sum(), 4)).astype(np.float32)
    rows = np.sort(random.choice(40, 30, replace=False))
    documents = search.Documents(vectors, counts, 2)[rows]
    parts = [np.split(vectors, np.cumsum(counts)[:-1])[row] for row in rows]
    exact = np.array([[np.sort(part @ query)[-2:].mean() for part in parts] for query in queries], np.float32)
    order = [sorted(range(30), key=lambda row: (-own[row], -row)) for own in exact]
    scores, found = search.top_k(queries, documents, 12)
    assert found.tolist() == [own[:12] for own in order]
    assert np.array_equal(scores, np.take_along_axis(exact, found, 1))
    asked, wanted = random.integers(len(queries), size=99), random.integers(30, size=99)
    places, scored = search.ranks(queries, documents, asked, wanted)
    assert places.tolist() == [order[query].index(row) + 1 for query, row in zip(asked, wanted, strict=True)]
    assert np.array_equal(scored, exact[asked, wanted])
    assert np.array_equal(search.pairs(queries, documents, asked, wanted), exact[asked, wanted])


def test_what_fits_into_a_window_is_encoded_as_without(tmp_path):
    static_model().save_pretrained(str(tmp_path), create_model_card=False)
    read = passages(("w1", "w2 w3"), ("", "w4 w5 w6"))
    own = encoder.load(tmp_path, 2)
    windowed = WindowedEncoder(own, Windows(size=3, stride=3, best=2), "x")
    whole = WindowedEncoder(own, None, "x")
    assert np.array_equal(windowed.documents(read), whole.documents(read))
    assert windowed.record() == {"windows": {"documents": 2, "several": 0, "mean": 1.0}} and whole.record() == {}


def test_a_transformer_reads_what_lies_beyond_its_window(tmp_path):
    save_sentence_transformer(tmp_path, prompts={"query": "q: ", "document": "p: "})
    own = encoder.load(tmp_path, 8)
    room = own.model.max_seq_length - 3  # [CLS], p: and [SEP]
    begin, end = " ".join(["w1"] * room), " ".join(["w2"] * room)
    windowed = WindowedEncoder(own, Windows(size=room, stride=room, best=1), "x")
    documents = windowed.documents(passages(("", f"{begin} {end}"), ("", begin)))
    assert windowed.record() == {"windows": {"documents": 2, "several": 1, "mean": 1.5}}
    query = own.encode(["w2"], "query")
    scores = query @ own.encode([begin, end], "passage").T
    np.testing.assert_allclose(search.scored(query, documents), [[scores.max(), scores[0, 0]]], atol=1e-6)
    with pytest.raises(UserError, match=rf"^windows.size is {room + 1}, but x reads {room} tokens .* write {room} or"):
        WindowedEncoder(own, Windows(size=room + 1, stride=1, best=1), "x").documents(passages(("", "w1")))


def test_without_a_fast_tokenizer_nothing_can_be_cut():
    class Slow:
        tokenizer = object()

    with pytest.raises(UserError, match=r"^x has no fast tokenizer"):
        WindowedEncoder(Slow(), Windows(size=2, stride=1, best=1), "x").documents(passages(("", "w1")))
