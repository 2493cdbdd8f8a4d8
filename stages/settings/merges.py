"""`merges`: models computed from the weights of others."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import Field, model_validator

from stages.settings.reading import value
from stages.settings.types import Group, Name

ANY = (-float("inf"), float("inf"))
SHARE = (0.0, 1.0)


class Method(NamedTuple):
    """What mergekit's method takes. `base`: what the parts' task vectors are taken from, or the end of the path
    between two: the study's base, the first part, or nothing; `optional`: the study's base where `task_vectors`
    says so. `parameters`: the bounds of each, whole numbers of what is one, or None of what is true or false."""

    weighted: bool
    base: Literal["none", "optional", "study", "first"]
    parameters: dict[str, tuple[float, float] | None]
    exactly: int | None = None  # parts


_TASK_VECTORS: dict[str, tuple[float, float] | None] = {
    "density": SHARE,
    "lambda": ANY,
    "normalize": None,
    "rescale": None,
}
METHODS: dict[str, Method] = {
    "linear": Method(True, "none", {"normalize": None}),
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


class Merge(Group):
    method: MergingMethod
    weights: Annotated[dict[Name, float], Field(min_length=2)] | None = None
    models: Annotated[list[Name], Field(min_length=2)] | None = None
    parameters: dict[str, bool | int | float] = Field(default_factory=dict)
    task_vectors: bool = False

    @property
    def parts(self) -> list[str]:
        """The models whose weights it takes."""
        return list(self.weights or self.models or ())

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
        if getattr(self, wanted) is None or getattr(self, other) is not None:
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
