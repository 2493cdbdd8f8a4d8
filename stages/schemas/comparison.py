"""The tables of `compare`, CSV files for people and for the report: one of each for a benchmark."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from stages.schemas.types import Schema

# Of language bias the mean, its bootstrap interval and the median, over queries.
BIAS_TABLE: Schema = {
    "model": pl.String,
    "language_bias": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "language_bias_median": pl.Float64,
}
TRADEOFF_TABLE: Schema = {
    "model": pl.String,
    "mono": pl.Float64,
    "cross": pl.Float64,
    "multi": pl.Float64,
    "language_bias": pl.Float64,
    "kind": pl.String,
    "query_negatives_match": pl.Boolean,
    "pareto": pl.Boolean,
}
TASKS_TABLE: Schema = {"model": pl.String, "task": pl.String, "value": pl.Float64}
# Of the queries about a domain, or of all (ALL_DOMAINS), means over queries.
DOMAINS_TABLE: Schema = {
    "domain": pl.String,
    "model": pl.String,
    "queries": pl.Int64,
    "mono": pl.Float64,
    "cross": pl.Float64,
    "multi": pl.Float64,
    "language_bias": pl.Float64,
}
ALL_DOMAINS = "*"
DOMAINS_FOLDER = Path("metrics/tables/domains")
# {model: {recipes: [those that it is made of], steps, examples: queries seen in training, each time anew, rows: those
# of the training sets}}
COSTS_FILE = Path("metrics/costs.json")
SIGNIFICANCE_TABLE: Schema = {
    "group": pl.String,
    "model": pl.String,
    "reference": pl.String,
    "queries": pl.Int64,
    "difference": pl.Float64,
    "median": pl.Float64,  # of the queries' differences
    "low": pl.Float64,
    "high": pl.Float64,
    "p_mean": pl.Float64,
    "p_random": pl.Float64,  # of the randomisation test
    "p_ranks": pl.Float64,  # of language bias alone
    "p": pl.Float64,
    "effect": pl.Float64,  # Cohen's d
    "needed": pl.Int64,  # queries, to find a difference of a point, or of a rank
    "p_corrected": pl.Float64,
    "significant": pl.Boolean,
}
# Planned contrasts (compare.contrasts): p is corrected over all rows of one contrast.
CONTRASTS_TABLE: Schema = {"contrast": pl.String, "domain": pl.String, **SIGNIFICANCE_TABLE}
