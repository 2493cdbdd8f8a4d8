"""The XML of translation memories and localised software, read element by element: a memory of ten million units is
never held as a tree, as translate-toolkit would hold it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from stages.shared import files
from stages.shared.errors import UserError

LANG = "{http://www.w3.org/XML/1998/namespace}lang"
# Inline elements (TMX 1.4b, XLIFF 1.2 and 2.0) whose content is a document's own code, not text: a placeholder stands
# between words, the ends of a formatted stretch within them.
PLACEHOLDERS = ("ph", "it", "ut", "x", "cp")
CODES = ("bpt", "ept", "bx", "ex", "sc", "ec")


def elements(path: Path, *names: str) -> Iterator[etree._Element]:
    """Each element of one of `names`, in whatever namespace, freed before the next; raises `UserError` if the file is
    no XML. Its encoding is that of its mark or declaration. Nothing that it refers to is ever loaded."""
    with files.opened(path) as file:
        try:
            tags = [f"{{*}}{name}" for name in names]
            # resolve_entities: else an entity could hold another file's content.
            for _, element in etree.iterparse(file, tag=tags, resolve_entities=False, load_dtd=False, no_network=True):
                yield element
                element.clear()
                parent = element.getparent()
                while parent is not None and element.getprevious() is not None:
                    del parent[0]
        except etree.XMLSyntaxError as error:
            raise UserError(f"{path}:{error.lineno or 1} is no XML ({error.msg}): mend the file") from None


def children(element: etree._Element, name: str) -> Iterator[etree._Element]:
    return element.iterchildren(f"{{*}}{name}")


def text(element: etree._Element, path: Path) -> str:
    """An element's text without its inline elements; raises `UserError` if it has an entity of the file's own."""
    parts = [element.text or ""]
    for child in element:
        if child.tag is etree.Entity:
            place = f"{path}:{element.sourceline}"
            raise UserError(f"{place} the entity {child.text} is not read: write its text in its place")
        if isinstance(child.tag, str):  # no comment, no processing instruction
            name = etree.QName(child).localname
            if name not in CODES:
                parts.append(" " if name in PLACEHOLDERS else text(child, path))
        parts.append(child.tail or "")
    return "".join(parts)
