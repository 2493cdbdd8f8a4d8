"""Markdown pages as trees: headings with what stands beneath them, as plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode

from stages.settings import yaml12


class Block(NamedTuple):
    """A paragraph, list, table or quotation."""

    kind: str
    text: str


@dataclass
class Section:
    level: int  # 0: the page itself
    title: str
    anchor: str  # what links to it name, given or made of its title
    blocks: list[Block] = field(default_factory=list)
    children: list[Section] = field(default_factory=list)


PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
MDX = MarkdownIt("commonmark").enable(["table", "strikethrough"]).disable("code")  # which has no indented code
BLOCK_KINDS = ("paragraph", "bullet_list", "ordered_list", "table", "blockquote")

FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?\n)---[ \t]*(?:\n|\Z)", re.DOTALL)
FENCE = re.compile(r"^[ \t>]*(?:[-*+][ \t]+|\d+[.)][ \t]+)?(`{3,}|~{3,})")
# Code that shortcodes and tags of Hugo and Jekyll hold instead of a fence.
HIGHLIGHTED = re.compile(
    r"\{\{[<%]\s*(highlight|code|mermaid)\b[^\n]*?\}\}.*?\{\{[<%]\s*/\s*\1\b[^\n]*?\}\}"
    r"|\{%-?\s*highlight\b[^\n]*?%\}.*?\{%-?\s*endhighlight\s*-?%\}",
    re.DOTALL,
)
# Kept as it is: code in a line. Left out: comments; tags of HTML and JSX, whose attributes may hold braces; shortcodes
# and variables of Jekyll, Hugo, Vue and mdBook; attributes of kramdown and MkDocs; marks of footnotes and of alerts.
INLINE = re.compile(
    r"(?P<code>(?<!`)(?P<ticks>`+)(?!`)(?:(?!\n[ \t]*\n).)+?(?<!`)(?P=ticks)(?!`))"
    r"|<!--.*?-->|\{/\*.*?\*/\}"
    r"""|</?(?P<tag>[A-Za-z][\w.:-]*)(?:\s(?:[^<>{}"']|"[^"]*"|'[^']*'|\{(?:[^{}]|\{[^{}]*\})*\})*)?/?>|</?>"""
    r"""|\{\{[<%]\s*\w+\s[^\n]*?\btext="(?P<said>[^"\n]*)"[^\n]*?\}\}"""
    r"|\{\{[^\n]*?\}\}|\{%[^\n]*?%\}|\{:[^{}\n]*\}|\[\^[^\]\s]+\]:?"
    r"""|\{[ ]?(?:\.[\w-]+|[\w-]+=(?:"[^"\n]*"|'[^'\n]*'|[\w-]+))(?:[ ][^{}\n]*)?\}""",
    re.DOTALL,
)
# Tags between two words: what stands before and after is not joined.
BREAKING = re.compile(
    r"br|hr|p|div|li|[duo]l|d[dt]|t[dhr]|table|h[1-6]|img|summary|section|blockquote|figcaption", re.I
)
# Lines that are no text: MDX's imports and exports (in .md files, which Docusaurus reads as MDX too, imports of a
# quoted module alone), the marks of admonitions, and kramdown's place for a table of contents.
IMPORTS = re.compile(r"^(?:import|export)\s.*(?:\n.*\S.*)*", re.MULTILINE)
SCRIPT_LINES = re.compile(r"^[ \t]*<(script|style)\b.*?</\1>", re.DOTALL | re.MULTILINE)
MODULES = re.compile(r"""^import\s(?:[\w*${},\s]+?\sfrom\s+)?["'][^"'\n]+["'];?[ \t]*$""", re.MULTILINE)
MARKERS = re.compile(r"^[ \t]*:{3,}.*$|^[*-][ ].*\n\{:\s?toc\b[^{}\n]*\}[ \t]*$", re.MULTILINE)
# GitHub's, VitePress's and Obsidian's alerts; a title beside the mark is text.
ALERT = re.compile(r"^([ \t]*>[ \t>]*)\[!\w+\][+-]?[ \t]*", re.MULTILINE)
# Admonitions and tabs of MkDocs, whose text is indented by four blanks, as code is.
INDENTED = re.compile(
    r"""^([ \t]*)(?:!!!|\?\?\?\+?|===[!+]?)[ \t]+["\w].*\n((?:(?:\1[ ]{4}.*|[ \t]*)(?:\n|\Z))*)""", re.MULTILINE
)
# Kramdown's may stand on the line below.
ANCHOR = re.compile(r"\s*\{(?::?[ ]?(?:[^#{}\n]*[ ])?#([^\s{}]+)[^{}]*|/\*\s*([^\s{}]+?)\s*\*/)\}\s*$")
HEADING = re.compile(r"^#{1,6}[ \t].*(?:\n\{:[^{}\n]*#[^{}\n]*\}[ \t]*$)?", re.MULTILINE)


def parse(text: str, mdx: bool) -> Section:
    """A page as a tree. Its title is its front matter's or its one heading of the first level, which is no section of
    its own. Code, comments and markup are left out."""
    front = FRONT_MATTER.match(text)
    body = HIGHLIGHTED.sub("", _without_code(text[front.end() :] if front else text))
    body = SCRIPT_LINES.sub("", body)
    body = _outdented((IMPORTS if mdx else MODULES).sub("", body))
    body = ALERT.sub(r"\1", MARKERS.sub("", HEADING.sub(lambda line: _heading(line[0]), body)))
    page = _tree((MDX if mdx else PARSER).parse(INLINE.sub(_inline, body)))
    page.title = _front_title(front[1] if front else "") or page.title
    return page


def _inline(match: re.Match[str]) -> str:
    """What stays of a match of `INLINE`."""
    if match["tag"]:
        return " " if BREAKING.fullmatch(match["tag"]) else ""
    return match["code"] or match["said"] or ""


def _outdented(body: str) -> str:
    """`body` with the text of MkDocs' admonitions and tabs, nested ones too, where other text is."""
    while True:
        found = INDENTED.sub(lambda m: "\n" + re.sub(rf"^{m[1]} {{4}}", m[1], m[2], flags=re.MULTILINE), body)
        if found == body:
            return body
        body = found


def _heading(line: str) -> str:
    """A heading's line with its anchor written `{#anchor}`, in whichever way it is given."""
    match = ANCHOR.search(line)
    return f"{line[: match.start()]} {{#{match[1] or match[2]}}}" if match else line


def _front_title(front: str) -> str:
    try:
        values: Any = yaml12.parse(front)
    except yaml.YAMLError:
        return ""
    return str(values.get("title") or "").strip() if isinstance(values, dict) else ""


def _without_code(text: str) -> str:
    """A page with the lines of its fenced code blocks empty, so that nothing in them is taken for markup."""
    kept, closing = [], ""
    for line in text.split("\n"):
        fence = FENCE.match(line)
        if closing:
            if fence and fence[1].startswith(closing) and not line[fence.end() :].strip():
                closing = ""
            kept.append("")
        elif fence and not (fence[1][0] == "`" and "`" in line[fence.end() :]):
            closing = fence[1]
            kept.append("")
        else:
            kept.append(line)
    return "\n".join(kept)


def _tree(tokens: list[Token]) -> Section:
    page = Section(0, "", "")
    above = [page]
    for node in SyntaxTreeNode(tokens).children:
        if node.type == "heading":
            level = int(node.tag[1])
            title = _plain(node)
            match = ANCHOR.search(title)
            title = title[: match.start()] if match else title
            section = Section(level, title, match[1] if match else _anchor(title))
            while above[-1].level >= level:
                above.pop()
            above[-1].children.append(section)
            above.append(section)
        elif node.type in BLOCK_KINDS and (found := _plain(node)):
            above[-1].blocks.append(Block(node.type, found))
    if len(page.children) == 1 and page.children[0].level == 1:
        top = page.children[0]
        return Section(0, top.title, "", page.blocks + top.blocks, top.children)
    return page


def _anchor(title: str) -> str:
    return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", title.lower()).strip())


def _plain(node: SyntaxTreeNode) -> str:
    """A block's text: a paragraph for each paragraph, list item or row."""
    if node.type == "inline":
        return " ".join("".join(_pieces(node)).split())
    between = " " if node.type == "tr" else "\n\n"
    return between.join(text for child in node.children if (text := _plain(child)))


def _pieces(node: SyntaxTreeNode) -> Iterator[str]:
    for child in node.children:
        if child.type in ("text", "code_inline"):
            yield child.content
        elif child.type in ("softbreak", "hardbreak"):
            yield " "
        elif child.type != "image":
            yield from _pieces(child)
