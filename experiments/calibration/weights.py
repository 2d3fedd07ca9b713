"""How far the moments of the data are known: covariance by a block bootstrap, and the weights made of it.

References:
    Politis, D. N. and Romano, J. P. (1994). The stationary bootstrap. JASA 89(428), 1303-1313.
    Politis, D. N. and White, H. (2004). Automatic block-length selection for the dependent bootstrap. Econometric
        Reviews 23(1), 53-70, with the correction of Patton, Politis and White (2009), 28(4), 372-375.
    Ledoit, O. and Wolf, M. (2004). A well-conditioned estimator for large-dimensional covariance matrices. J. Multivar.
        Anal. 88(2), 365-411 (shrinkage towards a multiple of the identity).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from experiments.calibration.bars import Bars, Floats
from experiments.calibration.moments import Moment, measure
from sim.errors import ConfigError

WEIGHTINGS = ("full", "diagonal")
REPLICATIONS = 1000
BOOTSTRAP_SEED = 19_940_404
CONDITION_LIMIT = 1e3
"""Largest condition number of the moments' correlation matrix before it is inverted."""


@dataclass(frozen=True)
class DataMoments:
    """The moments of the data and how far they are known.

    Attributes:
        values: float64[q].
        covariance: float64[q, q] over bootstrap replications.
        low: float64[q], lower ends of the 95 % percentile intervals.
        high: upper ends.
        block: mean length of the bootstrap's blocks, in bars.
        chosen: how the length was chosen.
        replications: bootstrap series whose moments could all be measured.
    """

    values: Floats
    covariance: Floats
    low: Floats
    high: Floats
    block: int
    chosen: str
    replications: int

    @property
    def deviation(self) -> Floats:
        """Standard errors of the moments, float64[q]."""
        return np.sqrt(np.diag(self.covariance))


def block_length(bars: Bars) -> int:
    """Mean block length for a series: the larger of the optimal ones for returns and for absolute returns.

    By :func:`arch.bootstrap.optimal_block_length` (Politis and White 2004, as corrected), for the stationary bootstrap;
    at most a tenth of the series.
    """
    from arch.bootstrap import optimal_block_length

    found = [1.0]
    for values in (bars.returns, bars.absolute):
        known = values[np.isfinite(values)]
        if known.std() > 0.0:
            found.append(float(optimal_block_length(known)["stationary"].iloc[0]))
    longest = max(1, bars.count // 10)
    return int(min(longest, math.ceil(max(value for value in found if math.isfinite(value)))))


def of_data(
    bars: Bars,
    moments: Sequence[Moment],
    *,
    block: int | None = None,
    replications: int = REPLICATIONS,
    seed: int = BOOTSTRAP_SEED,
) -> DataMoments:
    """Measure the data's moments and bootstrap their covariance.

    Args:
        bars: the data.
        moments: which moments.
        block: mean block length in bars; chosen by :func:`block_length` if None.
        replications: bootstrap series.
        seed: of the bootstrap.

    Raises:
        ConfigError: a moment cannot be bootstrapped, or does not vary.
    """
    from arch.bootstrap import StationaryBootstrap

    chosen = "given" if block is not None else "optimal for returns or absolute returns, whichever is longer"
    length = block if block is not None else block_length(bars)
    resampler = StationaryBootstrap(length, np.arange(bars.count), seed=np.random.default_rng(seed))
    found = np.array([measure(bars, moments, data[0][0]) for data in resampler.bootstrap(replications)])
    kept = found[np.isfinite(found).all(axis=1)]
    if len(kept) < max(replications // 2, len(moments) + 2):
        worst = moments[int(np.argmax(np.isnan(found).sum(axis=0)))].name
        raise ConfigError.of("--moments", worst, f"a moment that resamples of {bars.name} have")
    covariance = np.atleast_2d(np.cov(kept, rowvar=False))
    values = measure(bars, moments)
    for i, moment in enumerate(moments):
        if covariance[i, i] <= (1e-12 * max(1e-12, abs(values[i]))) ** 2:
            raise ConfigError.of("--moments", moment.name, f"a moment that varies over resamples of {bars.name}")
    low, high = np.percentile(kept, [2.5, 97.5], axis=0)
    return DataMoments(values, covariance, low, high, length, chosen, len(kept))


@dataclass(frozen=True)
class Weights:
    """The weighting matrix of the distance.

    Attributes:
        matrix: float64[q, q], inverse of the (shrunk) covariance of simulated less observed moments.
        weighting: ``"full"`` or ``"diagonal"``.
        shrinkage: weight of the diagonal in the covariance that was inverted, 0 to 1.
        condition: condition number of the correlation matrix before shrinkage.
    """

    matrix: Floats
    weighting: str
    shrinkage: float
    condition: float


def weights(covariance: Floats, weighting: str = "full", limit: float = CONDITION_LIMIT) -> Weights:
    """The weighting matrix from a covariance.

    ``full`` inverts the covariance after its *correlation* matrix R was shrunk to (1 - s) R + s I, with the smallest s
    that brings the condition number of R to the limit (0 where it is below already); ``diagonal`` inverts the variances
    alone (s = 1), less efficient and safer with many moments or few data.

    Args:
        covariance: float64[q, q] of simulated less observed moments.
        weighting: one of :data:`WEIGHTINGS`.
        limit: largest condition number.
    """
    deviation = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(deviation, deviation)
    values = np.linalg.eigvalsh(correlation)
    low, high = max(float(values[0]), 0.0), float(values[-1])
    condition = high / low if low > 0.0 else math.inf
    shrinkage = 1.0
    if weighting == "full":
        excess = high - limit * low
        shrinkage = excess / (limit - 1.0 + excess) if excess > 0.0 else 0.0
    shrunk = (1.0 - shrinkage) * correlation + shrinkage * np.eye(len(deviation))
    return Weights(np.linalg.inv(shrunk) / np.outer(deviation, deviation), weighting, shrinkage, condition)
