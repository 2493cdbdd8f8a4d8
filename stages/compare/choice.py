"""Which models are best: the choice on one benchmark by a stated rule, how sure it is, and the front of those that none
beats.

The rule (`compare.choose`): of the models that hold every constraint, the one with the greatest objective, or the
cheapest of those that are tied with it. The objective is the weighted mean of Mono, Cross and Multi, less so much for
each rank of language bias; what a benchmark does not have is left out. Cheaper is what fewer recipes are trained for:
the base, then a recipe, then a merge of two. All have the base's size, so that the number of parameters tells nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from stages.compare import significance
from stages.schemas.summary import Choice, Lead
from stages.settings.compare import Compare, ObjectiveWeights
from stages.settings.merges import Merge
from stages.shared.errors import UserError
from stages.shared.models import BASE_NAME
from stages.shared.rounding import rounded
from stages.shared.tasks import BIAS, GROUPS

# By what compare.choose calls them.
CHOSEN_BY = {**{group: group for group in GROUPS}, "bias": BIAS}


class Selecting(NamedTuple):
    """The benchmark on which models are chosen.

    Attributes:
        means: columns model, mono, cross, multi and language_bias.
        asked: its values by group, model and query.
        shares: what each group's mean counts in the objective, of bias below 0.
    """

    benchmark: str
    means: pl.DataFrame
    asked: pl.DataFrame
    shares: dict[str, float]

    def ranked(self, names: Sequence[str]) -> dict[str, float]:
        """The objective of each of `names`, the best first; equals as they come."""
        rows = self.means.filter(pl.col("model").is_in(names))
        worth = pl.sum_horizontal(share * pl.col(group) for group, share in self.shares.items())
        rows = rows.with_columns(worth=worth).sort("worth", descending=True, maintain_order=True)
        return dict(rows.select("model", "worth").iter_rows())

    def gaps(self, model: str, other: str) -> np.ndarray:
        """What each query adds to the lead of `model` over `other`, shape [queries]; the lead is their mean.

        A query that a group of tasks does not ask adds nothing there, and the others so much more.
        """
        own = self.asked.filter(pl.col("group").is_in(self.shares), pl.col("model").is_in([model, other]))
        signed = own.with_columns(pl.col("value") * pl.when(model=model).then(1).otherwise(-1))
        by_group = signed.group_by("group", "query", maintain_order=True).agg(pl.col("value").sum())
        scale = pl.col("query").n_unique() / pl.len().over("group")
        share = pl.col("group").replace_strict(self.shares, return_dtype=pl.Float64)
        weighted = by_group.with_columns(pl.col("value") * share * scale)
        return weighted.group_by("query", maintain_order=True).agg(pl.col("value").sum())["value"].to_numpy()


def selecting(means: pl.DataFrame, asked: pl.DataFrame, settings: Compare) -> Selecting:
    """The benchmark `compare.select_on`; raises `UserError` if nothing that it has is weighted."""
    own = means.filter(benchmark=settings.select_on)
    present = [group for group in (*GROUPS, BIAS) if own[group].is_not_null().any()]
    return Selecting(settings.select_on, own, asked, _shares(settings.choose.weights, present, settings.select_on))


def _shares(weights: ObjectiveWeights, present: Sequence[str], benchmark: str) -> dict[str, float]:
    given = {group: getattr(weights, group) for group in GROUPS if group in present}
    total = sum(given.values())
    if not total:
        raise UserError(
            f"{benchmark} has {' and '.join(given)} tasks alone, to which compare.choose.weights gives no weight: give "
            "one, or choose on another benchmark with compare.select_on"
        )
    bias = {BIAS: -weights.bias} if BIAS in present else {}
    return {group: share for group, share in ({g: w / total for g, w in given.items()} | bias).items() if share}


def choose(
    on: Selecting, names: Sequence[str], merges: Mapping[str, Merge], settings: Compare, seed: int
) -> tuple[str, Choice]:
    """The chosen of `names`, and how it came about; raises `UserError` if no model holds every constraint."""
    dropped = _dropped(on, names, settings, seed)
    left = [name for name in names if not any(name in own for own in dropped.values())]
    if not left:
        told = "; ".join(f"{group} drops {', '.join(own)}" for group, own in dropped.items() if own)
        raise UserError(f"no model holds all of compare.choose.constraints on {on.benchmark} ({told}): loosen one")
    worth = on.ranked(left)
    best = next(iter(worth))
    tied = [name for name in worth if name != best and _tied(on, best, name, settings)]
    # Sorting keeps the order of equals: of equally cheap ones the best.
    chosen = min([best, *tied], key=lambda name: len(trained(name, merges)))
    objective = {name: rounded(value) for name, value in on.ranked(names).items()}
    return chosen, {"best": best, "tied": tied, "dropped": dropped, "objective": objective}


def _dropped(on: Selecting, names: Sequence[str], settings: Compare, seed: int) -> dict[str, list[str]]:
    """The models that each constraint drops, by its key."""
    dropped: dict[str, list[str]] = {}
    for key, constraint in settings.choose.constraints.items():
        group = CHOSEN_BY[key]
        better = -1 if group == BIAS else 1
        compared = [(name, constraint.of) for name in names if name != constraint.of]
        table = significance.pairs(on.asked.filter(group=group), on.benchmark, compared, settings, seed)
        dropped[key] = [
            row["model"]
            for row in table.iter_rows(named=True)
            if (
                max(better * row["low"], better * row["high"]) < 0
                if constraint.within == "interval"
                else better * rounded(row["difference"], group) < -constraint.within
            )
        ]
    return dropped


def _tied(on: Selecting, best: str, other: str, settings: Compare) -> bool:
    gaps = on.gaps(best, other)
    if settings.choose.ties == "none" or len(gaps) < 2:
        return False
    if settings.choose.ties == "significance":
        return significance.p_mean(gaps) >= 1 - settings.confidence
    return float(gaps.mean()) <= _standard_error(gaps)


def _standard_error(gaps: np.ndarray) -> float:
    return float(np.std(gaps, ddof=1)) / math.sqrt(len(gaps))


def trained(name: str, merges: Mapping[str, Merge]) -> set[str]:
    """The recipes that are trained for a model; the base takes none."""
    if name in merges:
        return set().union(*(trained(part, merges) for part in merges[name].parts))
    return set() if name == BASE_NAME else {name}


def lead(on: Selecting, name: str, names: Sequence[str]) -> Lead | None:
    """By how much `name` is ahead of the best other of `names` in the objective, and the standard error of that over
    queries; None without another.

    A model that was chosen for being cheaper may be behind. The error does not know that the two were picked as the
    first of many, so the lead is rather less sure than it says.
    """
    worth = on.ranked(names)
    other = next((other for other in worth if other != name), None)
    if other is None:
        return None
    gaps = on.gaps(name, other)
    error = rounded(_standard_error(gaps)) if len(gaps) > 1 else None
    return {"over": other, "lead": rounded(worth[name] - worth[other]), "standard_error": error}


def pareto(means: pl.DataFrame) -> set[str]:
    """The models that no other beats in mono, cross, multi or language bias without losing in another of them (one
    benchmark's rows; what a benchmark does not have is equal)."""
    columns = [pl.col(group).fill_null(0.0) for group in GROUPS] + [-pl.col(BIAS).fill_null(0.0)]
    points = dict(zip(means["model"], means.select(columns).rows(), strict=True))
    return {
        name
        for name, own in points.items()
        if not any(other != own and all(o >= p for o, p in zip(other, own, strict=True)) for other in points.values())
    }
