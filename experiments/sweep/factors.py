"""What varies in a study, and at which points of its space runs are made.

A factor is one dotted key of a scenario, or several keys that move together. A design chooses points: every combination
of levels (grid), points that the file lists, a Latin hypercube (McKay, Beckman and Conover 1979) or a scrambled Sobol
sequence (Sobol 1967, scrambled by Owen 1998) over the ranges, both from :mod:`scipy.stats.qmc`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sim.errors import Problem
from sim.problems import one_of

SCENARIO = "scenario"
SAMPLED = ("latin_hypercube", "sobol")
LARGEST = 1_000_000
_DIGITS = 12  # of generated values: a level of 0.01 is not written as 0.010000000000000002


class Table(BaseModel):
    """A table of a study file: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FactorSection(Table):
    """A ``[[factors]]`` table."""

    key: str | None = Field(None, description="dotted key of the scenario, or `scenario` itself")
    keys: tuple[str, ...] = Field((), description="several keys that move together, in place of `key`")
    name: str | None = Field(None, description="what tables and figures call the factor; the key if left out")
    values: tuple[Any, ...] = Field((), description="levels; with `keys`, one value for all keys or a list of one each")
    labels: tuple[str, ...] = Field((), description="what tables and figures call the levels")
    low: float | None = Field(None, description="least value, in place of `values`")
    high: float | None = Field(None, description="largest value")
    levels: int | None = Field(None, ge=2, description="of a grid, from low to high with both")
    scale: Literal["linear", "log"] = Field("linear", description="how levels lie between low and high")
    integer: bool = Field(False, description="round to whole numbers")

    @model_validator(mode="after")
    def _consistent(self) -> FactorSection:
        for complaint in self._complaints():
            raise ValueError(complaint)
        return self

    def _complaints(self) -> list[str]:
        found = []
        if (self.key is None) == (not self.keys):
            found.append("a factor has either key or keys")
        if bool(self.values) == (self.low is not None or self.high is not None):
            found.append("a factor has either values, or low and high")
        elif not self.values:
            if self.low is None or self.high is None or not self.low < self.high:
                found.append("low below high, both given")
            elif not (math.isfinite(self.low) and math.isfinite(self.high)):
                found.append("finite low and high")
            elif self.scale == "log" and self.low <= 0:
                found.append("low above 0 where scale is log")
        if self.labels and len(self.labels) != len(self.values):
            found.append("as many labels as values")
        if self.values and self.levels is not None:
            found.append("levels only with low and high")
        for value in self.values if self.keys else ():
            if isinstance(value, list | tuple) and len(value) != len(self.keys):
                found.append(f"a value for each of the {len(self.keys)} keys")
        return found

    @property
    def title(self) -> str:
        """Name of the factor."""
        return self.name or self.key or " + ".join(self.keys)

    @property
    def targets(self) -> tuple[str, ...]:
        """The keys that it sets."""
        return self.keys or (str(self.key),)

    @property
    def is_numeric(self) -> bool:
        """Whether every level is a number, so that a response has a slope."""
        return self.low is not None or all(_is_number(value) for value in self.values)

    def grid(self) -> tuple[Any, ...]:
        """Levels of a grid.

        Raises:
            ValueError: the factor has a range and no number of levels.
        """
        if self.values:
            return self.values
        if self.levels is None:
            raise ValueError("levels (a grid needs their number)")
        return tuple(dict.fromkeys(self.at(index / (self.levels - 1)) for index in range(self.levels)))

    def at(self, share: float) -> Any:
        """The value at a share of the range: a level of ``values`` (equal parts of the range each), or a number."""
        if self.values:
            return self.values[min(int(share * len(self.values)), len(self.values) - 1)]
        assert self.low is not None
        assert self.high is not None
        if self.integer and share < 1.0 and self.levels is None:
            first, last = math.ceil(self.low), math.floor(self.high)
            if self.scale == "linear":
                return min(first + int(share * (last - first + 1)), last)
        if self.scale == "log":
            value = math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
        else:
            value = self.low + share * (self.high - self.low)
        value = min(max(float(f"{value:.{_DIGITS}g}"), self.low), self.high)
        return round(value) if self.integer else value

    def settings(self, value: Any) -> dict[str, Any]:
        """What a value means, key by key."""
        if self.keys and isinstance(value, list | tuple):
            return dict(zip(self.keys, value, strict=True))
        return dict.fromkeys(self.targets, value)

    def label(self, value: Any) -> str:
        """What tables and figures call a value."""
        if self.labels and value in self.values:
            return self.labels[self.values.index(value)]
        if isinstance(value, list | tuple):
            return "/".join(self.label(part) if not isinstance(part, list | tuple) else str(part) for part in value)
        return f"{value:.4g}" if isinstance(value, float) else str(value)


class DesignSection(Table):
    """The ``[design]`` table."""

    kind: Literal["grid", "list", "latin_hypercube", "sobol"] = Field("grid", description="how points are chosen")
    points: int | None = Field(None, ge=1, le=LARGEST, description="of a Latin hypercube or Sobol sequence")
    seed: int = Field(0, ge=0, description="of a Latin hypercube or of the scrambling of a Sobol sequence")


def expand(
    factors: Sequence[FactorSection], design: DesignSection, listed: Sequence[Mapping[str, Any]], file: str
) -> tuple[list[dict[str, Any]], list[Problem]]:
    """The points of a design.

    Args:
        factors: what varies.
        design: how points are chosen.
        listed: the ``[[points]]``, flat: factor's name or key -> value.
        file: what messages call the study.

    Returns:
        One table of factor's name -> value per point, and what is wrong.
    """
    problems = _fitting(factors, design, listed, file)
    if problems:
        return [], problems
    names = [factor.title for factor in factors]
    if design.kind == "list":
        return _listed(factors, listed, file)
    if design.kind == "grid":
        size = math.prod(len(factor.grid()) for factor in factors)
        if size > LARGEST:
            return [], [Problem(file, "design", f"{size} points", f"at most {LARGEST} points")]
        combinations = itertools.product(*(factor.grid() for factor in factors))
        return [dict(zip(names, chosen, strict=True)) for chosen in combinations], []
    assert design.points is not None
    rows = _sample(design.kind, len(factors), design.points, design.seed)
    found = [
        dict(zip(names, (f.at(share) for f, share in zip(factors, row, strict=True)), strict=True)) for row in rows
    ]
    return found, []


def _fitting(
    factors: Sequence[FactorSection], design: DesignSection, listed: Sequence[Mapping[str, Any]], file: str
) -> list[Problem]:
    """What does not fit together in factors and design."""
    problems = []
    for what, entries in (
        ("name", [f.title for f in factors]),
        ("key", [target for f in factors for target in f.targets]),
    ):
        for word in dict.fromkeys(entries):
            if entries.count(word) > 1:
                problems.append(Problem(file, f"factors.{word}.{what}", word, f"a {what} that no other factor has"))
    sampled = design.kind in SAMPLED
    if sampled and not factors:
        problems.append(Problem(file, "factors", None, f"at least one [[factors]] table for a {design.kind}"))
    if sampled and design.points is None:
        problems.append(Problem(file, "design.points", None, f"the number of points of a {design.kind}"))
    if not sampled and design.points is not None:
        allowed = "nothing: a grid has as many points as combinations, a list as [[points]] tables"
        problems.append(Problem(file, "design.points", design.points, allowed))
    if design.kind == "sobol" and design.points is not None and design.points & (design.points - 1):
        below = 1 << (design.points.bit_length() - 1)
        allowed = f"a power of 2, such as {below} or {2 * below}: other numbers lose the balance of the sequence"
        problems.append(Problem(file, "design.points", design.points, allowed))
    if design.kind == "list" and not listed:
        problems.append(Problem(file, "points", None, "at least one [[points]] table"))
    if design.kind != "list" and listed:
        problems.append(Problem(file, "design.kind", design.kind, "list, where there are [[points]]"))
    if design.kind == "grid":
        for factor in factors:
            if not factor.values and factor.levels is None:
                allowed = "the number of levels of a grid, at least 2"
                problems.append(Problem(file, f"factors.{factor.title}.levels", None, allowed))
    return problems


def _listed(
    factors: Sequence[FactorSection], listed: Sequence[Mapping[str, Any]], file: str
) -> tuple[list[dict[str, Any]], list[Problem]]:
    """Listed points under the names of the factors; every point gives every factor."""
    by_word = {f.title: f.title for f in factors} | {f.key: f.title for f in factors if f.key is not None}
    problems: list[Problem] = []
    points = []
    for index, entry in enumerate(listed):
        found: dict[str, Any] = {}
        for word, value in entry.items():
            if word in by_word:
                found[by_word[word]] = value
            else:
                allowed = f"a factor: {one_of(word, by_word)}"
                problems.append(Problem(file, f"points.{index}.{word}", value, allowed))
        for name in (f.title for f in factors if f.title not in found):
            problems.append(Problem(file, f"points.{index}.{name}", None, "a value: every point gives every factor"))
        points.append({f.title: found.get(f.title) for f in factors})
    return points, problems


def implied(listed: Sequence[Mapping[str, Any]]) -> list[FactorSection]:
    """Factors of a list of points that declares none: every key that some point gives, in the order of appearance."""
    keys = list(dict.fromkeys(key for entry in listed for key in entry))
    return [FactorSection(key=key, values=tuple(_distinct(e[key] for e in listed if key in e))) for key in keys]


def _distinct(values: Any) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def _sample(kind: str, dimensions: int, points: int, seed: int) -> Any:
    """Points in the unit cube, shape (points, dimensions)."""
    from scipy.stats import qmc

    if kind == "sobol":
        return qmc.Sobol(dimensions, scramble=True, rng=seed).random_base2(points.bit_length() - 1)
    return qmc.LatinHypercube(dimensions, rng=seed).random(points)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
