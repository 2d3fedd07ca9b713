"""Paired comparisons of margin regimes: intervals, tests, effect sizes.

Regimes are run on the same seeds, and keyed draws give one seed the same world under each of them, so the unit of
analysis is the difference on one seed. Every number here is a function of its input alone: resampling uses a
generator of its own with a fixed seed, so a report can be made twice with the same digits.

Undefined numbers (an interval from one seed, an effect size where all differences are equal) are ``None``, never NaN
or infinite, so that results are valid JSON.

References:
    Efron, B. (1987). Better bootstrap confidence intervals. JASA 82(397), 171-185 (the BCa interval).
    Fisher, R. A. (1935). The design of experiments, section 21 (the sign-flip test of paired differences).
    Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scand. J. Statist. 6(2), 65-70.
    Guenther, W. C. (1981). Sample size formulas for normal theory t tests. Am. Statist. 35(4), 243-244.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from experiments.vocabulary import describe

RESAMPLES = 9_999
"""Bootstrap resamples and random sign flips; sign flips are exact while 2**n does not exceed this (13 seeds)."""
CONFIDENCE = 0.95
LEVEL = 0.05
"""Level of the tests, after correction."""
POWER = 0.8
GENERATOR_SEED = 20_081_015
"""Seed of the resampling generator."""

_BATCH = 2_000_000  # resampled values held at a time

Values = Mapping[str, Mapping[str, ArrayLike]]
"""Regime -> measure -> one value per seed, seeds in the same order everywhere."""


def _rounded(value: float | None) -> float | None:
    """Twelve significant digits: differences between versions of libraries do not show."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{float(value):.12g}")


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    array = np.atleast_1d(np.asarray(values, dtype=np.float64))
    if array.ndim != 1:
        raise ValueError(f"values over seeds must be one-dimensional, got shape {array.shape}")
    return array[np.isfinite(array)]


def _mean(sample: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    return np.mean(sample, axis=axis)


def _bootstrap(
    samples: tuple[NDArray[np.float64], ...], statistic: Any, confidence: float, resamples: int
) -> tuple[float, float, str] | None:
    """BCa interval, or the percentile interval where BCa is not defined; None where neither is finite."""
    from scipy import stats

    for method in ("BCa", "percentile"):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # degenerate samples are handled here, by the check of what came out
            found = stats.bootstrap(
                samples,
                statistic,
                n_resamples=resamples,
                batch=max(1, _BATCH // samples[0].size),
                vectorized=True,
                paired=len(samples) > 1,
                axis=-1,
                confidence_level=confidence,
                method=method,
                rng=np.random.default_rng(GENERATOR_SEED),
            ).confidence_interval
        low, high = float(found.low), float(found.high)
        if math.isfinite(low) and math.isfinite(high):
            return low, high, method.lower()
    return None


def mean_interval(values: ArrayLike, *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES) -> dict[str, Any]:
    """Mean over seeds with a bootstrap interval.

    Args:
        values: One value per seed; NaN and infinite values are left out.
        confidence: Level of the interval.
        resamples: Bootstrap resamples.

    Returns:
        ``mean, low, high, n, method``. ``method`` is ``bca``, ``percentile``, ``constant`` (all values are equal: the
        interval is that value) or ``none`` (fewer than two values: ``low`` and ``high`` are None).

    Examples:
        >>> mean_interval([3.0, 3.0, 3.0])
        {'mean': 3.0, 'low': 3.0, 'high': 3.0, 'n': 3, 'method': 'constant'}
    """
    sample = _finite(values)
    n = int(sample.size)
    if n == 0:
        return {"mean": None, "low": None, "high": None, "n": 0, "method": "none"}
    mean = _rounded(float(sample.mean()))
    if n == 1:
        return {"mean": mean, "low": None, "high": None, "n": 1, "method": "none"}
    if np.all(sample == sample[0]):
        constant = _rounded(float(sample[0]))
        return {"mean": constant, "low": constant, "high": constant, "n": n, "method": "constant"}
    found = _bootstrap((sample,), _mean, confidence, resamples)
    if found is None:
        return {"mean": mean, "low": None, "high": None, "n": n, "method": "none"}
    low, high, method = found
    return {"mean": mean, "low": _rounded(low), "high": _rounded(high), "n": n, "method": method}


def t_interval(values: ArrayLike, *, confidence: float = CONFIDENCE) -> dict[str, Any]:
    """Student's t interval and two-sided p-value of a mean; NaN and infinite values are left out.

    Returns:
        ``mean, low, high, p, n``; low, high and p are None with fewer than two values, p also where all are equal.
    """
    sample = _finite(values)
    n = int(sample.size)
    mean = _rounded(float(sample.mean())) if n else None
    if n < 2:
        return {"mean": mean, "low": None, "high": None, "p": None, "n": n}
    if np.all(sample == sample[0]):
        return {"mean": mean, "low": mean, "high": mean, "p": None, "n": n}
    from scipy import stats

    test = stats.ttest_1samp(sample, 0.0)
    low, high = test.confidence_interval(confidence)
    return {
        "mean": mean, "low": _rounded(float(low)), "high": _rounded(float(high)), "p": _rounded(float(test.pvalue)),
        "n": n,
    }  # fmt: skip


def sign_flip_test(differences: ArrayLike, *, resamples: int = RESAMPLES) -> float | None:
    """Two-sided p-value of paired differences under flips of their signs.

    Valid without any assumption on the distribution: if a regime makes no difference, each pair's two values could
    have been swapped. Zero differences carry no information and are left out, so the test is exact while at most
    ``log2(resamples)`` pairs differ.

    Returns:
        The p-value, 1.0 when every pair is equal, None with fewer than two pairs.
    """
    sample = _finite(differences)
    if sample.size < 2:
        return None
    sample = sample[sample != 0.0]
    if sample.size == 0:
        return 1.0
    from scipy import stats

    if sample.size == 1:
        return 1.0  # one informative pair: either sign is as likely
    test = stats.permutation_test(
        (sample,),
        _mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, _BATCH // sample.size),
        alternative="two-sided",
        rng=np.random.default_rng(GENERATOR_SEED),
    )
    return _rounded(min(float(test.pvalue), 1.0))


def required_seeds(effect: float | None, *, level: float = LEVEL, power: float = POWER) -> int | None:
    """Seeds that a paired test needs to find an effect (mean difference over its standard deviation).

    Normal approximation with Guenther's (1981) correction for the estimated variance, at the uncorrected level.

    Examples:
        >>> required_seeds(0.5)
        34
    """
    if effect is None or effect == 0.0 or not math.isfinite(effect):
        return None
    from scipy import stats

    z_level, z_power = float(stats.norm.ppf(1.0 - level / 2.0)), float(stats.norm.ppf(power))
    ratio = (z_level + z_power) / effect
    needed = ratio * ratio + z_level * z_level / 2.0  # a product overflows to inf, a power raises
    return max(math.ceil(needed), 2) if needed < 1e9 else None


def detectable_difference(spread: float, n: int, *, level: float = LEVEL, power: float = POWER) -> float | None:
    """Mean difference that n pairs find with the given power, from the standard deviation of differences."""
    if n < 2 or spread <= 0.0:
        return None
    from scipy import stats

    quantiles = float(stats.t.ppf(1.0 - level / 2.0, n - 1)) + float(stats.t.ppf(power, n - 1))
    return _rounded(quantiles * spread / math.sqrt(n))


def paired_difference(
    values: ArrayLike, baseline: ArrayLike, *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """Compare one measure under a regime with the baseline, seed by seed.

    Args:
        values: One value per seed under the regime.
        baseline: The same seeds under the baseline. Pairs with a NaN or infinite value are left out.
        confidence: Level of the interval.
        resamples: Bootstrap resamples and random sign flips.

    Returns:
        ``mean, low, high, n, method`` of the difference; ``p`` of the sign-flip test; ``effect`` (mean difference over
        its standard deviation); ``variance_reduction`` by pairing, (var a + var b) / var(a - b); ``required_n`` seeds
        for 80 % power at the effect found; ``detectable``, the mean difference these seeds find with 80 % power;
        ``higher``, ``lower``, ``equal``: seeds by sign; ``dropped``: pairs left out.
    """
    a = np.atleast_1d(np.asarray(values, dtype=np.float64))
    b = np.atleast_1d(np.asarray(baseline, dtype=np.float64))
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"paired values must have one value per seed each, got shapes {a.shape} and {b.shape}")
    kept = np.isfinite(a) & np.isfinite(b)
    a, b = a[kept], b[kept]
    difference = a - b
    n = int(difference.size)
    summary = mean_interval(difference, confidence=confidence, resamples=resamples)
    spread = float(np.std(difference, ddof=1)) if n > 1 and np.any(difference != difference[0]) else 0.0
    effect = float(difference.mean()) / spread if spread > 0.0 else None
    separate = float(np.var(a, ddof=1) + np.var(b, ddof=1)) if n > 1 else 0.0
    return summary | {
        "p": sign_flip_test(difference, resamples=resamples),
        "p_holm": None,
        "effect": _rounded(effect),
        "variance_reduction": _rounded(separate / spread**2) if spread > 0.0 else None,
        "required_n": required_seeds(effect),
        "detectable": detectable_difference(spread, n),
        "higher": int(np.sum(difference > 0.0)),
        "lower": int(np.sum(difference < 0.0)),
        "equal": int(np.sum(difference == 0.0)),
        "dropped": int(kept.size - n),
    }


def holm(p_values: Mapping[Any, float | None]) -> dict[Any, float | None]:
    """Correct p-values for their number (Holm 1979); entries that are None are not counted and stay None.

    The i-th smallest of n is multiplied by n - i + 1 and is not below those before it. Written out because the
    library's function collects all garbage of the process at every call, 0.2 s for four multiplications.
    """
    tested = {key: p for key, p in p_values.items() if p is not None}
    values = np.array(list(tested.values()), np.float64)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)), 1.0)
    corrected: dict[Any, float | None] = dict.fromkeys(p_values)
    corrected.update({key: _rounded(float(p)) for key, p in zip(tested, adjusted, strict=True)})
    return corrected


def placebo_difference(values: ArrayLike, baseline: ArrayLike) -> float | None:
    """Largest absolute difference of a regime against itself, which must be exactly zero.

    NaN on both sides counts as equal. None means that the two could not be compared (NaN or infinite on one side, or
    a different number of seeds), which is a failed placebo.
    """
    a = np.atleast_1d(np.asarray(values, dtype=np.float64))
    b = np.atleast_1d(np.asarray(baseline, dtype=np.float64))
    if a.shape != b.shape:
        return None
    unequal = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    if not unequal.any():
        return 0.0
    largest = float(np.max(np.abs(a[unequal] - b[unequal])))
    return largest if math.isfinite(largest) else None


def paired_summary(
    values: Values,
    baseline: str,
    placebo: Mapping[str, ArrayLike] | None = None,
    *,
    families: Mapping[str, str] | None = None,
    confidence: float = CONFIDENCE,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Summarise regimes run on the same seeds, and compare each with the baseline.

    Args:
        values: Regime -> measure -> array over seeds, in the same order of seeds everywhere.
        baseline: Regime the others are compared with.
        placebo: Measure -> array over seeds of the baseline run again (or forked against itself).
        families: Measure -> family; p-values are corrected over regimes x measures within a family. Measures not
            named take the family of :mod:`experiments.vocabulary`. The family ``event`` describes the state before
            regimes differ: it is compared but neither tested nor corrected for.
        confidence: Level of the intervals.
        level: Level of the tests after correction.
        resamples: Bootstrap resamples and random sign flips.

    Returns:
        ``measures`` {measure: {regime: {mean, low, high, n, method}}}, ``differences`` {regime: {measure: ...}} as
        :func:`paired_difference` with ``p_holm``, ``comparisons`` (tests in its family), ``family`` and ``verdict``
        (see :func:`verdict`), ``placebo`` {measure: largest absolute difference} or None, and ``statistics``, the
        settings.

    Raises:
        KeyError: If the baseline is not among the regimes.
        ValueError: If a measure has another number of seeds than under the baseline.
    """
    if baseline not in values:
        raise KeyError(f"baseline {baseline!r} is not among the regimes: {', '.join(values)}")
    families = families or {}
    options: dict[str, Any] = {"confidence": confidence, "resamples": resamples}
    names = list(dict.fromkeys(name for by_measure in values.values() for name in by_measure))
    measures = {
        name: {regime: mean_interval(by[name], **options) for regime, by in values.items() if name in by}
        for name in names
    }
    base = values[baseline]
    differences: dict[str, dict[str, dict[str, Any]]] = {}
    groups: dict[str, dict[tuple[str, str], float | None]] = {}
    for regime, by_measure in values.items():
        if regime == baseline:
            continue
        differences[regime] = {}
        for name in (n for n in names if n in by_measure and n in base):
            try:
                entry = paired_difference(by_measure[name], base[name], **options)
            except ValueError as error:
                raise ValueError(f"measure {name!r} of regime {regime!r}: {error}") from None
            entry["family"] = families.get(name, describe(name).family)
            if entry["family"] == "event":
                entry["p"] = None
            differences[regime][name] = entry
            groups.setdefault(entry["family"], {})[regime, name] = entry["p"]
    for group in groups.values():
        comparisons = sum(p is not None for p in group.values())
        for (regime, name), p_holm in holm(group).items():
            entry = differences[regime][name]
            entry["p_holm"], entry["comparisons"] = p_holm, comparisons
            entry["verdict"] = verdict(entry, level=level)
    checked = None
    if placebo is not None:
        checked = {name: placebo_difference(placebo[name], base[name]) for name in names if name in placebo}
    return {
        "measures": measures,
        "differences": differences,
        "placebo": checked,
        "statistics": {"confidence": confidence, "level": level, "power": POWER, "resamples": resamples,
                       "generator_seed": GENERATOR_SEED},
    }  # fmt: skip


def verdict(difference: Mapping[str, Any], *, level: float = LEVEL) -> str:
    """Classify a difference.

    Returns:
        ``untested`` (no interval or no test), ``identical`` (every pair is equal), ``different`` (corrected p at most
        the level and zero outside the interval), ``suggestive`` (one of the two, or p before correction), ``none``.
    """
    low, high, p, p_holm = (difference.get(key) for key in ("low", "high", "p", "p_holm"))
    if difference.get("n") and difference.get("mean") == low == high == 0.0:
        return "identical"
    if low is None or high is None or p is None:
        return "untested"
    outside = low > 0.0 or high < 0.0
    if outside and p_holm is not None and p_holm <= level:
        return "different"
    return "suggestive" if outside or p <= level else "none"


def ratio_of_means(
    a: ArrayLike, b: ArrayLike, *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """Ratio of two paired means with a bootstrap interval over seeds, as for a drawdown multiplier.

    Pairs are resampled together, so what is common to both arms cancels.

    Args:
        a: Numerator, one value per seed.
        b: Denominator on the same seeds. Pairs with a NaN or infinite value are left out.
        confidence: Level of the interval.
        resamples: Bootstrap resamples.

    Returns:
        ``ratio, low, high, n, method``. The ratio is None where the mean of ``b`` is zero; the interval is None where
        the mean of ``b`` cannot be told from zero (its own interval holds zero), since it would be unbounded.
    """
    x = np.atleast_1d(np.asarray(a, dtype=np.float64))
    y = np.atleast_1d(np.asarray(b, dtype=np.float64))
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"paired values must have one value per seed each, got shapes {x.shape} and {y.shape}")
    kept = np.isfinite(x) & np.isfinite(y)
    x, y = x[kept], y[kept]
    n = int(x.size)
    empty = {"ratio": None, "low": None, "high": None, "n": n, "method": "none"}
    if n == 0 or float(y.mean()) == 0.0:
        return empty
    ratio = _rounded(float(x.mean() / y.mean()))
    if n == 1:
        return empty | {"ratio": ratio}
    if np.all(x == x[0]) and np.all(y == y[0]):
        return {"ratio": ratio, "low": ratio, "high": ratio, "n": n, "method": "constant"}
    below = mean_interval(y, confidence=confidence, resamples=resamples)
    if below["low"] is None or below["low"] <= 0.0 <= below["high"]:
        return empty | {"ratio": ratio}

    def statistic(p: NDArray[np.float64], q: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        return np.mean(p, axis=axis) / np.mean(q, axis=axis)

    found = _bootstrap((x, y), statistic, confidence, resamples)
    if found is None:
        return empty | {"ratio": ratio}
    low, high, method = found
    return {"ratio": ratio, "low": _rounded(low), "high": _rounded(high), "n": n, "method": method}


def incidence_summary(
    values: Mapping[str, Mapping[str, Mapping[str, ArrayLike]]],
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> dict[str, dict[str, dict[str, dict[str, Any]]]]:
    """Who pays: means with intervals for each population.

    Args:
        values: Regime -> population -> quantity (``pnl``, ``liquidated``, ...) -> array over seeds.
        confidence: Level of the intervals.
        resamples: Bootstrap resamples.
    """
    return {
        regime: {
            population: {
                quantity: mean_interval(sample, confidence=confidence, resamples=resamples)
                for quantity, sample in by_quantity.items()
            }
            for population, by_quantity in by_population.items()
        }
        for regime, by_population in values.items()
    }
