"""Standard errors, the test of overidentifying restrictions, and what the moments do not tell.

With g = simulated less observed moments, Omega its covariance, G its derivatives and W the weights:

- covariance of the estimate (G'WG)^-1 G'W Omega W G (G'WG)^-1, the sandwich that holds for any W;
- Omega = (1 + 1/tau) Sigma, where Sigma is the covariance of the data's moments and tau the simulated length over the
  length of the data (S seeds as long as the data: 1 + 1/S);
- J = g' ((I - H) Omega (I - H)')^+ g with H = G (G'WG)^-1 G'W, chi-squared with q - p degrees of freedom whatever W is
  (Newey 1985); with W the inverse of Omega it is Hansen's (1982) g' Omega^-1 g.

References:
    McFadden, D. (1989). A method of simulated moments for estimation of discrete response models without numerical
        integration. Econometrica 57(5), 995-1026.
    Duffie, D. and Singleton, K. J. (1993). Simulated moments estimation of Markov models of asset prices. Econometrica
        61(4), 929-952.
    Hansen, L. P. (1982). Large sample properties of generalized method of moments estimators. Econometrica 50(4).
    Newey, W. K. (1985). Generalized method of moments specification testing. J. Econometrics 29(3), 229-256.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.calibration.bars import Floats
from experiments.calibration.parameters import Free

UNINFORMED = 1.0 / math.sqrt(12.0)
"""Standard deviation of a uniform draw between the bounds, in units of their distance: an estimate no surer than that
tells no more than the bounds did."""
CONFIDENCE = 0.95
_RANK = 1e-8  # singular values below this share of the largest count as zero


@dataclass(frozen=True)
class Inference:
    """What follows from the derivatives at the estimate.

    Attributes:
        covariance: float64[p, p] of the working coordinates; NaN where the derivatives have not full rank.
        correlation: float64[p, p] of the parameters.
        j: the test statistic, None without overidentifying restrictions.
        degrees: its degrees of freedom.
        p_value: its p-value.
        condition: condition number of the information matrix, parameters in units of their bounds' distance.
        directions: combinations of parameters, from the best to the worst known.
    """

    covariance: Floats
    correlation: Floats
    j: float | None
    degrees: int
    p_value: float | None
    condition: float
    directions: tuple[dict[str, Any], ...]


def infer(free: Sequence[Free], gap: Floats, matrix: Floats, omega: Floats, weight: Floats) -> Inference:
    """Standard errors, J test and identification.

    Args:
        free: the parameters.
        gap: float64[q], simulated less observed moments at the estimate.
        matrix: float64[q, p], derivatives by the working coordinates.
        omega: float64[q, q], covariance of the gap.
        weight: float64[q, q].
    """
    q, p = matrix.shape
    widths = np.array([parameter.width for parameter in free])
    if not np.isfinite(matrix).all():
        empty = np.full((p, p), np.nan)
        return Inference(empty, empty, None, q - p, None, math.inf, ())
    scaled = matrix * widths
    information = scaled.T @ np.linalg.pinv(omega, hermitian=True) @ scaled
    values, vectors = np.linalg.eigh(information)
    condition = float(values[-1] / values[0]) if values[0] > _RANK**2 * values[-1] > 0.0 else math.inf
    whole_rank = math.isfinite(condition) and q >= p
    covariance = np.full((p, p), np.nan)
    j = p_value = None
    if whole_rank:
        bread = np.linalg.inv(scaled.T @ weight @ scaled)
        meat = scaled.T @ weight @ omega @ weight @ scaled
        covariance = (bread @ meat @ bread) * np.outer(widths, widths)
        if q > p:
            j, p_value = _j_test(gap, scaled, omega, weight, bread)
    deviation = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(deviation, deviation)
    directions = tuple(_direction(free, vectors[:, k], float(values[k])) for k in reversed(range(p)))
    return Inference(covariance, correlation, j, q - p, p_value, condition, directions)


def _j_test(gap: Floats, scaled: Floats, omega: Floats, weight: Floats, bread: Floats) -> tuple[float, float]:
    from scipy import stats

    q, p = scaled.shape
    residual = np.eye(q) - scaled @ bread @ scaled.T @ weight
    # in units of each moment's own deviation, so that the rank is told from numbers of one size
    unit = 1.0 / np.sqrt(np.diag(omega))
    values, vectors = np.linalg.eigh((residual @ omega @ residual.T) * np.outer(unit, unit))
    kept = slice(p, q)  # eigenvalues rise: p of them are zero
    parts = vectors[:, kept].T @ ((residual @ gap) * unit)
    j = float(np.sum(parts**2 / values[kept]))
    return j, float(stats.chi2.sf(j, q - p))


def _direction(free: Sequence[Free], vector: Floats, value: float) -> dict[str, Any]:
    """One combination of parameters and how far it is known, in units of the bounds' distance."""
    known = 1.0 / math.sqrt(value) if value > 0.0 else math.inf
    lead = int(np.argmax(np.abs(vector)))
    signed = vector * (1.0 if vector[lead] >= 0.0 else -1.0)
    parts = [(parameter.name, float(x)) for parameter, x in zip(free, signed, strict=True) if abs(x) >= 0.2]
    parts.sort(key=lambda part: -abs(part[1]))
    return {
        "combination": {name: round(x, 2) for name, x in parts},
        "error": known,
        "weak": bool(known >= UNINFORMED),
    }


def interval(parameter: Free, value: float, error: float) -> tuple[float, float] | None:
    """Normal 95 % interval of a parameter, made in its working coordinate; None without a standard error."""
    from scipy import stats

    if not math.isfinite(error):
        return None
    half = float(stats.norm.ppf(0.5 + CONFIDENCE / 2.0)) * error
    low, high = parameter.work(value) - half, parameter.work(value) + half
    if not parameter.log:
        return low, high
    limit = math.log(float(np.finfo(np.float64).max))
    return math.exp(max(low, -limit)), math.exp(min(high, limit))


def natural_error(parameter: Free, value: float, error: float) -> float | None:
    """Standard error of the value itself (delta method for a logarithm)."""
    if not math.isfinite(error):
        return None
    return value * error if parameter.log else error
