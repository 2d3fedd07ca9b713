"""Tests of paired differences and the correction for their number.

References:
    Fisher, R. A. (1935). The design of experiments, section 21 (the sign-flip test of paired differences).
    Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scand. J. Statist. 6(2), 65-70.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
    if sample.size == 1:
        return 1.0  # one informative pair: either sign is as likely
    signs, exact = _signs(int(sample.size), resamples)
    observed = float(sample.mean())
    block = max(1, BATCH // sample.size)
    null = np.concatenate([np.mean(part * sample, axis=-1) for part in _blocks(signs, block)])
    tolerance = 100.0 * np.finfo(np.float64).eps * abs(observed)
    added = 0 if exact else 1  # the arrangement found is one of those that were possible
    counts = min(np.sum(null <= observed + tolerance), np.sum(null >= observed - tolerance))
    return rounded(min(2.0 * float(counts + added) / (len(null) + added), 1.0))


def _blocks(signs: NDArray[np.int8], rows: int) -> Iterator[NDArray[np.int8]]:
    return (signs[first : first + rows] for first in range(0, len(signs), rows))


@lru_cache(maxsize=8)
def _signs(n: int, resamples: int) -> tuple[NDArray[np.int8], bool]:
    """The flips that the library's permutation test would try for n values, drawn once for all tests of that size.

    Returns:
        int8[flips, n] of -1 and 1, and whether these are all flips there are.
    """
    from scipy import stats

    tried: list[NDArray[np.int8]] = []

    def note(flipped: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        tried.append(np.atleast_2d(flipped).astype(np.int8))
        return np.mean(flipped, axis=axis)

    stats.permutation_test(
        (np.ones(n),),
        note,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, BATCH // n),
        rng=np.random.default_rng(GENERATOR_SEED),
    )
    signs = np.concatenate([part.reshape(-1, n) for part in tried[1:]])  # the first call is that of the sample itself
    return signs, 2**n <= resamples


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
