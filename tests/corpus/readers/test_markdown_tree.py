"""A page of Markdown as a tree of sections and blocks of plain text."""

import pytest

from stages.corpus.readers import markdown_tree


def outline(section):
    """A page's headings and blocks, nested."""
    return [
        section.title,
        *((block.kind, block.text) for block in section.blocks),
        *(outline(child) for child in section.children),
    ]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a [link](http://x.y/z 'no') and <http://u.v>", "a link and http://u.v"),
        ("![alt](x.png) *em* **strong** ~~gone~~ `co*de*` &amp; \\*", "em strong gone co*de* & *"),
        ("one\ntwo  \nthree", "one two three"),
        ("a <!-- no\n\nno --> b", "a b"),
        ("x <Chart data={[{a: 1}]} on={() => { f(1 > 2) }}>y</Chart> z<br/>w", "x y z w"),
        ("one<br>two<wbr>three and <b>four</b>s <IMG src='a'>five", "one twothree and fours five"),
        ("`<b>` and ``a ` <!-- b -->`` `{{ c }}`", "<b> and a ` <!-- b --> {{ c }}"),
        ("a {/* no */}{{ site.x }}{% raw %}{{< no >}} b[^1]", "a b"),
        ("text\n{: .class #id}", "text"),
        ('[a](b){: .button } [c](d){ .md-button target="_blank" } *e*{.red} f {g}', "a c e f {g}"),
        ('A {{< glossary_tooltip text="node" term_id="node" >}} is `{{< ref >}}`.', "A node is {{< ref >}}."),
        ("a\n\n{% highlight ruby %}\nputs 1\n\nputs 2\n{% endhighlight %}", "a"),
        ("a\n\n{{< highlight go >}}\nfmt.Print()\n{{< /highlight >}}", "a"),
        ("* TOC\n{:toc}\n\na", "a"),
        ("> [!WARNING] Take care\n> of it.", "Take care of it."),
        ("> [!NOTE]\n> Alert.", "Alert."),
        ("[ref][1] done\n\n[1]: http://x.y", "ref done"),
        (":::tip Title\nInside.\n:::", "Inside."),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
    ],
)
def test_markup_leaves_the_text(text, plain):
    assert [block.text for block in markdown_tree.parse(text, mdx=False).blocks] == [plain]


def test_a_page_is_a_tree_of_sections_and_blocks():
    text = """---
title: "Guide: the first"
tags: [a, b]
---
# Heading one

Before.

## Two {#two}

* first
  and on
* second
  1. inner

```python
# no heading
<!-- no comment
```

After the code.

| a | b |
|---|---|
| c | `d` |

Setext
------

> ## Not a heading
> quoted

    indented code

~~~~ text
```
## none
~~~~

### Three {/*three*/}

End.
"""
    page = markdown_tree.parse(text, mdx=False)
    assert outline(page) == [
        "Guide: the first",
        ("paragraph", "Before."),
        [
            "Two",
            ("bullet_list", "first and on\n\nsecond\n\ninner"),
            ("paragraph", "After the code."),
            ("table", "a b\n\nc d"),
        ],
        ["Setext", ("blockquote", "Not a heading\n\nquoted"), ["Three", ("paragraph", "End.")]],
    ]
    assert [section.anchor for section in page.children] == ["two", "setext"]
    assert page.children[1].children[0].anchor == "three"


@pytest.mark.parametrize(
    "heading",
    [
        "## T {#x}",
        "## T {#x .y}",
        "## T {: #x }",
        "## T {: .y #x}",
        "## T { .y #x }",
        "## T\n{: #x .y}",
        "## T {/*x*/}",
    ],
)
def test_an_anchor_in_any_way_it_is_written(heading):
    section = markdown_tree.parse(f"# P\n\n{heading}\n\nText.", mdx=False).children[0]
    assert (section.title, section.anchor) == ("T", "x")
    assert [block.text for block in section.blocks] == ["Text."]


def test_admonitions_and_tabs_leave_their_text():
    text = """# T

!!! warning "Heads up"

    First.

    === "Python"

        Inner.

    Last.

> [!NOTE]
> Alert.

    code

End."""
    blocks = [block.text for block in markdown_tree.parse(text, mdx=False).blocks]
    assert blocks == ["First.", "Inner.", "Last.", "Alert.", "End."]


def test_modules_that_a_page_imports_are_no_text():
    script = "<script setup>\nconst a = 1\n\nconst b = 2\n</script>\n\n"
    text = script + "import Tabs from '@theme/Tabs';\nimport {\n  a,\n} from 'x'\n\nimport taxes rose.\n\nEnd."
    assert [block.text for block in markdown_tree.parse(text, mdx=False).blocks] == ["import taxes rose.", "End."]


def test_mdx_has_imports_and_indented_text():
    text = "import X from 'x'\nexport const a = {\n  b: 1,\n}\n\n# T\n\n<Tabs>\n    <Tab>\n\n    Text\n\n    </Tab>\n"
    assert outline(markdown_tree.parse(text, mdx=True)) == ["T", ("paragraph", "Text")]


@pytest.mark.parametrize("front", ["title: [", "title: null", "- a", "title: 3\n", ""])
def test_front_matter_that_says_no_title(front):
    assert markdown_tree.parse(f"---\n{front}\n---\n# Own\n\nText", mdx=False).title == ("3" if "3" in front else "Own")
