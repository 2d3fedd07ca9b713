"""How many seeds a comparison needs, and what a number of seeds can show.

References:
    Guenther, W. C. (1981). Sample size formulas for normal theory t tests. Am. Statist. 35(4), 243-244.
"""

from __future__ import annotations

import math

from experiments.statistics.settings import LEVEL, POWER, rounded


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
    return rounded(quantiles * spread / math.sqrt(n))
