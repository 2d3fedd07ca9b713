"""How simulated moments answer to each parameter: paired central differences over seeds, and their trustworthiness.

Derivatives are taken in the working coordinate of a parameter (its value, or its logarithm) over a stated share of the
distance of the bounds, never over tiny steps: a simulated market answers to a tiny change by taking another course, not
by a small change of its moments. A parameter that takes whole numbers is moved by at least one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.calibration.bars import Floats
from experiments.calibration.evaluations import Evaluation, Evaluator
from experiments.calibration.parameters import Free

STEP = 0.05
"""Half-width of the difference, as a share of the distance of the bounds; checked against half of it."""
_STEADY = 0.25  # relative change of a column, in the metric of the weights, that is taken as steady
_CLEAR = 3.0  # length of a column, less what noise adds to it, over its standard error: clear from here on


@dataclass(frozen=True)
class Jacobian:
    """Derivatives of the mean simulated moments.

    Attributes:
        matrix: float64[q, p], per unit of the working coordinate; NaN columns where it could not be taken.
        columns: per parameter, what was done and how far it can be trusted.
    """

    matrix: Floats
    columns: tuple[dict[str, Any], ...]


def jacobian(
    evaluator: Evaluator, free: Sequence[Free], best: Mapping[str, float], weight: Floats, step: float = STEP
) -> Jacobian:
    """Differentiate the simulated moments at a point.

    Args:
        evaluator: simulates, with the same seeds on both sides.
        free: the parameters.
        best: the point.
        weight: float64[q, q], metric in which columns are compared.
        step: half-width of the difference as a share of the bounds' distance.
    """
    plans = [(_sides(p, best[p.name], step), _sides(p, best[p.name], step / 2.0)) for p in free]
    wanted = [dict(best)]
    for parameter, both in zip(free, plans, strict=True):
        wanted += [dict(best) | {parameter.name: value} for sides in both for value in sides]
    evaluator(wanted)  # all at once: a pool of workers is kept busy
    columns, matrix = [], []
    for parameter, (wide, narrow) in zip(free, plans, strict=True):
        column, rows = _column(evaluator, parameter, best, wide)
        half, _ = _column(evaluator, parameter, best, narrow)
        matrix.append(column)
        columns.append(_told(parameter, wide, narrow, column, half, rows, weight))
    return Jacobian(np.array(matrix).T, tuple(columns))


def _sides(parameter: Free, value: float, step: float) -> tuple[float, float]:
    """The lower and the upper point of a difference, inside the bounds."""
    unit = parameter.unit(value)
    low, high = parameter.value(unit - step), parameter.value(unit + step)
    if parameter.whole:
        low = max(parameter.low, min(low, value - 1.0))
        high = min(parameter.high, max(high, value + 1.0))
    return low, high


def _column(
    evaluator: Evaluator, parameter: Free, best: Mapping[str, float], sides: tuple[float, float]
) -> tuple[Floats, Floats | None]:
    """The derivative from the two sides, or from one and the middle where the other cannot be run; and per seed."""
    middle = best[parameter.name]
    low, high, here = evaluator([dict(best) | {parameter.name: value} for value in (*sides, middle)])
    pairs: list[tuple[Evaluation, Evaluation]] = [(low, high), (here, high), (low, here)]
    for below, above in pairs:
        if below.moments is None or above.moments is None:
            continue
        distance = parameter.work(above.values[parameter.name]) - parameter.work(below.values[parameter.name])
        if distance > 0.0:
            rows = (above.moments - below.moments) / distance
            return rows.mean(axis=0), rows
    reference = here.moments
    size = 0 if reference is None else reference.shape[1]
    return np.full(size, np.nan), None


def _told(
    parameter: Free, wide: tuple[float, float], narrow: tuple[float, float], column: Floats, half: Floats,
    rows: Floats | None, weight: Floats,
) -> dict[str, Any]:  # fmt: skip
    """What was done for a parameter and whether the two widths agree, up to the noise of the seeds."""
    told: dict[str, Any] = {"parameter": parameter.name, "from": wide[0], "to": wide[1], "half_from": narrow[0],
                            "half_to": narrow[1]}  # fmt: skip
    if rows is None:
        return told | {"change": None, "noise": None, "signal": None, "steady": False, "clear": False}
    length = _length(column, weight)
    noise = own = float("nan")
    if len(rows) > 1 and length > 0.0:
        covariance = np.atleast_2d(np.cov(rows, rowvar=False)) / len(rows)
        noise = max(float(np.trace(weight @ covariance)), 0.0) ** 0.5
        pulled = weight @ column / length
        own = max(float(pulled @ covariance @ pulled), 0.0) ** 0.5  # along the column itself
    change = _length(column - half, weight)
    # the half-width difference is twice as noisy and shares nothing but the seeds with the wide one
    steady = bool(change <= _STEADY * length or (noise == noise and change <= 2.0 * np.sqrt(5.0) * noise))
    # noise makes every column longer than it is: its share is taken off before the comparison
    net = max(length**2 - noise**2, 0.0) ** 0.5 if noise == noise else length
    signal = net / own if own == own and own > 0.0 else None
    clear = bool(length > 0.0 and (signal is None or signal >= _CLEAR))
    return told | {
        "change": change / length if length > 0.0 else None, "noise": noise / length if length > 0.0 else None,
        "signal": signal, "steady": steady and wide != narrow, "clear": clear,
    }  # fmt: skip


def _length(vector: Floats, weight: Floats) -> float:
    return max(float(vector @ weight @ vector), 0.0) ** 0.5
