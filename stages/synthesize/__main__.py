"""synthesize: what a language model writes for the collection: passages, queries, translations, labelled queries.

python -m stages.synthesize [--dry-run | --record FILE | --forget-batches]

--dry-run prints the requests, tokens and dollars it would take, and sends nothing; --record also writes the replies
that the study uses to a file that `llm.recorded` can name.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

import polars as pl

from stages.settings.languages import read_languages
from stages.settings.llm import read_llm
from stages.settings.seed import read_seed
from stages.settings.split import read_split
from stages.settings.synthesize import Synthesize, read_synthesize
from stages.shared import errors, tables
from stages.shared.errors import UserError
from stages.shared.llm.cache import recorded_row
from stages.shared.llm.prompts import Prompts
from stages.shared.llm.session import Estimate, Session, WritingTask
from stages.shared.state import STATE
from stages.synthesize import filtering, jobs, known, output, taxonomy
from stages.synthesize.known import KnownTexts
from stages.synthesize.rejected import FAILURES

log = logging.getLogger("synthesize")
REPORT = Path("metrics/synthesis.json")
INSTEAD = "ask for none (synthesize.queries.per_passage: 0)"
# Where the table of failures is while the stage fails, and so has no outputs.
FAILURES_FILE = STATE / "synthesize-failures.csv"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.synthesize")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--dry-run", action="store_true", help="print requests, tokens and cost, and send nothing")
    choice.add_argument("--forget-batches", action="store_true", help="give up batches that are not collected")
    choice.add_argument("--record", type=Path, metavar="FILE", help="also write the replies to FILE, for llm.recorded")
    arguments = parser.parse_args()
    settings, llm = read_synthesize(), read_llm()
    languages, seed, shares = read_languages(), read_seed(), read_split()
    if arguments.forget_batches:
        with Session(llm, log.name, INSTEAD) as session:
            print("\n".join(f"gave up {batch}" for batch in session.cache.forget_batches()) or "no batch is open")
        return
    corpus = KnownTexts.read()
    with Session(llm, log.name, INSTEAD, arguments.dry_run) as session:
        writer = jobs.Writer(llm, Prompts(settings.varieties, jobs.PROMPTS_FOLDER), settings.translate_prompt, seed)
        written = write(session, writer, settings, corpus, languages)
        if arguments.dry_run:
            print(estimate(session))
            return
        allow(session, llm.max_failed)
        FAILURES_FILE.unlink(missing_ok=True)  # of a run before this one
        if arguments.record:
            record(session, arguments.record)
        kept, dropped, filtered = filtering.keep(written, settings, corpus, languages)
        output.save(kept, dropped, pl.DataFrame(session.failures, FAILURES, orient="row"), corpus, shares, seed)
        # Only where it happens: what it says is that the endpoint cannot be trusted with a key.
        masked = {"masked": len(session.masked)} if session.masked else {}
        if masked:
            log.warning(
                f"{len(session.masked):,} replies repeat the key that they were asked for with; it is masked in all "
                "that is kept: take another key, and ask whoever runs the endpoint why"
            )
        tables.write_json(
            {
                "requests": {
                    job: {"items": items, "failed": sum(failure.job == job for failure in session.failures)}
                    for job, items in session.items.items()
                },
                "filters": filtered,
                "tokens": {"prompt": session.meter.prompt_tokens, "completion": session.meter.completion_tokens},
                **masked,
            },
            REPORT,
        )
        left = {*corpus.passages["lang"], *kept.filter(kind="passage")["lang"]}
        # A knowledge base is in one language.
        if corpus.labelled.is_empty() and (lost := [lang for lang in languages if lang not in left]):
            raise UserError(
                f"no passage in {' or '.join(lost)} is left: data/synthetic/dropped.parquet lists what was written and "
                "why it is out, so mend the prompt, ask another model or loosen synthesize.filters"
            )
        log.info(
            f"{session.meter.sent:,} requests sent, {session.meter.cached:,} replies from {session.cache.path}"
            + (f", ${session.meter.cost:.4f} in all" if llm.prices else "")
        )


def write(
    session: Session, writer: jobs.Writer, settings: Synthesize, corpus: KnownTexts, languages: list[str]
) -> dict[str, list[jobs.WrittenRow]]:
    """Every job's rows, in the order in which one builds on the other."""
    written: dict[str, list[jobs.WrittenRow]] = {}

    def run(**tasks: list[WritingTask]) -> None:
        for job, made in session.run(tasks).items():
            written[job] = [row for rows in made for row in rows or []]

    def queries() -> list[WritingTask]:
        return jobs.queries(writer, settings.queries, known.passages(corpus, written), languages)

    topics = taxonomy.read(settings.topics.taxonomy) if settings.topics.per_topic else []
    labels = corpus.examples(settings.labelled.examples_language) if settings.labelled.per_label else []
    of_passages = {name: into for name, into in settings.translations.items() if into.of == "passages"}
    of_queries = {name: into for name, into in settings.translations.items() if into.of == "queries"}
    run(
        topics=jobs.triples(writer, settings.topics, topics, languages),
        labelled=jobs.labelled(writer, settings.labelled, labels),
        queries=[] if of_passages else queries(),
    )
    for name, into in of_passages.items():
        run(**{name: jobs.passage_translations(writer, into, known.passages(corpus, written))})
    if of_passages:
        run(queries=queries())
    for name, into in of_queries.items():
        run(**{name: jobs.query_translations(writer, into, known.queries(corpus, written))})
    return written


def allow(session: Session, most: float) -> None:
    """Raise `UserError` if more than the share `most` of the items failed."""
    failed, items = len(session.failures), sum(session.items.values())
    if failed > most * items:
        FAILURES_FILE.parent.mkdir(parents=True, exist_ok=True)
        pl.DataFrame(session.failures, FAILURES, orient="row").write_csv(FAILURES_FILE)
        first = session.failures[0]
        raise UserError(
            f"{failed:,} of {items:,} items failed, more than llm.max_failed allows ({most:g}); the first is "
            f"{first.job}, {first.task}: {first.reason}; all are in {FAILURES_FILE}, and replies are kept: "
            "mend the cause and run again, or raise llm.max_failed"
        )


def record(session: Session, file: Path) -> None:
    with tables.replacing(file) as draft, draft.open("w", encoding="utf-8") as lines:
        for key, task in session.used.items():
            reply = session.cache.get(key) or session.unanswered[key]
            lines.write(json.dumps(recorded_row(key, task, reply), ensure_ascii=False) + "\n")
    log.info(f"{len(session.used):,} replies written to {file}")


def estimate(session: Session) -> str:
    """The dry run's table."""
    head = ("", "requests", "cached", "to send", "tokens sent", "tokens back", "dollars")
    total = Estimate.sum(session.estimates)
    table = [
        head,
        *(
            (
                row.job,
                f"{row.requests:,}",
                f"{row.cached:,}",
                f"{row.requests - row.cached:,}",
                f"{row.prompt_tokens:,.0f}",
                f"{row.completion_tokens:,.0f}",
                f"{row.dollars:,.4f}" if session.llm.prices else "no prices",
            )
            for row in [*session.estimates, total]
        ),
    ]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        f"{row[0]:<{widths[0]}}" + "".join(f"  {c:>{w}}" for c, w in zip(row[1:], widths[1:], strict=True))
        for row in table
    ]
    limit = session.llm.max_cost_usd
    lines += ["", "Tokens and dollars of what is to be sent are estimates; nothing was sent."]
    if session.llm.prices:
        used = session.meter.cost
        lines.append(
            f"What is in the cache has cost ${used:.4f}; with the rest it would be ${used + total.dollars:.4f}."
        )
        if limit is not None:
            verdict = "not enough, by this estimate" if used + total.dollars > limit else "enough, by this estimate"
            lines.append(f"llm.max_cost_usd is ${limit:g}: {verdict}.")
    if session.llm.provider == "recorded" and total.cached < total.requests:
        lines.append("llm.provider is recorded: what is not in llm.recorded will be refused, not sent.")
    return "\n".join(lines)


if __name__ == "__main__":
    errors.run(main)
