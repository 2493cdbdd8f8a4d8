"""What passages and queries are about: the domains of the study, each of which has strata of the source.

A query is of the domains of the passages that answer it. What is of no domain is of none, and counted by who asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import polars as pl

from stages.schemas.texts import CORPUS_FOLDER, PASSAGES, SYNTHETIC_FOLDER
from stages.shared import tables
from stages.shared.collection import Collection
from stages.shared.errors import UserError


def of_passages(domains: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    """Columns passage and domain, a row for each passage that is of one; raises `UserError` for a pattern that no
    stratum fits, and for a stratum in two domains."""
    folders = (CORPUS_FOLDER, SYNTHETIC_FOLDER)
    read = [tables.read(folder / "passages.parquet", PASSAGES).select("passage", "stratum") for folder in folders]
    found = pl.concat(read).unique().sort("passage")
    strata = found["stratum"].unique().sort().to_list()
    of: dict[str, str] = {}
    for domain, patterns in domains.items():
        for pattern in patterns:
            fitting = [stratum for stratum in strata if stratum and fnmatchcase(stratum, pattern)]
            if not fitting:
                known = ", ".join(filter(None, strata[:20])) or "none: name a column as corpus.columns.stratum"
                raise UserError(f"domains.{domain} has {pattern!r}, which fits no stratum of the source ({known})")
            for stratum in fitting:
                if of.setdefault(stratum, domain) != domain:
                    raise UserError(
                        f"the stratum {stratum!r} is of domains.{of[stratum]} and of domains.{domain}: let one have it"
                    )
    named = pl.DataFrame(list(of.items()), {"stratum": pl.String, "domain": pl.String}, orient="row")
    return found.join(named, on="stratum").select("passage", "domain").sort("passage")


def of_queries(domains: Mapping[str, Sequence[str]], stored: Collection) -> pl.DataFrame:
    """Columns query and domain, a row for each domain that a query is of; sorted."""
    groups = stored.groups().join(of_passages(domains), on="passage").select("group", "domain").unique()
    return stored.qrels.join(groups, on="group").select("query", "domain").unique().sort("query", "domain")
