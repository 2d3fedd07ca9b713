"""The critical R0: where half of all seeds lose a large share of their leveraged lots.

Seeds are paired over R0: one and the same market is given open interest of another size. So every seed has a
*threshold*, the R0 at which it turns from little liquidated to much, which a ladder and bisection find; and
P(much | R0) is the distribution function of the thresholds. The critical R0, P = 1/2, is their median, whose interval
needs no model: two order statistics cover the median of any distribution with a binomial probability (David and
Nagaraja 2003, Order Statistics, section 7.1). The *steepest* point of P over ln R0 is their mode.

A second estimate comes from the runs of the grid: a logistic curve in ln R0, its interval from resampled seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from experiments.statistics import CONFIDENCE, GENERATOR_SEED, mean_interval
from experiments.studies.crossover_fits import crossover, interval, logistic_fit

LARGE = 0.30
"""Share of leveraged lots whose liquidation counts as a cascade."""
LARGEST_RATIO = 1.02
"""Bisection ends when the ends of the bracket differ by this factor."""
RUNG = 1.5
"""Rungs of the ladder on which the first crossing is looked for differ by at most this factor."""
RESAMPLES = 400
DEFINITION = f"P(more than {LARGE:.0%} of leveraged lots liquidated, from the seeding to the end of the window) = 1/2"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Threshold:
    """Where one seed turns.

    Attributes:
        value: R0 aimed at, the geometric middle of the last bracket; NaN where the bracket does not hold it.
        measured: R0 measured as open interest is seeded, at the upper end of the last bracket; NaN as above.
        side: ``"inside"``, ``"below"`` (much is liquidated on the first rung) or ``"above"`` (on none).
        runs: evaluations made.
    """

    value: float
    measured: float
    side: str
    runs: int

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def bisect(
    evaluate: Callable[[float], tuple[bool, float]], low: float, high: float, ratio: float = LARGEST_RATIO
) -> Threshold:
    """Find the R0 at which one seed turns: up a ladder to the first rung where much is liquidated, then by bisection.

    The ladder matters because a seed may turn back: open interest of many times the depth of the book cannot be sold
    within the window, whatever R0 is.

    Args:
        evaluate: from R0 aimed at to (much is liquidated, R0 measured).
        low: first rung.
        high: last rung.
        ratio: of the ends of the bracket, at which to stop.

    Returns:
        The lowest crossing from little to much that the ladder sees.

    Examples:
        >>> found = bisect(lambda r0: (1.0 < r0 < 5.0, r0), 0.2, 8.0)
        >>> abs(found.value - 1.0) < 0.02, found.side
        (True, 'inside')
    """
    large, measured = evaluate(low)
    runs = 1
    if large:
        return Threshold(math.nan, math.nan, "below", runs)
    rungs = max(1, math.ceil(math.log(high / low) / math.log(RUNG)))
    for rung in range(1, rungs + 1):
        upper = low * (high / low) ** (1 / (rungs - rung + 1))
        large, measured = evaluate(upper)
        runs += 1
        if large:
            break
        low = upper
    else:
        return Threshold(math.nan, math.nan, "above", runs)
    while upper / low > ratio:
        middle = math.sqrt(low * upper)
        large, at_middle = evaluate(middle)
        runs += 1
        if large:
            upper, measured = middle, at_middle
        else:
            low = middle
    return Threshold(math.sqrt(low * upper), measured, "inside", runs)


def median_interval(values: ArrayLike, *, confidence: float = CONFIDENCE) -> dict[str, Any]:
    """Median with the interval between two order statistics, which covers it with at least the confidence stated.

    Args:
        values: float64[n]; -inf and inf count as below and above all others.
        confidence: least coverage.

    Returns:
        ``value, low, high, n, coverage``. An end is None where too few values bound it, or where it is infinite.

    Examples:
        >>> median_interval([3, 1, 2, 5, 4, 6])["low"], median_interval([3, 1, 2, 5, 4, 6])["high"]
        (1.0, 6.0)
    """
    from scipy import stats

    sample = np.sort(np.asarray(values, np.float64))
    n = len(sample)
    if n == 0:
        return {"value": None, "low": None, "high": None, "n": 0, "coverage": None}
    lower, upper = sample[(n - 1) // 2], sample[n // 2]
    # of two infinite values of one sign the mean is that value; of opposite ones nothing
    middle = float((lower + upper) / 2) if np.isfinite(lower) and np.isfinite(upper) else math.nan
    # the median lies between the k-th smallest and the k-th largest unless fewer than k values are on one side
    k = int(stats.binom.ppf((1 - confidence) / 2, n, 0.5))
    while k > 0 and 2 * stats.binom.cdf(k - 1, n, 0.5) > 1 - confidence:
        k -= 1
    low, high = (sample[k - 1], sample[n - k]) if k > 0 else (math.nan, math.nan)
    return {
        "value": _finite(middle), "low": _finite(low), "high": _finite(high), "n": n,
        "coverage": 1 - 2 * float(stats.binom.cdf(k - 1, n, 0.5)) if k > 0 else None,
    }  # fmt: skip


def of_thresholds(thresholds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The critical R0 and the width of the rise from the thresholds of seeds.

    Args:
        thresholds: :meth:`Threshold.as_dict` of each seed.

    Returns:
        ``r0`` (aimed at) and ``r0_measured``: medians with order-statistic intervals; ``steepest``, the mode of ln
        thresholds (Gaussian kernel, Scott's bandwidth) with a percentile bootstrap interval over seeds; ``width``, ln
        R0 from P = 10 to 90 %, likewise; ``inside``, ``below``, ``above``: seeds; ``runs``: evaluations in all.
    """
    sides = [t["side"] for t in thresholds]
    beyond = {"below": -math.inf, "above": math.inf}
    found: dict[str, Any] = {"definition": DEFINITION}
    for name, key in (("r0", "value"), ("r0_measured", "measured")):
        found[name] = median_interval([beyond.get(t["side"], t[key]) for t in thresholds])
    inside = np.log([t["value"] for t in thresholds if t["side"] == "inside"])
    rng = np.random.default_rng(GENERATOR_SEED)
    drawn = [inside[rng.integers(0, len(inside), len(inside))] for _ in range(RESAMPLES)] if len(inside) else []
    found["steepest"] = interval([_mode(x) for x in drawn], _mode(inside))
    every = np.array([beyond[t["side"]] if t["side"] in beyond else math.log(t["value"]) for t in thresholds])
    widths = [_width(every[rng.integers(0, len(every), len(every))]) for _ in range(RESAMPLES)] if len(every) else []
    found["width"] = interval(widths, _width(every))
    found |= {side: sides.count(side) for side in ("inside", "below", "above")}
    return found | {"runs": sum(t["runs"] for t in thresholds)}


def _mode(x: Floats) -> float:
    """The mode of exp(x), taken on the scale of x; NaN with fewer than five values or no spread."""
    if len(x) < 5 or np.ptp(x) == 0:
        return math.nan
    at = np.linspace(x.min(), x.max(), 256)
    width = x.std(ddof=1) * len(x) ** -0.2  # Scott's rule
    density = np.exp(-0.5 * ((at[:, None] - x) / width) ** 2).sum(axis=1)
    return float(np.exp(at[int(np.argmax(density))]))


def _width(x: Floats) -> float:
    """From the 10 to the 90 % quantile; NaN with fewer than ten values, or where a quantile is beyond the bracket."""
    if len(x) < 10:
        return math.nan
    low, high = np.quantile(x, [0.1, 0.9], method="closest_observation")
    return float(high - low) if math.isfinite(low) and math.isfinite(high) else math.nan


def of_grid(targets: ArrayLike, measured: ArrayLike, large: ArrayLike) -> dict[str, Any] | None:
    """The critical R0 from a logistic curve through the runs of a grid.

    Args:
        targets: float64[cells], R0 aimed at.
        measured: float64[seeds, cells], R0 measured; its median over seeds is the second scale.
        large: bool[seeds, cells].

    Returns:
        ``r0``, ``r0_measured`` and ``width`` (of ln R0 aimed at, 10 to 90 %), each ``value, low, high`` with percentile
        bootstrap intervals over seeds; None with fewer than two cells, or where no cell or every cell is large
        throughout, which leaves nothing to fit.
    """
    aim, r0, hit = np.asarray(targets, np.float64), np.asarray(measured, np.float64), np.asarray(large, bool)
    if len(aim) < 2 or hit.all() or not hit.any():
        return None
    n = np.full(len(aim), float(len(hit)))

    def fit(rows: Any) -> tuple[float, float, float]:
        rate = hit[rows].mean(axis=0)
        position, width = crossover(*logistic_fit(np.log(aim), rate, n))
        middle = np.nanmedian(np.where(r0[rows] > 0, r0[rows], np.nan), axis=0)
        return position, crossover(*logistic_fit(np.log(middle), rate, n))[0], width

    rng = np.random.default_rng(GENERATOR_SEED)
    value = fit(slice(None))
    drawn = [fit(rng.integers(0, len(hit), len(hit))) for _ in range(RESAMPLES)]
    return {
        name: interval([one[i] for one in drawn], value[i]) for i, name in enumerate(("r0", "r0_measured", "width"))
    }


def agreement(thresholds: Sequence[float], targets: Sequence[float], large: ArrayLike) -> float | None:
    """Share of (seed, R0) pairs of a grid where the run says what the seed's threshold says; 1 if all are monotone.

    Args:
        thresholds: by seed, -inf and inf where the bracket does not hold it.
        targets: R0 aimed at.
        large: bool[seeds, targets].
    """
    said = np.asarray(targets)[None, :] > np.asarray(thresholds, np.float64)[:, None]
    return float((said == np.asarray(large, bool)).mean()) if said.size else None


def ratio_of_thresholds(values: ArrayLike, baseline: ArrayLike) -> dict[str, Any]:
    """By what factor a setting moves thresholds, seed by seed: the geometric mean of the ratios with its interval.

    Args:
        values: thresholds of the seeds under the setting; a pair with one that is not finite is left out.
        baseline: the same seeds under the setting compared with.

    Returns:
        ``ratio, low, high, n, dropped, method``.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        change = np.log(np.asarray(values, np.float64)) - np.log(np.asarray(baseline, np.float64))
    found = mean_interval(change)
    ratio, low, high = (None if found[key] is None else math.exp(found[key]) for key in ("mean", "low", "high"))
    dropped = int(np.sum(~np.isfinite(change)))
    return {"ratio": ratio, "low": low, "high": high, "n": found["n"], "dropped": dropped, "method": found["method"]}


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
