"""lexicons@<name>: what words are in another language, a table for each ordered pair of languages."""

import logging
from collections import Counter
from itertools import combinations
from pathlib import Path

from stages.lexicons import alignment, dictionary, embeddings, entries, titles
from stages.schemas.lexicons import LEXICON, LEXICON_RECORD, LEXICONS_FOLDER, LLM, PROMPT
from stages.settings.languages import read_languages
from stages.settings.lexicons import Lexicon, read_lexicon
from stages.shared import errors, files, member, tables
from stages.shared.errors import UserError

log = logging.getLogger("lexicons")
FINDERS = {
    "alignment": alignment.find,
    "embeddings": embeddings.find,
    "titles": titles.find,
    "dictionary": dictionary.find,
}


def main() -> None:
    name = member.name("lexicons")
    lexicon = read_lexicon(name)
    languages = lexicon.languages or read_languages()
    dropped: entries.Dropped = Counter()
    found, lacking = [], []
    if not Path(lexicon.path).exists():
        raise UserError(f"lexicons.{name}.path is {lexicon.path}, which is not there: correct it")
    if lexicon.source == LLM:
        asked(name, lexicon)
        return
    with tables.replacing(LEXICONS_FOLDER / name) as draft:
        for source, target in combinations(languages, 2):
            pairs = FINDERS[lexicon.source](lexicon, source, target, dropped)
            for one, other in ((source, target), (target, source)):
                table = entries.table(pairs[one, other], one, lexicon) if pairs else None
                if table is None or table.is_empty():
                    lacking.append(f"{one}-{other}")
                    continue
                tables.write(table, draft / f"{one}-{other}.parquet", LEXICON)
                found.append((one, other))
                log.info(f"{one}-{other}: {table['word'].n_unique():,} words, {table.height:,} entries")
        if not found and len(languages) > 1:
            raise UserError(
                f"lexicons.{name} has no entry for any pair of {', '.join(languages)}: look at its path and files, "
                f"lower its threshold, which is {lexicon.threshold}, or remove it"
            )
        left_out = {reason: count for reason, count in sorted(dropped.items()) if count}
        record = {"source": lexicon.source, "pairs": found, "lacking": lacking, "dropped": left_out}
        tables.write_json(record, draft / LEXICON_RECORD)
    for reason, count in left_out.items():
        log.info(f"left out: {count:,} {reason}")
    if len(languages) == 1:
        log.warning(f"{languages[0]} is the study's only language: the lexicon is empty")
    if lacking:
        log.warning(f"it has nothing for {', '.join(lacking)}")


def asked(name: str, lexicon: Lexicon) -> None:
    """Write the prompt of one that has no words of its own: whole texts are asked of the language model."""
    if not Path(lexicon.path).is_file():
        raise UserError(f"lexicons.{name}.path is {lexicon.path}, which is no file: name the prompt, a template")
    with tables.replacing(LEXICONS_FOLDER / name) as draft:
        tables.write_text(files.text(lexicon.path), draft / PROMPT)
        tables.write_json({"source": LLM, "pairs": [], "lacking": [], "dropped": {}}, draft / LEXICON_RECORD)
    log.info("it has no words: whole texts are asked of the language model")


if __name__ == "__main__":
    errors.run(main)
