"""How many seeds a comparison needs, and what a number of seeds can show.

References:
    Guenther, W. C. (1981). Sample size formulas for normal theory t tests. Am. Statist. 35(4), 243-244.
    Kupper, L. L. & Hafner, K. B. (1989). How appropriate are popular sample size formulas? Am. Statist. 43(2), 101-105
        (seeds for a width that is kept with a stated probability).
    Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference. JASA 22(158), 209-212.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from experiments.statistics.effects import noncentral_t_cdf, standardised
from experiments.statistics.settings import CONFIDENCE, LEVEL, POWER, finite, rounded

_MOST = 1_000_000_000


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
    return max(math.ceil(needed), 2) if needed < _MOST else None


def detectable_difference(spread: float, n: int, *, level: float = LEVEL, power: float = POWER) -> float | None:
    """Mean difference that n pairs find with the given power, from the standard deviation of differences."""
    if n < 2 or spread <= 0.0:
        return None
    from scipy import stats

    quantiles = float(stats.t.ppf(1.0 - level / 2.0, n - 1)) + float(stats.t.ppf(power, n - 1))
    return rounded(quantiles * spread / math.sqrt(n))


def power_of(effect: float, n: int, *, level: float = LEVEL) -> float:
    """Power of the two-sided paired t test with n pairs: exact for normal differences (noncentral t).

    Args:
        effect: mean difference over the standard deviation of differences.
        n: pairs, at least two.
        level: of the test.

    Raises:
        ValueError: fewer than two pairs, or an effect that is not finite.

    Examples:
        >>> round(power_of(0.5, 34), 3)
        0.808
    """
    if n < 2 or not math.isfinite(effect):
        raise ValueError(f"power needs at least two pairs and a finite effect, got n = {n}, effect = {effect}")
    from scipy import stats

    shift, critical = abs(effect) * math.sqrt(n), float(stats.t.ppf(1.0 - level / 2.0, n - 1))
    if shift > 37.0 + critical:  # the library's noncentral t loses its way so far out
        return 1.0
    below = noncentral_t_cdf(-critical, n - 1, shift)
    return min(max(1.0 - noncentral_t_cdf(critical, n - 1, shift) + below, 0.0), 1.0)


def _first(enough: Any, most: int, least: int = 2) -> int | None:
    """Smallest n at which a condition that stays true once true holds; None beyond ``most``."""
    high = least
    while not enough(high):
        if high >= most:
            return None
        high = min(2 * high, most)
    low = high // 2 if high > least else least
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return high


def required_seeds_for_half_width(
    spread: float,
    half_width: float,
    *,
    confidence: float = CONFIDENCE,
    assurance: float | None = None,
    most: int = 10_000_000,
) -> int | None:
    """Seeds at which the t interval of a mean (difference) is no wider than wanted.

    Args:
        spread: standard deviation over seeds (of the differences), from a pilot.
        half_width: wanted half of the interval, in the same unit.
        confidence: of the interval.
        assurance: None plans for the spread as given, so that about half of all studies come out a little too wide;
            a probability plans so that the study's own interval is narrow enough with that probability (Kupper and
            Hafner 1989, normal differences).
        most: beyond so many the answer is None.

    Raises:
        ValueError: a half-width that is not above zero, or a spread below zero.

    Examples:
        >>> required_seeds_for_half_width(1.0, 0.25)
        64
    """
    if not half_width > 0.0 or not spread >= 0.0 or not math.isfinite(spread):
        raise ValueError(f"needs a half-width above zero and a spread of at least zero, got {half_width}, {spread}")
    if spread == 0.0:
        return 2
    from scipy import stats

    def enough(n: int) -> bool:
        width = float(stats.t.ppf(0.5 + confidence / 2.0, n - 1)) * spread / math.sqrt(n)
        if assurance is not None:
            width *= math.sqrt(float(stats.chi2.ppf(assurance, n - 1)) / (n - 1))
        return width <= half_width

    return _first(enough, most)


def required_seeds_for_proportion(
    share: float, half_width: float, *, confidence: float = CONFIDENCE, most: int = 10_000_000
) -> int | None:
    """Seeds at which Wilson's interval of a proportion (of seeds that exceed a threshold) is no wider than wanted.

    Examples:
        >>> required_seeds_for_proportion(0.5, 0.1)
        93
    """
    if not 0.0 <= share <= 1.0 or not half_width > 0.0:
        raise ValueError(f"needs a share from 0 to 1 and a half-width above zero, got {share}, {half_width}")
    from scipy import stats

    z = float(stats.norm.ppf(0.5 + confidence / 2.0))

    def enough(n: int) -> bool:
        return z / (1.0 + z * z / n) * math.sqrt(share * (1.0 - share) / n + z * z / (4.0 * n * n)) <= half_width

    return _first(enough, most, least=1)


def required_seeds_exact(
    effect: float | None, *, level: float = LEVEL, power: float = POWER, most: int = 1_000_000
) -> int | None:
    """Seeds for a power, from the exact power of the paired t test (:func:`power_of`); None beyond ``most``."""
    if effect is None or effect == 0.0 or not math.isfinite(effect):
        return None
    return _first(lambda n: power_of(effect, n, level=level) >= power, most)


def plan(
    differences: ArrayLike,
    *,
    half_width: float | None = None,
    comparisons: int = 1,
    confidence: float = CONFIDENCE,
    level: float = LEVEL,
    power: float = POWER,
) -> dict[str, Any]:
    """What a study of this difference needs, from a pilot of it.

    Args:
        differences: of one measure on the pilot's seeds; NaN and infinite ones are left out.
        half_width: wanted half-width of its interval; left out if None.
        comparisons: tests that will be corrected together: power is planned at ``level / comparisons``, which is
            what the smallest p-value must meet under Holm's correction.
        confidence: of the interval.
        level: of the tests.
        power: wanted.

    Returns:
        ``n, mean, spread, effect``; ``for_power`` (exact) and ``for_power_low``: the same at the lower end of the
        effect's interval, since an effect from a pilot is often too large (None where the interval holds zero);
        ``for_half_width`` and ``for_half_width_assured`` (kept with probability ``power``).
    """
    sample = finite(differences)
    n = int(sample.size)
    found: dict[str, Any] = {"n": n, "mean": None, "spread": None, "effect": None, "for_power": None,
                             "for_power_low": None, "for_half_width": None, "for_half_width_assured": None}  # fmt: skip
    if n:
        found["mean"] = rounded(float(sample.mean()))
    if n < 2 or np.all(sample == sample[0]):
        return found
    spread = float(np.std(sample, ddof=1))
    size = standardised(sample, confidence=confidence)
    corrected = level / max(comparisons, 1)
    found |= {
        "spread": rounded(spread), "effect": size["value"],
        "for_power": required_seeds_exact(size["value"], level=corrected, power=power),
    }  # fmt: skip
    if size["low"] is not None and size["low"] * size["high"] > 0.0:
        nearest = min(abs(size["low"]), abs(size["high"]))
        found["for_power_low"] = required_seeds_exact(nearest, level=corrected, power=power)
    if half_width is not None:
        wanted: dict[str, Any] = {"confidence": confidence}
        found["for_half_width"] = required_seeds_for_half_width(spread, half_width, **wanted)
        found["for_half_width_assured"] = required_seeds_for_half_width(spread, half_width, assurance=power, **wanted)
    return found
