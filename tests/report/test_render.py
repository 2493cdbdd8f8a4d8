"""Texts in Markdown."""

from stages.report import render


def test_markdown_is_escaped():
    assert render.plain("a|b\n*c* <i> `d`") == r"a\|b \*c\* \<i\> \`d\`"
