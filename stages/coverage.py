"""coverage: what each lexicon translates of the training texts, and how far it agrees with the study's dictionaries.

A word counts as translated if any of its forms is in the lexicon (`stages.shared.stems`). Of the words of the texts
that a dictionary knows, a lexicon's coverage is the share that it knows as well, and its precision the share of these
whose best translation is one of the dictionary's, whatever its ending: precision@1 of bilingual lexicon induction, by
which a right translation that the dictionary lacks is a wrong one.
"""

import logging
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from stages.schemas.lexicons import LEXICON, LEXICON_RECORD, LEXICONS_FOLDER
from stages.settings.reading import read_names
from stages.shared import errors, tables, training_texts
from stages.shared.rounding import rounded
from stages.shared.stems import lookups, stem
from stages.shared.words import spans

log = logging.getLogger("coverage")
OUT = Path("metrics/lexicons.json")
DICTIONARY = "dictionary"
Translations = dict[str, list[str]]  # of a word, the best first


class ReadLexicon(NamedTuple):
    record: dict
    tables: dict[tuple[str, str], Translations]


def main() -> None:
    lexicons = {name: _read(name) for name in read_names("lexicons")}
    languages = sorted({pair[0] for lexicon in lexicons.values() for pair in lexicon.tables})
    texts = {lang: _words(lang) for lang in languages}
    found = {}
    for name, lexicon in lexicons.items():
        pairs = {}
        for (source, target), own in lexicon.tables.items():
            references = {
                other: against(own, reference.tables[source, target], texts[source], source, target)
                for other, reference in lexicons.items()
                if other != name and reference.record["source"] == DICTIONARY and (source, target) in reference.tables
            }
            pairs[f"{source}-{target}"] = {**_size(own, texts[source], source), "dictionaries": references}
        found[name] = {**{key: lexicon.record[key] for key in ("source", "lacking", "dropped")}, "pairs": pairs}
    tables.write_json(found, OUT)
    log.info(f"{len(found)} lexicons" if found else "no lexicon is named")


def _read(name: str) -> ReadLexicon:
    folder = LEXICONS_FOLDER / name
    record = tables.read_json(folder / LEXICON_RECORD)
    found: dict[tuple[str, str], Translations] = {}
    for source, target in record["pairs"]:
        own = tables.read(folder / f"{source}-{target}.parquet", LEXICON)
        found[source, target] = dict(own.group_by("word", maintain_order=True).agg("translation").iter_rows())
    return ReadLexicon(record, found)


def _words(lang: str) -> Counter[str]:
    """The words of a language's training texts, in lower case, with how often each occurs."""
    texts = training_texts.of(lang)
    return Counter(lookups(text[begin:end], lang)[0] for text in texts for begin, end in spans(text, lang))


def looked_up(word: str, lang: str, lexicon: Translations) -> list[str] | None:
    """The translations of the first of the word's forms that `lexicon` has."""
    return next((lexicon[form] for form in lookups(word, lang) if form in lexicon), None)


def _size(lexicon: Translations, texts: Counter[str], lang: str) -> dict:
    known = sum(count for word, count in texts.items() if looked_up(word, lang, lexicon))
    return {
        "words": len(lexicon),
        "entries": sum(map(len, lexicon.values())),
        # Of the running words of the texts.
        "translated": rounded(known / texts.total()) if texts else None,
    }


def against(lexicon: Translations, dictionary: Translations, texts: Counter[str], source: str, target: str) -> dict:
    """How many `words` of the texts the dictionary knows, and the lexicon's `coverage` and `precision` on them."""
    wanted = {word: known for word in texts if (known := looked_up(word, source, dictionary))}
    best = {word: found[0] for word in wanted if (found := looked_up(word, source, lexicon))}
    right = sum(_same(translation, wanted[word], target) for word, translation in best.items())
    return {
        "words": len(wanted),
        "coverage": rounded(len(best) / len(wanted)) if wanted else None,
        "precision": rounded(right / len(best)) if best else None,
    }


def _same(translation: str, known: list[str], lang: str) -> bool:
    return stem(translation, lang) in {stem(other, lang) for other in known}


if __name__ == "__main__":
    errors.run(main)
