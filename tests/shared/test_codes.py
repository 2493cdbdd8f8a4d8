"""codes: how sources spell languages."""

import pytest

from stages.shared import codes
from stages.shared.errors import UserError

BELEBELE = ["arb_Arab", "arb_Latn", "arz_Arab", "eng_Latn", "hin_Deva", "hin_Latn", "kor_Hang", "zho_Hans", "zho_Hant"]
FLORES = [
    *("nob_Latn", "azj_Latn", "azb_Arab", "ekk_Latn", "khk_Cyrl", "kmr_Latn", "lvs_Latn", "npi_Deva", "ory_Orya"),
    *("pbt_Arab", "pes_Arab", "plt_Latn", "quy_Latn", "als_Latn", "swh_Latn", "uzn_Latn", "ydd_Hebr", "zsm_Latn"),
    *("ind_Latn", "ces_Latn", "prs_Arab"),
]
MASSIVE = ["ar-SA", "en-US", "hi-IN", "ko-KR", "nb-NO", "zh-CN", "zh-TW"]
MMARCO = ["arabic", "chinese", "dutch", "english", "german", "hindi", "indonesian", "portuguese"]


def each(languages, spellings, given=None):
    """What is found, in whatever order the spellings come."""
    found, turned = (
        codes.Wanted(languages, given or {}).each(some, "x") for some in (list(spellings), reversed(spellings))
    )
    assert found == turned
    return found


@pytest.mark.parametrize(
    ("language", "spellings", "found"),
    [
        ("ko", BELEBELE, "kor_Hang"),
        ("ar", BELEBELE, "arb_Arab"),
        ("hi", BELEBELE, "hin_Deva"),
        ("hi-Latn", BELEBELE, "hin_Latn"),
        ("zh-Hant", BELEBELE, "zho_Hant"),
        ("zh", BELEBELE, "zho_Hans"),
        ("ja", BELEBELE, None),
        ("ko", MASSIVE, "ko-KR"),
        ("zh-Hans", MASSIVE, "zh-CN"),
        ("zh-Hant", MASSIVE, "zh-TW"),
        ("hi-Latn", MASSIVE, None),
        ("no", MASSIVE, "nb-NO"),
        ("en", MMARCO, "english"),
        ("zh", MMARCO, "chinese"),
        ("ko", MMARCO, None),
        ("en", ["en_GB", "en-US"], "en-US"),
        ("en", ["en-US", "EN"], "EN"),
        ("en", ["En", "en"], "en"),
        ("pt-PT", ["pt-BR", "pt_PT"], "pt_PT"),
        ("pt-BR", ["pt", "pt_BR"], "pt_BR"),
        ("pt-BR", ["pt", "pt_PT"], "pt"),
        ("pt-AO", ["pt_BR", "pt_PT"], "pt_PT"),
        ("en-AU", ["en", "en_US"], "en"),
        ("ko", ["ko_KR.UTF-8"], "ko_KR.UTF-8"),
        ("en", ["und", "x-default", "text", ""], None),
        ("en", [], None),
    ],
)
def test_spellings(language, spellings, found):
    assert each([language], spellings).get(language) == found


@pytest.mark.parametrize(
    ("languages", "spellings", "found"),
    [
        # One text never fills two languages.
        (["pt-PT", "pt-BR"], ["pt"], {"pt-BR": "pt"}),
        (["en-GB", "en-US"], ["en"], {"en-US": "en"}),
        (["pt-PT", "pt-BR"], ["pt", "pt_BR"], {"pt-PT": "pt", "pt-BR": "pt_BR"}),
        (["pt", "pt-BR"], ["pt_BR"], {"pt-BR": "pt_BR"}),
        (["pt", "pt-BR"], ["pt_BR", "pt_PT"], {"pt": "pt_PT", "pt-BR": "pt_BR"}),
        (["zh-Hans", "zh-Hant"], ["zh", "zh-TW"], {"zh-Hans": "zh", "zh-Hant": "zh-TW"}),
        # Which of the two is meant nobody knows, and the other region is no stand-in for the second.
        (["en-GB", "en-AU"], ["en"], {}),
        (["pt-PT", "pt-AO"], ["pt_BR", "pt_PT"], {"pt-PT": "pt_PT"}),
        (["nb", "nn"], ["no"], {"nb": "no"}),
        (["no", "nn"], ["nob_Latn", "nno_Latn"], {"no": "nob_Latn", "nn": "nno_Latn"}),
    ],
)
def test_a_spelling_is_the_language_it_is_nearest_to(languages, spellings, found):
    assert each(languages, spellings) == found
    assert each(languages[::-1], spellings) == found


def test_macro_languages_where_one_alone_can_be_meant():
    macro = ["no", "az", "et", "mn", "ku", "lv", "ne", "or", "ps", "fa", "mg", "qu", "sq", "sw", "uz", "yi", "ms"]
    found = each(macro, FLORES)
    assert found == dict(zip(macro, _without(FLORES, "azb_Arab"), strict=False))
    # Indonesian is a language of its own, though ISO 639-3 counts it as Malay; so are Nynorsk and Norwegian.
    assert each(["ms"], ["ind_Latn"]) == {}
    assert each(["nn"], ["no", "nob"]) == {}
    assert each(["arz"], ["ar"]) == {}


def _without(names, *others):
    return [name for name in names if name not in others]


@pytest.mark.parametrize(
    ("language", "spellings", "said"),
    [
        ("no", ["nno_Latn", "nob_Latn"], "nob_Latn, nno_Latn"),
        ("qu", ["quy", "cqu"], "cqu, quy"),
        ("en", ["en_AU", "en_GB"], "en_AU, en_GB"),
        ("en", ["eng", "English"], "eng, English"),
    ],
)
def test_what_may_be_several_is_refused_by_name(language, spellings, said):
    with pytest.raises(UserError) as raised:
        codes.Wanted([language], key="corpus.codes").each(spellings, "x.csv:1")
    message = str(raised.value)
    assert message.startswith("x.csv:1 has ") and f"each of which may be {language}: say in corpus.codes" in message
    assert sorted(said.split(", ")) == sorted(message[len("x.csv:1 has ") :].split(", each")[0].split(", "))


def test_what_is_given_wins_and_nothing_else_will_do():
    assert each(["zh-Hans"], ["cn", "zh-CN"], {"zh-Hans": "cn"}) == {"zh-Hans": "cn"}
    assert each(["zh-Hans"], ["CN"], {"zh-Hans": "cn"}) == {"zh-Hans": "CN"}
    assert each(["zh-Hans"], ["zh-CN"], {"zh-Hans": "cn"}) == {}
    assert each(["en"], ["en-US"], {"en": "en-GB"}) == {}
    assert each(["zh-Hans"], ["zh-CN"], {"ko": "cn"}) == {"zh-Hans": "zh-CN"}
    assert each(["pt-PT", "pt-BR"], ["pt", "pt_BR"], {"pt-BR": "pt"}) == {"pt-BR": "pt"}
    assert each(["no"], ["nno", "nob"], {"no": "nno"}) == {"no": "nno"}
    with pytest.raises(UserError, match=r"corpus\.codes says that pt-PT and pt-BR are both 'pt': a text is in one"):
        each(["pt-PT", "pt-BR"], ["pt"], {"pt-BR": "pt", "pt-PT": "pt"})


def test_of_texts_with_a_spelling_each_all_that_mean_the_language_are_read():
    spellings = ["en-GB", "en", "en_US", "ko_KR", "ko-KR", "pt-BR", "pt", "nn"]
    wanted = codes.Wanted(["en", "ko", "pt-BR"])
    assert wanted.all(spellings, "x") == {
        "en": {"en": 0, "en_US": 1, "en-GB": 2},
        "ko": {"ko_KR": 0, "ko-KR": 0},
        # Who asks for a region gets no other.
        "pt-BR": {"pt-BR": 0},
    }
    assert wanted.told() == {"en": "en_US, en-GB", "ko": "ko_KR, ko-KR"}
    # Of a macro-language's members one alone is read.
    assert codes.Wanted(["ar"]).all(["arz", "arb"], "x") == {"ar": {"arb": 0}}
    with pytest.raises(UserError, match="x has nob, nno, each of which may be no"):
        codes.Wanted(["no"]).all(["nob", "nno"], "x")


def test_columns_of_a_template():
    names = ["id", "text.pt_BR.raw", "text.en.raw", "text.en.title"]
    wanted = codes.Wanted(["en", "pt-BR", "ko"])
    assert codes.columns("text.{lang}.raw", names, wanted, "x") == {"en": "text.en.raw", "pt-BR": "text.pt_BR.raw"}
    assert wanted.told() == {"pt-BR": "pt_BR"}
    assert codes.columns("id", names, wanted, "x") == {"en": "id", "pt-BR": "id", "ko": "id"}
    assert codes.columns("no", names, wanted, "x") == {}
    assert codes.columns("{lang}/{lang}", ["en/en", "ko/en"], wanted, "x") == {"en": "en/en"}


def test_what_is_missing_is_said_with_what_is_there():
    wanted = codes.Wanted(["ko"], key="benchmarks.x.codes", languages_key="benchmarks.x.languages")
    mend = "name in benchmarks.x.languages those that are there, or say in benchmarks.x.codes how it spells ko"
    assert wanted.missing("ko") == mend
    assert wanted.each(["fr", "de"], "x") == {}
    assert wanted.missing("ko") == f"it has de, fr; {mend}"
