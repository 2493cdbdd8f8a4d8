"""Parallel Markdown: a folder of pages for each language, aligned heading by heading and block by block."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import regex

from stages.corpus.batches import Batch, Notes
from stages.corpus.readers import markdown_tree, paths
from stages.corpus.readers.markdown_tree import Section
from stages.corpus.readers.rows import batched
from stages.settings.corpus import Source
from stages.shared import files
from stages.shared.codes import Wanted
from stages.shared.duplicates import UNSPACED

log = logging.getLogger("corpus")

# A passage ends before the block with which it would have more words than this in the first language.
WORDS = 180
WORD_OF_TEXT = regex.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")
ALONE = "pages that not every language has"
UNSHARED = "sections that the languages do not share"


def read_markdown(source: Source, wanted: Wanted, notes: Notes) -> Iterator[Batch]:
    """A row a section, or a part of a long one, with the page's title and its heading for a title.

    A section's blocks are put side by side if their kinds agree in every language, so that it can be cut between two
    of them; else it is a row as a whole. Sections are matched by their anchors, else by their order if there are as
    many beneath the same heading; those that remain are counted as left out.
    """
    languages, dropped = wanted.languages, notes.left_out
    alone, unshared = [], []
    for name, found in paths.by_language(source, wanted):
        if len(found) < len(languages):
            alone.append(name)
            continue
        pages = [_page(found[lang], source.encoding) for lang in languages]
        before = dropped[UNSHARED]
        # The line is the passage's number in its page: its blocks stand on other lines in each language.
        rows = enumerate(_passages(pages, pages, dropped), 1)
        label = name.replace("{lang}", wanted.given.get(languages[0], languages[0]))
        yield from batched(str(found[languages[0]]), ((n, f"{label}#{n}", None, *row) for n, row in rows), languages)
        if dropped[UNSHARED] > before:
            unshared.append(name)
    if alone:
        dropped[ALONE] += len(alone)
    for names, what in ((alone, ALONE), (unshared, f"pages with {UNSHARED}")):
        if names:
            log.info(f"{what}: {paths.shortened(names)}")


def _page(path: Path, encoding: str) -> Section:
    return markdown_tree.parse(
        files.text(path, encoding).replace("\r\n", "\n"), files.plain_name(path).endswith(".mdx")
    )


def _passages(pages: list[Section], sections: list[Section], dropped: Counter[str]) -> Iterator[tuple[str, ...]]:
    """Titles and texts of the passages of sections that are one in all languages, and of those beneath them."""
    titles = [_title(page, section) for page, section in zip(pages, sections, strict=True)]
    if all(section.blocks for section in sections):
        for texts in _parts(sections):
            yield *titles, *texts
    elif any(section.blocks for section in sections):
        dropped[UNSHARED] += 1
    for children in _matched([section.children for section in sections], dropped):
        yield from _passages(pages, children, dropped)


def _title(page: Section, section: Section) -> str:
    return ": ".join(dict.fromkeys(title for title in (page.title, section.title) if title))


def _parts(sections: list[Section]) -> Iterator[tuple[str, ...]]:
    kinds = {tuple(block.kind for block in section.blocks) for section in sections}
    texts = [[block.text for block in section.blocks] for section in sections]
    if len(kinds) > 1:
        yield tuple("\n".join(blocks) for blocks in texts)
        return
    start, words = 0, 0
    for end, block in enumerate(texts[0]):
        count = len(WORD_OF_TEXT.findall(block))
        if words and words + count > WORDS:
            yield tuple("\n".join(blocks[start:end]) for blocks in texts)
            start, words = end, 0
        words += count
    yield tuple("\n".join(blocks[start:]) for blocks in texts)


def _matched(levels: list[list[Section]], dropped: Counter[str]) -> Iterator[list[Section]]:
    """The sections beneath one heading, each with its translations."""
    anchored = [_by_anchor(children) for children in levels]
    shared = [anchor for anchor in anchored[0] if all(anchor in others for others in anchored)]
    as_many = len({len(children) for children in levels}) == 1
    in_place = all(
        len({children.index(others[anchor]) for children, others in zip(levels, anchored, strict=True)}) == 1
        for anchor in shared
    )
    if as_many and in_place:
        yield from map(list, zip(*levels, strict=True))
        return
    for anchor in shared:
        yield [others[anchor] for others in anchored]
    most = max(levels, key=lambda children: sum(map(_size, children)))
    lost = sum(_size(child) for child in most if child.anchor not in shared)
    if lost:
        dropped[UNSHARED] += lost


def _by_anchor(children: list[Section]) -> dict[str, Section]:
    """Sections by their anchors, without those that several have."""
    counts: Any = Counter(child.anchor for child in children)
    return {child.anchor: child for child in children if child.anchor and counts[child.anchor] == 1}


def _size(section: Section) -> int:
    return 1 + sum(map(_size, section.children))
