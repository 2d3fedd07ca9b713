"""Where runs are made: SALib's samples of the unit cube, as values of a scenario's keys.

Every design holds one more parameter than the user named, the *placebo*, which no key of the scenario hears of. Points
that differ in it alone are the same point and are run once, so it costs nothing; on common seeds its effect must come
out as exactly zero.

References:
    Morris, M. D. (1991). Factorial sampling plans for preliminary computational experiments. Technometrics 33(2),
        161-174.
    Campolongo, F., Cariboni, J. and Saltelli, A. (2007). An effective screening design for sensitivity analysis of
        large models. Environ. Model. Softw. 22(10), 1509-1518 (mu*).
    Saltelli, A. et al. (2010). Variance based sensitivity analysis of model output. Design and estimator for the total
        sensitivity index. Comput. Phys. Commun. 181(2), 259-270.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from experiments.sweep.factors import FactorSection
from sim.errors import ConfigError, Problem

MORRIS, SOBOL = "morris", "sobol"
METHODS = (MORRIS, SOBOL)
PLACEBO = "placebo"
LEVELS = 4
"""Levels of Morris's grid, with steps of two thirds of a range, as he proposes."""
LARGEST = 1_000_000
_SCALES: dict[str, dict[str, Any]] = {"": {}, "log": {"scale": "log"}, "integer": {"integer": True}}


def parse_range(text: str) -> FactorSection:
    """The range of a key: ``KEY=LOW:HIGH``, with ``:log`` or ``:integer`` or both behind it.

    Raises:
        ConfigError: another text, or a range that is empty.

    Examples:
        >>> found = parse_range("events.sale.lots=100:1000:log")
        >>> found.key, found.low, found.high, found.scale
        ('events.sale.lots', 100.0, 1000.0, 'log')
    """
    allowed = "KEY=LOW:HIGH, KEY=LOW:HIGH:log or KEY=LOW:HIGH:integer, LOW below HIGH (above 0 for log)"
    key, _, rest = text.partition("=")
    low, *more = (part.strip() for part in rest.split(":"))
    try:
        if not key.strip() or not more or len(more) > 3:
            raise ValueError
        options: dict[str, Any] = {}
        for word in more[1:]:
            options |= _SCALES[word]
        return FactorSection(key=key.strip(), low=float(low), high=float(more[0]), **options)
    except (ValueError, KeyError):  # pydantic's own error is a ValueError
        raise ConfigError.of("--key", text, allowed) from None


def parse_ranges(texts: Sequence[str]) -> tuple[FactorSection, ...]:
    """The ranges of several keys, all problems at once.

    Raises:
        ConfigError: with every problem.
    """
    problems: list[Problem] = []
    found: list[FactorSection] = []
    for text in texts:
        try:
            one = parse_range(text)
        except ConfigError as error:
            problems += error.problems
            continue
        if any(one.key == other.key for other in found):
            problems.append(Problem("", "--key", text, "each key once"))
        found.append(one)
    if not texts:
        problems.append(Problem("", "--key", None, "at least one KEY=LOW:HIGH"))
    if problems:
        raise ConfigError(problems)
    return tuple(found)


@dataclass(frozen=True)
class Design:
    """A sample of the space of some keys.

    Attributes:
        method: ``morris`` or ``sobol``.
        ranges: what varies.
        samples: trajectories of Morris, base points of Sobol (a power of 2).
        second: estimate the indices of pairs as well (Sobol), with nearly twice as many points.
        seed: of the sample.
    """

    method: Literal["morris", "sobol"]
    ranges: tuple[FactorSection, ...]
    samples: int
    second: bool = False
    seed: int = 0

    def validate(self) -> None:
        """Check the sizes.

        Raises:
            ConfigError: with every problem.
        """
        problems = []
        if self.samples < 4:
            problems.append(Problem("", "--samples", self.samples, "4 or more: intervals need several"))
        elif self.method == SOBOL and self.samples & (self.samples - 1):
            below = 1 << (self.samples.bit_length() - 1)
            allowed = f"a power of 2, such as {below} or {2 * below}: other numbers lose the balance of the sequence"
            problems.append(Problem("", "--samples", self.samples, allowed))
        if self.samples * self.block > LARGEST:
            problems.append(Problem("", "--samples", self.samples, f"at most {LARGEST // self.block}"))
        if self.second and self.method == MORRIS:
            problems.append(Problem("", "--second-order", True, "with --method sobol"))
        if self.second and len(self.ranges) < 2:
            problems.append(Problem("", "--second-order", True, "with two keys or more"))
        if problems:
            raise ConfigError(problems)

    @property
    def names(self) -> tuple[str, ...]:
        """Keys, the placebo last."""
        return (*(one.title for one in self.ranges), PLACEBO)

    @property
    def block(self) -> int:
        """Rows of the sample that belong together: a trajectory, or the points of one base point."""
        k = len(self.ranges) + 1
        return k + 1 if self.method == MORRIS else (2 * k + 2 if self.second else k + 2)

    @property
    def problem(self) -> dict[str, Any]:
        """The problem as SALib states it: every parameter on the unit interval."""
        k = len(self.names)
        return {"num_vars": k, "names": list(self.names), "bounds": [[0.0, 1.0]] * k}

    @cached_property
    def unit(self) -> NDArray[np.float64]:
        """The sample in the unit cube, shape (samples x block, keys + 1)."""
        if self.method == MORRIS:
            from SALib.sample import morris

            found = morris.sample(self.problem, self.samples, num_levels=LEVELS, seed=self.seed)
        else:
            from SALib.sample import sobol

            found = sobol.sample(self.problem, self.samples, calc_second_order=self.second, seed=self.seed)
        return np.asarray(found, dtype=np.float64)

    @cached_property
    def _distinct(self) -> tuple[list[dict[str, Any]], NDArray[np.int64]]:
        """The distinct points, and which of them each row of the sample is."""
        points: list[dict[str, Any]] = []
        places: dict[tuple[Any, ...], int] = {}
        rows = np.empty(len(self.unit), dtype=np.int64)
        for i, row in enumerate(self.unit):
            chosen = tuple(one.at(float(share)) for one, share in zip(self.ranges, row, strict=False))
            if chosen not in places:
                places[chosen] = len(points)
                points.append({one.title: value for one, value in zip(self.ranges, chosen, strict=True)})
            rows[i] = places[chosen]
        return points, rows

    @property
    def points(self) -> list[dict[str, Any]]:
        """What is run: one table of key -> value for each distinct point."""
        return self._distinct[0]

    def spread(self, by_point: NDArray[np.float64]) -> NDArray[np.float64]:
        """Outputs of distinct points, first axis, as outputs of the rows of the sample."""
        return by_point[self._distinct[1]]

    def stated(self) -> Mapping[str, Any]:
        """The design as plain data."""
        return {
            "method": self.method, "samples": self.samples, "second": self.second, "seed": self.seed,
            "ranges": {
                one.title: {"low": one.low, "high": one.high, "scale": one.scale, "integer": one.integer}
                for one in self.ranges
            },
        }  # fmt: skip
