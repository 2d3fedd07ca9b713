"""Tests of paired differences and the correction for their number.

References:
    Fisher, R. A. (1935). The design of experiments, section 21 (the sign-flip test of paired differences).
    Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scand. J. Statist. 6(2), 65-70.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from experiments.statistics.intervals import column_mean
from experiments.statistics.settings import BATCH, GENERATOR_SEED, RESAMPLES, finite, rounded


def sign_flip_test(differences: ArrayLike, *, resamples: int = RESAMPLES) -> float | None:
    """Two-sided p-value of paired differences under flips of their signs.

    Valid without any assumption on the distribution: if a regime makes no difference, each pair's two values could
    have been swapped. Zero differences carry no information and are left out, so the test is exact while at most
    ``log2(resamples)`` pairs differ.

    Returns:
        The p-value, 1.0 when every pair is equal, None with fewer than two pairs.
    """
    sample = finite(differences)
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
        column_mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, BATCH // sample.size),
        alternative="two-sided",
        rng=np.random.default_rng(GENERATOR_SEED),
    )
    return rounded(min(float(test.pvalue), 1.0))


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
    corrected.update({key: rounded(float(p)) for key, p in zip(tested, adjusted, strict=True)})
    return corrected
