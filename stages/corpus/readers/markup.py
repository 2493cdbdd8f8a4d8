"""The XML of translation memories and localised software, read element by element: a memory of ten million units is
never held as a tree, as translate-toolkit would hold it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.entities import html5
from pathlib import Path
from typing import BinaryIO

from lxml import etree

from stages.shared import files
from stages.shared.errors import UserError

LANG = "{http://www.w3.org/XML/1998/namespace}lang"
# Inline elements (TMX 1.4b, XLIFF 1.2 and 2.0) whose content is a document's own code, not text: a placeholder stands
# between words, the ends of a formatted stretch within them.
PLACEHOLDERS = ("ph", "it", "ut", "x", "cp")
CODES = ("bpt", "ept", "bx", "ex", "sc", "ec", "sm")
# Elements of HTML that no memory should have, and many do: what stands before and after them are two words.
BREAKS = (
    "br",
    "hr",
    "img",
    "p",
    "div",
    "li",
    "ul",
    "ol",
    "tr",
    "td",
    "th",
    "table",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
)
# What may stand before the root element: a declaration, then comments and instructions, then a document type.
PROLOGUE = re.compile(r"\s*(?P<declaration><\?xml\s.*?\?>)?(?:\s|<!--.*?-->|<\?.*?\?>)*(?=<)", re.DOTALL)
PROLOGUE_BYTES = 2**16
# The name of a document type that is never loaded: with it entities that nobody declares, `&nbsp;` above all, are
# given as they stand, and without it libxml2 ends with no word about them.
UNREAD = '<!DOCTYPE unread SYSTEM "unread">'


def elements(path: Path, *names: str) -> Iterator[etree._Element]:
    """Each element of one of `names`, in whatever namespace, freed before the next; raises `UserError` if the file is
    no XML, or has more than `files.LONGEST_LINE` from one to the next. Its encoding is that of its mark or declaration.
    Nothing that it refers to is ever loaded."""
    with files.opened(path) as file:
        source = _Source(file, path)
        # resolve_entities: else an entity could hold another file's content.
        found = etree.iterparse(
            source, tag=[f"{{*}}{name}" for name in names], resolve_entities=False, load_dtd=False, no_network=True
        )
        try:
            for _, element in found:
                yield element
                source.unit_read()
                element.clear()
                parent = element.getparent()
                while parent is not None and element.getprevious() is not None:
                    del parent[0]
        except etree.XMLSyntaxError as error:
            # Of an undeclared entity the error itself says nothing.
            first = next(iter(found.error_log), error)
            line, message = (getattr(first, "line", 0) or error.lineno or 1), getattr(first, "message", error.msg)
            raise UserError(f"{path}:{line} is no XML ({str(message).strip()}): mend the file") from None


class _Source:
    """A file as the parser reads it, with a document type if it has none, and no more of it at once than is allowed."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path = file, path
        self._begin = _typed(file.read(PROLOGUE_BYTES))
        self._read = 0

    def read(self, size: int) -> bytes:
        data, self._begin = self._begin[:size], self._begin[size:]
        data = data or self._file.read(size)
        self._read += len(data)
        if self._read > files.LONGEST_LINE:
            raise UserError(
                f"{self._path} has {files.bound()} without the end of a unit, the most that one may be: {files.SPLIT}"
            )
        return data

    def unit_read(self) -> None:
        self._read = 0


def _typed(head: bytes) -> bytes:
    """The beginning of a file with a document type behind its declaration, if it has none."""
    wide = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    encoding = ("utf-16-le" if head.startswith(b"\xff\xfe") else "utf-16-be") if wide else "latin-1"
    mark = 2 if wide else 3 if head.startswith(b"\xef\xbb\xbf") else 0
    text = head[mark:].decode(encoding, "replace")
    prologue = PROLOGUE.match(text)
    if prologue is None or text.startswith("<!DOCTYPE", prologue.end()):
        return head
    at = mark + prologue.end("declaration") * (2 if wide else 1) if prologue["declaration"] else mark
    return head[:at] + UNREAD.encode(encoding) + head[at:]


def children(element: etree._Element, name: str) -> Iterator[etree._Element]:
    return element.iterchildren(f"{{*}}{name}")


def text(element: etree._Element, path: Path) -> str:
    """An element's text without its inline elements; raises `UserError` if it has an entity of the file's own."""
    parts = [element.text or ""]
    for child in element:
        if child.tag is etree.Entity:
            parts.append(_character(child, element, path))
        elif isinstance(child.tag, str):  # no comment, no processing instruction
            name = etree.QName(child).localname
            if name in PLACEHOLDERS:
                parts.append(" ")
            elif name in BREAKS:
                parts.append(f" {text(child, path)} ")
            elif name not in CODES:
                parts.append(text(child, path))
        parts.append(child.tail or "")
    return "".join(parts)


def _character(entity: etree._Element, element: etree._Element, path: Path) -> str:
    """What HTML calls by this name, unless the file says otherwise."""
    name = str(entity.text)[1:]
    declared = element.getroottree().docinfo.internalDTD
    own = declared is not None and any(f"{one.name};" == name for one in declared.iterentities())
    if own or name not in html5:
        place = f"{path}:{element.sourceline}"
        raise UserError(f"{place} the entity {entity.text} is not read: write its text in its place")
    return html5[name]
