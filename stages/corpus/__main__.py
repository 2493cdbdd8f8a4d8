"""corpus: a source becomes the tables of passages, queries and qrels, split into train, dev and test.

Ten million pairs take no more memory than a few numbers of each. Rows are cleaned and wait on disk; hashes tell which
repeat an earlier one; what stays is written when it is read a second time. Passages keep the order of their source.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from tqdm import tqdm

from stages.corpus import intake, inverse_cloze, knowledge, mixture, repeats
from stages.corpus.intake import READ
from stages.corpus.near import Near
from stages.corpus.output import Output, long, spread
from stages.corpus.readers.sources import judged
from stages.corpus.spool import Spool
from stages.schemas.texts import CORPUS_FOLDER, SPLITS
from stages.settings.corpus import Corpus, read_corpus
from stages.settings.languages import read_languages
from stages.settings.seed import read_seed
from stages.settings.split import Split
from stages.shared import codes, errors, split, tables, untranslated
from stages.shared.codes import Wanted
from stages.shared.errors import UserError
from stages.shared.judgements import NO_PASSAGE, NO_QUERY

log = logging.getLogger("corpus")
REPORT = Path("metrics/corpus.json")


def main() -> None:
    settings, seed = read_corpus(), read_seed()
    languages = settings.languages or read_languages()
    with tables.replacing(CORPUS_FOLDER) as draft:
        draft.mkdir()
        if settings.labelled:
            report = knowledge.build(settings, languages, seed, draft)
        else:
            report = build(settings, languages, seed, draft)
            knowledge.nothing(draft)
            shutil.rmtree(draft / "spool")
    tables.write_json(report, REPORT)
    tell(report)


def build(settings: Corpus, languages: list[str], seed: int, draft: Path) -> dict[str, Any]:
    """Write the tables into the folder `draft`, and return what was counted."""
    folder = draft / "spool"
    near = Near(folder / "near", settings.duplicates.near) if settings.duplicates.near else None
    spool = Spool(folder / "rows", languages, near)
    counts = intake.fill(spool, settings, languages)
    spool.close()
    found = deduplicate(spool, near) if settings.duplicates.exact else repeats.none(spool.rows, len(languages))
    stays = found.twins < 0
    drawn = weigh(spool, stays, settings, seed)
    rows = np.flatnonzero(drawn)
    splits = share(spool, found.families[rows], settings.split, seed)
    with Output(draft) as output:
        with tqdm(total=len(rows), desc="writing", unit=" passages") as bar:
            for piece in spool.pieces(rows):
                passages = long(piece, splits[np.searchsorted(rows, piece["row"])], languages)
                if settings.queries == "inverse-cloze":
                    passages = hold_out(passages, output, settings, languages, counts)
                output.write("passages", passages)
                bar.update(piece.height)
        if settings.queries == "source":
            answer(spool, found.twins, settings, languages, output, counts)
    sizes = np.bincount(spool.parts[rows], minlength=len(spool.part_names)) / max(1, len(rows))
    counts.left_out["that are duplicates"] = int((~stays).sum())
    counts.left_out["beyond the share of their part"] = int(stays.sum()) - len(rows)
    return {
        "read": dict(counts.read),
        **({"spelt": counts.spelt} if counts.spelt else {}),
        "left_out": {reason: count for reason, count in sorted(counts.left_out.items()) if count},
        "noted": {what: count for what, count in sorted(counts.noted.items()) if count},
        "texts": {lang: dict(sorted(own.items())) for lang, own in counts.texts.items()},
        "duplicates": {
            lang: {"exact": exact, "near": near_ones}
            for lang, exact, near_ones in zip(languages, found.exact, found.near, strict=True)
        },
        "passages": {lang: {name: output.splits[lang, name] for name in SPLITS} for lang in languages},
        "characters": {lang: spread(output.lengths[lang]) for lang in languages},
        "queries": dict(sorted(output.queries.items())),
        "shares": {part: round(float(size), 4) for part, size in zip(spool.part_names, sizes, strict=True)},
    }


def deduplicate(spool: Spool, near: Near | None) -> repeats.Repeats:
    if near:
        near.close(spool.firsts.ravel() == np.arange(spool.firsts.size))
        near.put(spool.plain(near.proposed))
    return repeats.find(spool.firsts, near)


def weigh(spool: Spool, stays: np.ndarray, settings: Corpus, seed: int) -> np.ndarray:
    """Which passages of those that stay (bool, [rows]) the weights of a mixture's parts leave: bool, [rows]."""
    weights = {name: part.weight for name, part in settings.parts.items() if part.weight}
    if not weights:
        return stays
    rows = np.flatnonzero(stays)
    sizes = np.bincount(spool.parts[rows], minlength=len(weights)).tolist()
    quotas = mixture.quotas(dict(zip(spool.part_names, sizes, strict=True)), weights, settings.limit)
    drawn = np.zeros(spool.rows, bool)
    drawn[rows[mixture.draw(spool.parts[rows], spool.orders(rows, seed, "part"), list(quotas.values()))]] = True
    return drawn


def share(spool: Spool, families: np.ndarray, shares: Split, seed: int) -> np.ndarray:
    """The split of each of n passages, as its number in `SPLITS`: uint8, [n]. Those of one of `families` (int, [n])
    get one, by the id and the stratum of its first passage."""
    heads, member, sizes = np.unique(families, return_inverse=True, return_counts=True)
    ranks = np.argsort(np.argsort(np.array(spool.stratum_names, object)))
    return split.draw(ranks[spool.strata[heads]], spool.orders(heads, seed, "split"), sizes, shares)[member]


def hold_out(
    passages: pl.DataFrame, output: Output, settings: Corpus, languages: list[str], counts: intake.IntakeCounts
) -> pl.DataFrame:
    """`passages` without their lead sentences, which are written as their queries."""
    passages, queries, qrels = inverse_cloze.hold_out(passages, languages, settings.keep_untranslated, counts.noted)
    output.write("queries", queries)
    output.write("qrels", qrels)
    return passages


def answer(
    spool: Spool, twins: np.ndarray, settings: Corpus, languages: list[str], output: Output, counts: intake.IntakeCounts
) -> None:
    """Write the source's queries and qrels: what is judged of a passage left out holds of the one it repeats."""
    queries, qrels = judged(settings, Wanted(languages, settings.codes), counts.noted)
    if not settings.keep_untranslated:
        queries, left = untranslated.without(queries, "query", languages, f"{settings.path}, queries", "corpus")
        counts.noted["queries left out as untranslated"] += sum(left.values())
        qrels = qrels.join(queries, on="query", how="semi", maintain_order="left")
    rows = spool.find(qrels["passage"])
    stands = pl.Series(np.where(twins[rows["row"]] < 0, rows["row"], twins[rows["row"]]), dtype=pl.UInt32)
    names = spool.take(stands.unique().sort().to_numpy(), "id").rename({"id": "stands"})
    rows = rows.with_columns(row=stands).join(names, on="row")
    asked = queries.select("query").unique()
    kept = qrels.join(rows, left_on="passage", right_on="id")
    counts.noted[NO_PASSAGE] += qrels.height - kept.height
    if kept.is_empty():
        told = ", ".join(f"{counts.noted[reason]:,} {reason}" for reason in (NO_QUERY, NO_PASSAGE))
        raise UserError(
            f"{settings.path} judges no passage that is there for a query that is there ({told}): do qrels and texts "
            "name them alike, and do corpus.chars and corpus.limit leave the passages?"
        )
    counts.noted["queries that nothing there answers"] += asked.join(kept, on="query", how="anti").height
    qrels = kept
    counts.noted["whose qrels went to the one they repeat"] += rows.filter(pl.col("id") != pl.col("stands")).height
    qrels = qrels.group_by("query", passage="stands").agg(pl.col("relevance").max()).sort("query", "passage")
    output.write("queries", queries.join(qrels, on="query", how="semi").sort("query", "lang"))
    output.write("qrels", qrels)


def tell(report: dict[str, Any]) -> None:
    read = ", ".join(f"{part} {rows:,}" for part, rows in report["read"].items())
    log.info(f"rows read: {read or 'none'}")
    for part, spelt in report.get("spelt", {}).items():
        log.info(codes.said(part, spelt))
    for kind in ("left_out", "noted"):
        for reason, count in report[kind].items():
            log.info(f"{kind.replace('_', ' ')}: {count:,} {reason}")
    for lang, splits in report["passages"].items():
        sizes = ", ".join(f"{name} {size:,}" for name, size in splits.items())
        spread = ", ".join(f"{name} {size:,}" for name, size in report["characters"][lang].items())
        again = ", ".join(f"{kind} {count:,}" for kind, count in report["duplicates"].get(lang, {}).items())
        repeated = f"; duplicates: {again}" if again else ""
        log.info(f"{lang}: {sum(splits.values()):,} passages ({sizes}); characters: {spread}{repeated}")
    for lang, texts in report["texts"].items():
        told = ", ".join(f"{what} {count:,}" for what, count in sorted(texts.items(), key=lambda own: own[0] != READ))
        log.info(f"{lang}: texts: {told}")
    if report["queries"]:
        log.info(f"queries: {', '.join(f'{lang} {count:,}' for lang, count in report['queries'].items())}")
    if "labels" in report:
        counts = {name: count for name, count in report["labels"].items() if isinstance(count, int)}
        log.info("labels: " + ", ".join(f"{name} {count:,}" for name, count in counts.items()))


if __name__ == "__main__":
    errors.run(main)
