"""codeswitch: the training texts with words in other languages, for each variant, drawn by (seed, text).

Texts are the queries of the training split and all passages, since negatives are drawn from all of them. A language
from which the lexicon leads nowhere has none. How many words became others, and how many the lexicon lacks, is counted.
"""

import logging
from collections import Counter
from itertools import product
from typing import Any

import polars as pl

from stages.schemas.codeswitched import CODESWITCH_METRICS, CODESWITCHED, CODESWITCHED_FOLDER
from stages.schemas.lexicons import LEXICONS_FOLDER
from stages.settings.codeswitch import Codeswitch, read_codeswitch
from stages.settings.languages import read_languages
from stages.settings.seed import read_seed
from stages.shared import collection, errors, seeds, tables
from stages.shared.languages import language_name
from stages.shared.rounding import rounded
from stages.shared.switching import Switcher, best

log = logging.getLogger("codeswitch")
SWITCHED_AT_ONCE = 10_000
SAMPLES_SHOWN = 2  # of each language and side
SAMPLE_CHARS = 200


def main() -> None:
    variants, languages, seed = read_codeswitch(), read_languages(), read_seed()
    texts = collection.read(languages).texts("train").sort("side", "id", "lang")
    report: dict[str, dict[str, dict[str, Any]]] = {}
    with tables.replacing(CODESWITCHED_FOLDER) as draft:
        draft.mkdir()
        for name, variant in variants.items():
            parts, report[name] = [], {}
            for lang in languages:
                own = texts.filter(pl.col("side").is_in(variant.sides), lang=lang)
                if own.is_empty() or not (lexicons := opened(name, variant, lang, languages)):
                    log.info(f"{name}: none in {language_name(lang)}")
                    continue
                table, report[name][lang] = switched(own, variant, lexicons, seed)
                parts.append(table)
                log.info(
                    "{}: {} {words:,} words, {switched:.1%} switched, {out_of_lexicon:.1%} out of the lexicon".format(
                        name, lang, **report[name][lang]
                    )
                )
            if not parts:
                raise errors.UserError(
                    f"codeswitch.{name} switches nothing: {LEXICONS_FOLDER / variant.lexicon} has no table from any of "
                    f"{', '.join(languages)} to {', '.join(variant.targets or ['another'])}: name another lexicon"
                )
            tables.write(pl.concat(parts).sort(list(CODESWITCHED)[:4]), draft / f"{name}.parquet", CODESWITCHED)
    tables.write_json(report, CODESWITCH_METRICS)


def opened(name: str, variant: Codeswitch, lang: str, languages: list[str]) -> dict[str, dict[str, str]]:
    """Of each target that texts in `lang` are switched to, the best translation of each word; empty if the variant's
    lexicon leads from `lang` nowhere, or to no target.

    Raises `UserError` if it leads to some of the targets named, and not to others.
    """
    targets = [target for target in variant.targets or languages if target != lang]
    files = {target: LEXICONS_FOLDER / variant.lexicon / f"{lang}-{target}.parquet" for target in targets}
    found = {target: file for target, file in files.items() if file.exists()}
    if variant.targets and found and (missing := [str(files[target]) for target in targets if target not in found]):
        raise errors.UserError(
            f"codeswitch.{name}.targets needs {missing[0]}, which there is not: add the pair to lexicons."
            f"{variant.lexicon}, or remove the target"
        )
    return {target: best(file) for target, file in found.items()}


def switched(
    texts: pl.DataFrame, variant: Codeswitch, lexicons: dict[str, dict[str, str]], seed: int
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """All draws (CODESWITCHED) of `texts` in one language (side, id, lang, text), and what is told of them: how many
    words there are, which share of them became others, the lexicon lacks and is kept as names, and some texts, cut."""
    switcher = Switcher(
        texts["lang"][0],
        lexicons,
        variant.share,
        one_target=variant.kind == "titles",
        phrases=variant.by_phrase,
        keep_names=variant.keep_names,
    )
    draws, count = range(variant.draws), Counter[str]()
    after = [pl.Series([], dtype=pl.String)]
    for draw, batch in product(draws, texts.iter_slices(SWITCHED_AT_ONCE)):
        names = [f"{side}/{name}/{lang}/{draw}" for side, name, lang in batch.select("side", "id", "lang").iter_rows()]
        done = list(switcher(batch["text"].to_list(), seeds.numbers(f"{seed}/codeswitch", names)))
        after.append(pl.Series([one.text for one in done], dtype=pl.String))
        for part in ("words", "switched", "unknown", "names"):
            count[part] += sum(getattr(one, part) for one in done)
    drawn = pl.concat(texts.with_columns(draw=pl.lit(draw, pl.UInt32)) for draw in draws)
    drawn = drawn.with_columns(before="text", text=pl.concat(after))
    shown = drawn.filter(draw=0).group_by("side", maintain_order=True).head(SAMPLES_SHOWN)
    told: dict[str, Any] = {"texts": texts.height, "words": count["words"]}
    shares = {"switched": "switched", "out_of_lexicon": "unknown"} | ({"names": "names"} if variant.keep_names else {})
    told |= {share: rounded(count[part] / max(count["words"], 1)) for share, part in shares.items()}
    cut = shown.select(pl.col("before", "text").str.head(SAMPLE_CHARS))
    return drawn.select(*CODESWITCHED), told | {"samples": [list(pair) for pair in cut.iter_rows()]}


if __name__ == "__main__":
    errors.run(main)
