"""`merges`: models computed from the weights of others."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Field, model_validator

from stages.settings.reading import value
from stages.settings.types import Count, Group, Name, Positive

ANY = (-float("inf"), float("inf"))
SHARE = (0.0, 1.0)


class Method(NamedTuple):
    """What a method takes, most of which are mergekit's. `base`: what the parts' task vectors are taken from, or the
    end of the path between two: the study's base, the first part, or nothing; `optional`: the study's base where
    `task_vectors` says so. `parameters`: the bounds of each, whole numbers of what is one, or None of what is true or
    false."""

    weighted: bool
    base: Literal["none", "optional", "study", "first"]
    parameters: dict[str, tuple[float, float] | None]
    exactly: int | None = None  # parts
    learns: bool = False  # from the rows that each part was trained on


_TASK_VECTORS: dict[str, tuple[float, float] | None] = {
    "density": SHARE,
    "lambda": ANY,
    "normalize": None,
    "rescale": None,
}
METHODS: dict[str, Method] = {
    "linear": Method(True, "none", {"normalize": None}),
    "fisher": Method(True, "none", {"batches": (1, 10_000), "floor": SHARE}, learns=True),
    "regmean": Method(False, "none", {"batches": (1, 10_000), "alpha": SHARE}, learns=True),
    "slerp": Method(False, "first", {"t": ANY}, exactly=2),
    "nuslerp": Method(True, "optional", {"nuslerp_row_wise": None, "nuslerp_flatten": None}, exactly=2),
    "multislerp": Method(True, "optional", {"normalize_weights": None, "eps": SHARE}),
    "karcher": Method(False, "none", {"max_iter": (1, 10_000), "tol": SHARE}),
    "task_arithmetic": Method(True, "study", _TASK_VECTORS),
    "ties": Method(True, "study", _TASK_VECTORS),
    "dare_linear": Method(True, "study", _TASK_VECTORS),
    "dare_ties": Method(True, "study", _TASK_VECTORS),
    "della": Method(True, "study", {**_TASK_VECTORS, "epsilon": SHARE}),
    "della_linear": Method(True, "study", {**_TASK_VECTORS, "epsilon": SHARE}),
    "breadcrumbs": Method(True, "study", {**_TASK_VECTORS, "gamma": SHARE}),
    "breadcrumbs_ties": Method(True, "study", {**_TASK_VECTORS, "gamma": SHARE}),
    "sce": Method(False, "study", {"select_topk": SHARE}),
    "model_stock": Method(False, "study", {"filter_wise": None}),
}
MergingMethod = Literal[
    "linear",
    "fisher",
    "regmean",
    "slerp",
    "nuslerp",
    "multislerp",
    "karcher",
    "task_arithmetic",
    "ties",
    "dare_linear",
    "dare_ties",
    "della",
    "della_linear",
    "breadcrumbs",
    "breadcrumbs_ties",
    "sce",
    "model_stock",
]


# What the parameters of methods that are not mergekit's are, unless said otherwise.
OWN_PARAMETERS: dict[str, dict[str, bool | int | float]] = {
    "fisher": {"batches": 8, "floor": 1e-6},
    "regmean": {"batches": 8, "alpha": 0.9},
}


def _by_depth(given: Any) -> Any:
    """`given`, if it is a number, a list of numbers or points [depth, weight] of rising depths between 0 and 1."""

    def number(value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool)

    def point(value: Any) -> bool:
        return isinstance(value, list) and len(value) == 2 and all(map(number, value))

    if number(given) or (isinstance(given, list) and given and all(number(value) for value in given)):
        return given
    if isinstance(given, list) and given and all(map(point, given)):
        depths = [depth for depth, _ in given]
        if depths == sorted(set(depths)) and depths[0] >= 0 and depths[-1] <= 1:
            return given
    raise ValueError(
        f"{given!r} is no weight (0.5), none for each layer ([0.1, 0.5, ...]), and no points [depth, weight] whose "
        "depths rise from 0, the first layer, to 1, the last ([[0, 0.2], [1, 0.8]])"
    )


# A model's weight in each layer: the same in all, one for each, or points between which it changes evenly.
ByDepth = Annotated[Any, AfterValidator(_by_depth)]


class Layers(Group):
    """The weights of one model where they are not that of `weights`."""

    embeddings: float | None = None
    attention: ByDepth = None
    feed_forward: ByDepth = None


class Objective(Group):
    """How much a point (x 100) of each task group is worth, and how much a rank of language bias costs."""

    mono: Annotated[float, Field(ge=0)] = 0.0
    cross: Annotated[float, Field(ge=0)] = 0.0
    multi: Annotated[float, Field(ge=0)] = 0.0
    bias: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _wanting(self) -> Objective:
        if not any(self.model_dump().values()):
            raise ValueError("an objective has a weight above 0: {mono: 1, cross: 1, multi: 1, bias: 0.1}")
        return self


class Search(Group):
    """Weights that are looked for on `compare.select_on`: all in steps of `grid`, or where CMA-ES goes."""

    models: Annotated[list[Name], Field(min_length=2)]
    objective: Objective
    budget: Count
    grid: Annotated[Positive, Field(le=1)] | None = None

    @model_validator(mode="after")
    def _affordable(self) -> Search:
        if self.grid is None:
            return self
        steps = round(1 / self.grid)
        if abs(steps * self.grid - 1) > 1e-9:
            raise ValueError(f"grid {self.grid:g} does not part 1 into whole steps: write 0.5, 0.25, 0.2, 0.1 or 0.05")
        if (points := math.comb(steps + len(self.models) - 1, steps)) > self.budget:
            raise ValueError(
                f"grid {self.grid:g} has {points:,} weightings of {len(self.models)} models, more than budget "
                f"{self.budget:,}: raise it, write a wider grid, or null"
            )
        return self


class Merge(Group):
    method: MergingMethod
    weights: Annotated[dict[Name, float], Field(min_length=2)] | None = None
    models: Annotated[list[Name], Field(min_length=2)] | None = None
    parameters: dict[str, bool | int | float] = Field(default_factory=dict)
    task_vectors: bool = False
    layers: dict[Name, Layers] = Field(default_factory=dict)
    search: Search | None = None

    @property
    def parts(self) -> list[str]:
        """The models whose weights it takes."""
        return list(self.weights or self.models or (self.search.models if self.search else ()))

    @property
    def takes(self) -> Method:
        return METHODS[self.method]

    @property
    def on_base(self) -> bool:
        """Whether the parts are taken as differences from the study's base."""
        return self.takes.base == "study" or self.task_vectors

    @model_validator(mode="after")
    def _parted(self) -> Merge:
        wanted, other = ("weights", "models") if self.takes.weighted else ("models", "weights")
        if self.search and (self.method != "linear" or self.weights or self.models or self.layers):
            raise ValueError("search finds the weights of linear, and names its models itself: remove the other keys")
        if not self.search and (getattr(self, wanted) is None or getattr(self, other) is not None):
            form = "{a: 0.5, b: 0.5}" if wanted == "weights" else "[a, b], for it takes no weights"
            raise ValueError(f"{self.method} takes its models as {wanted}: {form}")
        if len(set(self.parts)) < len(self.parts):
            raise ValueError("a model is named twice")
        if self.takes.exactly and len(self.parts) != self.takes.exactly:
            raise ValueError(f"{self.method} merges {self.takes.exactly} models, not {len(self.parts)}")
        return self

    @model_validator(mode="after")
    def _weighted(self) -> Merge:
        # Sums of task vectors are not scaled to 1 unless asked to, so those may add up to 0.
        if self.weights and not self.on_base and abs(sum(self.weights.values())) < 1e-9:
            raise ValueError("the weights add up to 0, so there is nothing to average")
        if self.weights and self.method == "fisher" and min(self.weights.values()) < 0:
            raise ValueError("fisher averages by importance, of which a weight below 0 leaves no average")
        return self

    @model_validator(mode="after")
    def _layered(self) -> Merge:
        if self.layers and self.method != "linear":
            raise ValueError(f"layers is for linear, not for {self.method}")
        if unknown := sorted(self.layers.keys() - set(self.parts)):
            raise ValueError(f"layers names {unknown[0]!r}, which weights does not")
        return self

    @model_validator(mode="after")
    def _based(self) -> Merge:
        if self.task_vectors and self.takes.base != "optional":
            raise ValueError(f"task_vectors is for nuslerp and multislerp: {self.method} does without the key")
        return self

    @model_validator(mode="after")
    def _of_method(self) -> Merge:
        known = self.takes.parameters
        for name, given in self.parameters.items():
            if name not in known:
                raise ValueError(f"{self.method} has no parameter {name!r}: it has {', '.join(sorted(known))}")
            bounds = known[name]
            if (bounds is None) != isinstance(given, bool):
                raise ValueError(f"{name} is {'true or false' if bounds is None else 'a number'}, not {given!r}")
            if bounds and isinstance(bounds[0], int) and not isinstance(given, int):
                raise ValueError(f"{name} is a whole number, not {given!r}")
            if bounds and not bounds[0] <= given <= bounds[1]:
                raise ValueError(f"{name} is {given:g}, but lies between {bounds[0]:g} and {bounds[1]:g}")
        return self


def read_merge(name: str) -> Merge:
    return value(f"merges.{name}", Merge)


def read_merges() -> dict[str, Merge]:
    return value("merges", dict[Name, Merge])
