"""Which replies are asked for again."""

from stages.shared.llm import texts


def test_a_title_that_is_but_a_name_is_no_reason_to_ask_again():
    sources = ["useState", "This hook keeps a value between two renderings."]
    kept = texts.Texts(texts=["useState", "이 훅은 렌더링 사이에 값을 보관한다."])
    assert texts.check_texts(kept, sources, "ko", "Korean") is None
    missed = texts.Texts(texts=["useState", "This hook keeps a value."])
    assert texts.check_texts(missed, sources, "ko", "Korean") == "'useState This hook keeps a value.' is not in Korean"
