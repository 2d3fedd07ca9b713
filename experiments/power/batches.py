"""Power from repeated disjoint batches: how often a batch detects, and how often a true null is flagged.

Every batch is what one user would have run, judged by the same test and the same correction. Three kinds of null stand
beside it: the *placebo*, the baseline run again, equal to the bit; *other seeds*, the baseline of one batch paired with
the baseline of the next, so that nothing differs but luck; *swapped arms*, where a fair coin decides for each pair
which arm is called the treatment, so that differences have their true sizes and no direction.

References:
    Clopper, C. J. and Pearson, E. S. (1934). The use of confidence or fiducial limits illustrated in the case of the
        binomial. Biometrika 26(4), 404-413 (intervals of shares).
    Phipson, B. and Smyth, G. K. (2010). Permutation p-values should never be zero. Statist. Appl. Genet. Mol. Biol.
        9(1), article 39 (the p-value of random sign flips).
    Cohen, J. (1988). Statistical power analysis for the behavioral sciences, 2nd ed. (power of the paired t test).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from experiments.statistics import (
    GENERATOR_SEED,
    LEVEL,
    POWER,
    holm,
    paired_difference,
    placebo_difference,
    verdict,
)
from experiments.vocabulary import describe

FLIPS = 4_999
"""Random sign flips of a test on the curve and under the nulls; the smallest p-value is one in 5,000."""
SWAPS = 200
"""Times that the arms of every batch are swapped by coins."""
SIZES = (8, 10, 15, 20, 30, 40, 60, 80, 120, 160, 240, 320, 480, 640, 960)
"""Pairs at which the curve is measured, if there are :data:`ENOUGH` disjoint batches of them."""
ENOUGH = 5
_QUANTILES = 2_000

Values = Mapping[str, Mapping[str, NDArray[np.float64]]]
"""Regime -> outcome -> one value per seed."""


def share(hits: int, n: int, *, confidence: float = 0.95) -> dict[str, Any]:
    """A share of successes with the interval of Clopper and Pearson.

    Examples:
        >>> share(0, 0)["mean"] is None
        True
        >>> {key: round(value, 3) for key, value in share(16, 20).items()}
        {'mean': 0.8, 'low': 0.563, 'high': 0.943, 'hits': 16, 'n': 20}
    """
    if n == 0:
        return {"mean": None, "low": None, "high": None, "hits": 0, "n": 0}
    from scipy import stats

    found = stats.binomtest(hits, n).proportion_ci(confidence, method="exact")
    return {"mean": hits / n, "low": float(found.low), "high": float(found.high), "hits": int(hits), "n": int(n)}


def t_power(effect: float, n: int, level: float = LEVEL) -> float | None:
    """Power of the two-sided paired t test (Cohen 1988).

    The test's statistic is (Z + effect sqrt(n)) / sqrt(V / (n - 1)), Z standard normal and V chi-square; the mean over
    quantiles of V is finite where libraries' noncentral t is not.

    Args:
        effect: mean difference over its standard deviation.
        n: pairs.
        level: of the test.

    Examples:
        >>> round(t_power(0.5, 34), 2)
        0.81
    """
    if n < 2 or not math.isfinite(effect):
        return None
    from scipy import stats

    edge, shift = float(stats.t.ppf(1.0 - level / 2.0, n - 1)), effect * math.sqrt(n)
    quantiles = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    reach = edge * np.sqrt(stats.chi2.ppf(quantiles, n - 1) / (n - 1))
    return float(np.mean(stats.norm.sf(reach - shift) + stats.norm.cdf(-reach - shift)))


def flip_p(differences: ArrayLike, signs: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """P-values of the sign-flip test for one set of differences under given signs.

    The distribution of a mean over random flips does not depend on the signs that the differences have, so one sample
    of it serves them all.

    Args:
        differences: n paired differences; those that are not finite are left out.
        signs: (k, n) of -1 and +1, by which the differences are multiplied; as they are if None.

    Returns:
        k p-values, or one. 1 where no pair differs, NaN with fewer than two pairs.
    """
    d = np.asarray(differences, dtype=np.float64)
    signs = np.ones((1, d.size)) if signs is None else signs
    kept = np.isfinite(d)
    d, signs = d[kept], signs[:, kept]
    if d.size < 2:
        return np.full(len(signs), np.nan)
    rng = np.random.default_rng(GENERATOR_SEED)
    under = np.abs((2.0 * rng.integers(0, 2, (FLIPS, d.size)) - 1.0) @ d)
    under.sort()
    seen = np.abs(signs @ d)
    near = seen * (1.0 - 1e-12) - 1e-300  # equal sums in another order of addition count as equal
    above = FLIPS - np.searchsorted(under, near, side="left")
    return np.asarray((above + 1.0) / (FLIPS + 1.0), dtype=np.float64)


def assess(
    values: Values, placebo: Mapping[str, NDArray[np.float64]] | None, *, baseline: str, outcomes: Sequence[str],
    pairs: int, level: float = LEVEL, power: float = POWER, sizes: Sequence[int] = SIZES,
) -> dict[str, Any]:  # fmt: skip
    """Power of a design from many seeds.

    Args:
        values: arms, one value per seed in one order; NaN where a run failed.
        placebo: the baseline run again.
        baseline: the arm that others are compared with.
        outcomes: tested, corrected for their number within families as a report does.
        pairs: seeds of a batch; batches take consecutive ones, a rest that makes none is used by the curve alone.
        level: of the tests.
        power: that is wanted.
        sizes: pairs at which the curve is measured.

    Returns:
        ``effects`` {regime: {outcome: ...}} with the pooled difference (:func:`paired_difference`), ``detected``,
        ``uncorrected`` and ``wrong_sign`` shares of batches, ``analytic`` power, ``curve`` by pairs, ``needed`` and
        ``required_n``; ``nulls``; ``batches``.
    """
    arms = [regime for regime in values if regime != baseline]
    total = len(next(iter(values[baseline].values())))
    slices = [slice(start, start + pairs) for start in range(0, total - pairs + 1, pairs)]
    summaries = [_differences(values, baseline, outcomes, piece, level) for piece in slices]
    effects: dict[str, Any] = {}
    for regime in arms:
        effects[regime] = {}
        for outcome in outcomes:
            if outcome not in values[regime] or outcome not in values[baseline]:
                continue
            tested = [summary[regime, outcome] for summary in summaries]
            difference = values[regime][outcome] - values[baseline][outcome]
            effects[regime][outcome] = _effect(
                values[regime][outcome], values[baseline][outcome], tested, pairs, level
            ) | _curve(difference, sizes, pairs, level, power)
    return {
        "pairs": pairs, "batches": len(slices), "seeds": total, "level": level, "power": power, "baseline": baseline,
        "regimes": list(values), "outcomes": list(outcomes), "effects": effects,
        "nulls": {
            "placebo": _placebo(values[baseline], placebo, outcomes, slices),
            "other_seeds": _other_seeds(values[baseline], outcomes, slices, level),
            "swapped": _swapped(values, baseline, outcomes, slices, level),
        },
    }  # fmt: skip


def _differences(
    values: Values, baseline: str, outcomes: Sequence[str], piece: slice, level: float
) -> dict[tuple[str, str], dict[str, Any]]:
    """The differences of one batch with the verdicts that a report of it gives (:func:`paired_summary`)."""
    base = values[baseline]
    found = {
        (regime, name): paired_difference(by[name][piece], base[name][piece])
        for regime, by in values.items()
        if regime != baseline
        for name in outcomes
        if name in by and name in base
    }
    for family in {describe(name).family for _, name in found}:
        members = {cell: entry["p"] for cell, entry in found.items() if describe(cell[1]).family == family}
        for cell, corrected in holm(members).items():
            found[cell]["p_holm"] = corrected
            found[cell]["verdict"] = verdict(found[cell], level=level)
    return found


def _effect(
    values: NDArray[np.float64],
    base: NDArray[np.float64],
    tested: Sequence[Mapping[str, Any]],
    pairs: int,
    level: float,
) -> dict[str, Any]:
    pooled = paired_difference(values, base)
    sign = math.copysign(1.0, pooled["mean"]) if pooled["mean"] else 0.0
    found = [entry for entry in tested if entry["verdict"] == "different"]
    wrong = sum(entry["mean"] * sign < 0.0 for entry in found)
    plain = sum(entry["p"] is not None and entry["p"] <= level for entry in tested)
    return {
        "pooled": pooled,
        "detected": share(len(found), len(tested)),
        "uncorrected": share(plain, len(tested)),
        "wrong_sign": wrong,
        "analytic": t_power(pooled["effect"], pairs, level) if pooled["effect"] is not None else None,
        "required_n": pooled["required_n"],
    }


def _curve(
    difference: NDArray[np.float64], sizes: Sequence[int], pairs: int, level: float, power: float
) -> dict[str, Any]:
    """Share of disjoint batches that detect, by pairs, without correction; and the pairs from which it suffices."""
    kept = difference[np.isfinite(difference)]
    spread = float(np.std(kept, ddof=1)) if kept.size > 1 else 0.0
    effect = float(np.mean(kept)) / spread if spread > 0.0 else 0.0
    points = []
    for n in sorted({*sizes, pairs}):
        count = kept.size // n
        if n < 2 or count < ENOUGH:
            continue
        hits = sum(float(flip_p(kept[i * n : (i + 1) * n])[0]) <= level for i in range(count))
        points.append({**share(hits, count), "n": n, "batches": count, "analytic": t_power(effect, n, level)})
    needed = None
    for point in reversed(points):
        if point["mean"] < power:
            break
        needed = point["n"]
    return {"curve": points, "needed": needed}


def _placebo(
    base: Mapping[str, NDArray[np.float64]], placebo: Mapping[str, NDArray[np.float64]] | None,
    outcomes: Sequence[str], slices: Sequence[slice],
) -> dict[str, Any] | None:  # fmt: skip
    """How many batches a placebo differs in; it must be none, not few."""
    if placebo is None:
        return None
    names = [name for name in outcomes if name in base and name in placebo]
    worst = [[placebo_difference(placebo[name][piece], base[name][piece]) for name in names] for piece in slices]
    flagged = sum(any(value is None or value != 0.0 for value in row) for row in worst)
    return {"flagged": flagged, "batches": len(slices)}


def _other_seeds(
    base: Mapping[str, NDArray[np.float64]], outcomes: Sequence[str], slices: Sequence[slice], level: float
) -> dict[str, Any]:
    """The baseline against itself on the seeds of the next batch: independent, alike in distribution."""
    found: dict[str, Any] = {}
    if len(slices) < 3:  # with two, the one is the other's mirror image
        return found
    for name in (n for n in outcomes if n in base):
        p = [
            float(flip_p(base[name][here] - base[name][there])[0])
            for here, there in zip(slices, [*slices[1:], slices[0]], strict=True)
        ]
        found[name] = share(sum(value <= level for value in p), len(p))
    return found


def _swapped(
    values: Values, baseline: str, outcomes: Sequence[str], slices: Sequence[slice], level: float
) -> dict[str, Any]:
    """Shares of swaps flagged: each test alone, and any test of a family after Holm's correction."""
    if not slices:
        return {"tests": {}, "families": {}, "swaps": 0}
    cells = [(r, n) for r in values if r != baseline for n in outcomes if n in values[r] and n in values[baseline]]
    alone = dict.fromkeys(cells, 0)
    families = sorted({describe(name).family for _, name in cells})
    any_of = dict.fromkeys(families, 0)
    rng = np.random.default_rng(GENERATOR_SEED + 1)
    for piece in slices:
        width = piece.stop - piece.start
        signs = np.asarray(2.0 * rng.integers(0, 2, (SWAPS, width)) - 1.0, dtype=np.float64)
        p = {(r, n): flip_p((values[r][n] - values[baseline][n])[piece], signs) for r, n in cells}
        for cell in cells:
            alone[cell] += int(np.sum(p[cell] <= level))
        for family in families:
            members = [cell for cell in cells if describe(cell[1]).family == family]
            for k in range(SWAPS):
                # the smallest p-value decides whether Holm's procedure rejects anything
                corrected = holm({cell: _number(p[cell][k]) for cell in members})
                any_of[family] += any(value is not None and value <= level for value in corrected.values())
    n = SWAPS * len(slices)
    tests: dict[str, Any] = {}
    for regime, name in cells:
        tests.setdefault(regime, {})[name] = share(alone[regime, name], n)
    return {"tests": tests, "families": {family: share(any_of[family], n) for family in families}, "swaps": n}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
