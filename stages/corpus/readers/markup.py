"""The XML of translation memories and localised software, read element by element: a memory of ten million units is
never held as a tree, as translate-toolkit would hold it."""

from __future__ import annotations

import re
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
# Tags that OmegaT writes as text: <g0>, </g0>, <x1/>; the last stands between words.
TAGS = re.compile(r"</?[a-z]{1,4}\d+(/?)>")


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
    """An element's text without its inline elements, nor the tags that OmegaT writes as text; raises `UserError` if it
    has an entity of the file's own. A placeholder is what it says that it stands for, else the space between two words.
    """
    return TAGS.sub(lambda tag: " " if tag[1] else "", _text(element, path))


def _text(element: etree._Element, path: Path) -> str:
    parts = [element.text or ""]
    for child in element:
        if child.tag is etree.Entity:
            place = f"{path}:{element.sourceline}"
            raise UserError(f"{place} the entity {child.text} is not read: write its text in its place")
        if isinstance(child.tag, str):  # no comment, no processing instruction
            name = etree.QName(child).localname
            if name not in CODES:
                parts.append(_standing(child) if name in PLACEHOLDERS else _text(child, path))
        parts.append(child.tail or "")
    return "".join(parts)


def _standing(placeholder: etree._Element) -> str:
    """What a placeholder stands for (XLIFF 1.2, 2.0), if it is no markup: {name}, %s."""
    said = next((value for key in ("equiv-text", "disp", "equiv") if (value := placeholder.get(key))), "")
    return said if "{" in said or "%" in said else " "
