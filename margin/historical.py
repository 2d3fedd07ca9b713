"""Historical rates in a market: windows of returns sampled from the mark, and the tails of them.

* ``hs``: the tail of the last W returns;
* ``fhs``: each return over the EWMA volatility known before it, the tail of the last W of these times today's
  volatility (Barone-Adesi, Giannopoulos and Vosper 1999);
* ``fhs_rescaled``: each return times today's volatility over its own (Hull and White 1998).

Over one sample the two filtered forms are the same number, since the tail is homogeneous. Where values are sums of
overlapping returns, ``fhs`` divides the sum by the volatility at its start, ``fhs_rescaled`` each return by its own.

The window starts full: a normal sample of the start volatility, scaled so that the first rate is the normal multiple of
it. Real samples replace these one by one, so the start has left after W samples.
"""

from __future__ import annotations

import math

import numpy as np

from margin.kernels.columns import (
    FILTER_DAYS,
    FILTER_NONE,
    FILTER_START,
    MEASURE_ES,
    MEASURE_VAR,
    P_FILTER,
    P_MEASURE,
    P_OVERLAP,
    P_TAIL_COUNT,
    P_TAIL_PART,
    P_TAILS,
    P_VARIANCE,
    P_WINDOW,
    S_PLACE,
    S_SAMPLES,
    S_VARIANCE,
    TAIL_BOTH,
    TAIL_LOWER,
    TAIL_UPPER,
)
from sim.kernels.realmath import exp, normal_quantile

WINDOWED = ("hs", "fhs", "fhs_rescaled")
_FILTERS = {"hs": FILTER_NONE, "fhs": FILTER_START, "fhs_rescaled": FILTER_DAYS}
_TAILS = {"both": TAIL_BOTH, "long": TAIL_LOWER, "short": TAIL_UPPER}


def tail_probability(confidence: float) -> float:
    """One less the confidence, without the dust of the subtraction (0.01 for 0.99)."""
    return round(1.0 - confidence, 12)


def tail_place(size: int, probability: float) -> tuple[int, float]:
    """Where the interpolated quantile of an ascending sample stands.

    Args:
        size: values of the sample.
        probability: of the tail.

    Returns:
        How many order statistics stand at or below it (at least 1), and the part of the way to the next one.

    Examples:
        >>> tail_place(501, 0.01), tail_place(250, 0.01)
        ((6, 0.0), (3, 0.49))
    """
    place = round(probability * (size - 1), 9)
    count = math.floor(place) + 1
    return count, round(place - (count - 1), 9)


def normal_multiple(confidence: float, measure: str = "var") -> float:
    """Margin per unit of volatility under a normal law: the quantile, or the expected shortfall ``phi(z) / (1 - c)``.

    Examples:
        >>> round(normal_multiple(0.99), 4), round(normal_multiple(0.975, "es"), 4)
        (2.3263, 2.3378)
    """
    quantile = float(normal_quantile(confidence))
    if measure == "var":
        return quantile
    return float(exp(-0.5 * quantile * quantile)) / math.sqrt(2.0 * math.pi) / tail_probability(confidence)


def cells_of(size: int, overlap: int) -> int:
    """Floats that a window needs per contract: by age, sorted, and the rings of the overlapping samples."""
    return 2 * size + (2 * overlap if overlap > 1 else 0)


def write_window(
    table: np.ndarray, estimator: str, size: int, overlap: int, confidence: float, measure: str, tails: str
) -> None:
    """Write the window's columns of ``model_params``.

    Args:
        table: float64[C, K], mutated.
        estimator: one of ``WINDOWED``.
        size: values of the window.
        overlap: samples that a value spans.
        confidence: such as 0.99.
        measure: ``"var"`` or ``"es"``.
        tails: ``"both"``, ``"long"`` or ``"short"``.
    """
    count, part = tail_place(size, tail_probability(confidence))
    table[:, P_WINDOW], table[:, P_OVERLAP] = size, overlap
    table[:, P_FILTER] = _FILTERS[estimator]
    table[:, P_MEASURE] = MEASURE_ES if measure == "es" else MEASURE_VAR
    table[:, P_TAILS] = _TAILS[tails]
    table[:, P_TAIL_COUNT], table[:, P_TAIL_PART] = count, part


def first_window(params: np.ndarray, multiple: float) -> np.ndarray:
    """The windows at the start.

    Args:
        params: float64[C, K], with the start's variance and the window's columns.
        multiple: margin per unit of volatility that the first rate shows.

    Returns:
        float64[C, cells].
    """
    size, overlap = int(params[0, P_WINDOW]), int(params[0, P_OVERLAP])
    upper = [float(normal_quantile((2 * i + 1) / (2.0 * size))) for i in range((size + 1) // 2, size)]
    grid = np.array([*(-value for value in reversed(upper)), *([0.0] * (size % 2)), *upper])
    windows = np.zeros((len(params), cells_of(size, overlap)))
    windows[:, size : 2 * size] = grid
    # neighbours in size are far apart in age, so that the start leaves all parts of the window at the same pace
    stride = next(k for k in range(max(round(0.618 * size), 1), 2 * size) if math.gcd(k, size) == 1)
    order = (np.arange(size) * stride) % size
    for row, window in zip(params, windows, strict=True):
        scale = multiple * math.sqrt(overlap) / tail_loss(row, window)
        if row[P_FILTER] == FILTER_NONE:
            scale *= math.sqrt(row[P_VARIANCE])
        window[size : 2 * size] *= scale
        window[:size] = window[size : 2 * size][order]
    return windows


def observe_window(params: np.ndarray, memory: np.ndarray, window: np.ndarray, change: float) -> None:
    """Feed a return to one contract's window: the readable form of the compiled one.

    Args:
        params: float64[K].
        memory: float64[K], before the sample reached the variance; the place in the ring is mutated.
        window: float64[cells], mutated.
        change: log return of the mark since the last sample.
    """
    size, overlap = int(params[P_WINDOW]), int(params[P_OVERLAP])
    volatility, samples = math.sqrt(memory[S_VARIANCE]), int(memory[S_SAMPLES])
    if overlap == 1:
        value = change if params[P_FILTER] == FILTER_NONE else _over(change, volatility)
    else:
        returns = window[2 * size : 2 * size + overlap]
        volatilities = window[2 * size + overlap :][:overlap]
        returns[samples % overlap], volatilities[samples % overlap] = change, volatility
        if samples + 1 < overlap:
            return
        oldest_first = [(samples + 1 + i) % overlap for i in range(overlap)]
        each = params[P_FILTER] == FILTER_DAYS
        value = sum(_over(returns[i], volatilities[i]) if each else returns[i] for i in oldest_first)
        if params[P_FILTER] == FILTER_START:
            value = _over(value, volatilities[oldest_first[0]])
    place = int(memory[S_PLACE])
    window[place] = value
    window[size : 2 * size] = np.sort(window[:size])
    memory[S_PLACE] = (place + 1) % size


def _over(change: float, volatility: float) -> float:
    return change / volatility if volatility > 0.0 else 0.0


def tail_loss(params: np.ndarray, window: np.ndarray) -> float:
    """Loss at the tail or tails of one contract's window, at least zero: the readable form of the compiled one."""
    size = int(params[P_WINDOW])
    ascending = window[size : 2 * size]
    sides = []
    if params[P_TAILS] != TAIL_UPPER:
        sides.append(_tail(params, -ascending))
    if params[P_TAILS] != TAIL_LOWER:
        sides.append(_tail(params, ascending[::-1]))
    return max(0.0, *sides)


def _tail(params: np.ndarray, losses: np.ndarray) -> float:
    """Of losses, largest first."""
    count = int(params[P_TAIL_COUNT])
    if params[P_MEASURE] == MEASURE_ES:
        return float(sum(losses[:count].tolist()) / count)
    inner, outer = losses[count - 1], losses[min(count, len(losses) - 1)]
    return float(inner + params[P_TAIL_PART] * (outer - inner))
