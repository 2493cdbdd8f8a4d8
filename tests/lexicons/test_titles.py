"""titles: of passages and of Wikipedia's dumps; namespaces and brackets cut."""

import gzip

from tests.lexicons.conftest import entries, record


def test_titles_of_training_passages_are_phrases(workspace, settings):
    settings(source="titles")
    rows = [
        ("a", "train", {"en": ("Gutenberg Bible", "x"), "ko": ("구텐베르크 성경", "x")}),
        ("b", "train", {"en": ("Mercury (planet)", "x"), "ko": ("수성", "x")}),
        ("c", "train", {"en": ("", "x"), "ko": ("제목", "x")}),
        ("d", "test", {"en": ("Venus", "x"), "ko": ("금성", "x")}),
    ]
    workspace.corpus(rows)
    workspace.run("lexicons", "mine")
    assert entries("ko-en") == {"구텐베르크 성경": ["Gutenberg Bible"], "수성": ["Mercury"]}
    # And by its stem, so that other forms are found.
    assert entries("en-ko")["mercuri"] == entries("en-ko")["mercury"] == ["수성"]
    assert record()["dropped"] == {"with an empty side": 1}


def test_dumps_of_wikipedia_are_streamed(workspace, settings):
    links = (
        "-- a comment (1,'en','no')\n"
        "INSERT INTO `langlinks` VALUES (1,'en','Rock \\'n\\' roll'),(1,'de','Rock'),(2,'en','A),(9,\\'en\\',\\'b'),"
        "(3,'en','Seoul (city)');\n"
        "INSERT INTO `langlinks` VALUES (4,'en','Talk:Seoul'),(5,'en','cut \udce3');\n"
    )
    page = (
        "INSERT INTO `page` VALUES (1,0,'로큰롤','',0,0.5,'x,(y)',NULL),(2,0,'괄호_문서',0,1),(3,0,'서울',0,1),"
        "(4,1,'서울',0,1),(5,0,'잘린_문서',0,1),(6,0,'링크_없음',0,1);\n"
    )
    for table, text in (("langlinks", links), ("page", page)):
        with gzip.open(workspace.path / f"kowiki-{table}.sql.gz", "wb") as opened:
            opened.write(text.encode("utf-8", errors="surrogateescape"))
    settings(
        source="titles", path=".", files={"ko": "kowiki-{table}.sql.gz"}, languages=["en", "ko", "de"], stems=False
    )
    workspace.run("lexicons", "mine")
    assert entries("ko-en") == {"괄호 문서": ["A),(9,'en','b"], "로큰롤": ["Rock 'n' roll"], "서울": ["Seoul"]}
    assert entries("de-ko") == {"rock": ["로큰롤"]}
    assert record()["lacking"] == ["en-de", "de-en"]
    assert record()["dropped"] == {"titles cut within a character": 1}
