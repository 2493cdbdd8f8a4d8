"""Taxonomies: the files of `taxonomies/`, a row a topic: `id`, `topic` and maybe `class`, each a text or a text a
language. The Korean Decimal Classification's divisions are shipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from stages.shared import jsonl
from stages.shared.errors import UserError

TAXONOMIES_FOLDER = Path(__file__).parent / "taxonomies"


class Topic(NamedTuple):
    id: str
    topic: dict[str, str]
    group: dict[str, str]

    def name(self, lang: str) -> str:
        """The topic in `lang`, or else in English, or else as it is; with its class in brackets."""
        topic, group = _in(self.topic, lang), _in(self.group, lang)
        return f"{topic} ({group})" if group and group != topic else topic


def read(name: str) -> list[Topic]:
    """Raises `UserError` if there is no such taxonomy, or a row is none of its topics."""
    known = {found.stem: found for found in sorted(TAXONOMIES_FOLDER.glob("*.jsonl"))}
    if name not in known:  # nor may it lead out of the folder
        has = ", ".join(known)
        raise UserError(
            f"synthesize.topics.taxonomy is {name!r}, but {TAXONOMIES_FOLDER.name}/ has {has}: name one or add the file"
        )
    file = known[name]
    topics: dict[str, Topic] = {}
    for place, row in jsonl.rows(file):
        number = jsonl.text(row, "id", place)
        if not number or number in topics:
            raise UserError(f"{place}: the id {number!r} is empty or comes twice: give each topic its own")
        group = _names(row, "class", place) if "class" in row else {}
        topics[number] = Topic(number, _names(row, "topic", place), group)
    if not topics:
        raise UserError(f"{file} has no topics: add rows")
    return list(topics.values())


def _names(row: dict[str, Any], key: str, place: str) -> dict[str, str]:
    value = row.get(key)
    names: dict[str, str] = value if isinstance(value, dict) else {"": value or ""}
    if not names or not all(isinstance(name, str) and name.strip() for name in names.values()):
        raise UserError(f"{place}: {key!r} holds {value!r}: write a text, or a text for each language")
    return names


def _in(names: dict[str, str], lang: str) -> str:
    return names.get(lang) or names.get("en") or next(iter(names.values()), "")
