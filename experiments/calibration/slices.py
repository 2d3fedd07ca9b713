"""Slices of the distance through the estimate, and profile intervals made of them.

A slice moves one parameter and holds the others. The profile lets the others follow: at each place of the slice, they
are adjusted to first order along the derivatives at the estimate, which costs no further simulation. Values whose
profile lies within the 95 % point of chi-squared(1) above the smallest form the profile interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.calibration.bars import Floats
from experiments.calibration.evaluations import Evaluator
from experiments.calibration.inference import CONFIDENCE
from experiments.calibration.parameters import Free

POINTS = 9
_REACH = 3.0  # standard errors to either side, at most to the bounds
_LEAST = 0.1  # share of the bounds' distance to either side, at least


def slices(
    evaluator: Evaluator,
    free: Sequence[Free],
    best: Mapping[str, float],
    observed: Floats,
    omega: Floats,
    weight: Floats,
    matrix: Floats,
    errors: Floats,
    points: int = POINTS,
) -> list[dict[str, Any]]:
    """Slices and profiles of all parameters.

    Args:
        evaluator: simulates.
        free: the parameters.
        best: the estimate.
        observed: float64[q], moments of the data.
        omega: float64[q, q], covariance of simulated less observed moments.
        weight: float64[q, q], weights of the distance.
        matrix: float64[q, p], derivatives by working coordinates.
        errors: float64[p], standard errors of the working coordinates, NaN where there are none.
        points: places of each slice; 0 for none.

    Returns:
        Per parameter ``values``, ``distance`` (the slice), ``profile``, and the interval ``low``, ``high`` with
        ``closed`` telling whether it ended inside the slice on each side.
    """
    if points < 2:
        return []
    places = [_places(p, best[p.name], float(e), points) for p, e in zip(free, errors, strict=True)]
    evaluator([dict(best) | {p.name: value} for p, row in zip(free, places, strict=True) for value in row])
    inverse = np.asarray(np.linalg.pinv(omega, hermitian=True), np.float64)
    found = []
    for number, (parameter, row) in enumerate(zip(free, places, strict=True)):
        others = np.delete(matrix, number, axis=1)
        distance, profile = [], []
        for evaluation in evaluator([dict(best) | {parameter.name: value} for value in row]):
            if evaluation.moments is None:
                distance.append(float("nan"))
                profile.append(float("nan"))
                continue
            gap = evaluation.mean - observed
            distance.append(float(gap @ weight @ gap))
            profile.append(_adjusted(gap, others, inverse))
        found.append({"parameter": parameter.name, "values": row, "distance": distance, "profile": profile}
                     | _interval(parameter, row, np.array(profile)))  # fmt: skip
    return found


def _places(parameter: Free, value: float, error: float, points: int) -> list[float]:
    unit = parameter.unit(value)
    reach = _REACH * error / parameter.width if np.isfinite(error) else 1.0
    reach = max(reach, _LEAST)
    # the estimate itself is always among them: odd counts have it in the middle, the ends stop at the bounds
    below = np.linspace(max(0.0, unit - reach), unit, points // 2 + 1)
    above = np.linspace(unit, min(1.0, unit + reach), points - points // 2)
    values = {parameter.value(float(u)) for u in (*below, *above)} | {value}
    return sorted(values)


def _adjusted(gap: Floats, others: Floats, inverse: Floats) -> float:
    """Smallest distance when the other parameters follow to first order."""
    if others.size and np.isfinite(others).all():
        follow = -np.linalg.pinv(others.T @ inverse @ others, hermitian=True) @ (others.T @ inverse @ gap)
        gap = gap + others @ follow
    return float(gap @ inverse @ gap)


def _interval(parameter: Free, values: Sequence[float], profile: Floats) -> dict[str, Any]:
    from scipy import stats

    known = np.isfinite(profile)
    if known.sum() < 3:
        return {"low": None, "high": None, "closed": [False, False]}
    work = np.array([parameter.work(value) for value in values])[known]
    height = profile[known] - profile[known].min() - float(stats.chi2.ppf(CONFIDENCE, 1))
    at = int(np.argmin(height))
    low, low_closed = _crossing(work[at::-1], height[at::-1])
    high, high_closed = _crossing(work[at:], height[at:])
    back = np.exp if parameter.log else float
    return {"low": float(back(low)), "high": float(back(high)), "closed": [low_closed, high_closed]}


def _crossing(work: Floats, height: Floats) -> tuple[float, bool]:
    """Where the profile leaves the interval on its way out, between two places; the last place if it does not."""
    for k in range(1, len(work)):
        if height[k] > 0.0:
            share = height[k - 1] / (height[k - 1] - height[k])
            return float(work[k - 1] + share * (work[k] - work[k - 1])), True
    return float(work[-1]), False
