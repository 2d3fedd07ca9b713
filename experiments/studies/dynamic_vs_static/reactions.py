"""How a published rate moved, and whether it was enough: measures of procyclicality and coverage from a step table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Horizons:
    """Over how many steps rates and losses are looked at.

    Attributes:
        short: of the short-term rise.
        long: of the long-term rise.
        risk: margin period of risk: a loss over it is compared with the rate at its start.
        every: steps between the starts of those periods.
    """

    short: int
    long: int
    risk: int
    every: int


LABELS = {
    "peak_to_trough": ("peak-to-trough of the rate", "number"),
    "rise_short": ("largest rise of the rate, short", "fraction"),
    "rise_long": ("largest rise of the rate, long", "fraction"),
    "coverage": ("losses covered by the initial rate", "fraction"),
    "largest_shortfall": ("largest loss beyond the initial rate", "fraction"),
    "called_share": ("amount called over traders' equity at the start", "fraction"),
}
"""What each measure is called, and its kind (:mod:`experiments.vocabulary`)."""


def reactions(steps: pd.DataFrame, horizons: Horizons, *, start: int, end: int) -> dict[str, float]:
    """Measures of one run over a window, means over contracts.

    Args:
        steps: the step table, one row per recorded step and contract.
        horizons: of rises and losses, steps.
        start: step at whose end the window begins; the rate in force there counts.
        end: last step of the window.

    Returns:
        ``peak_to_trough`` (largest over smallest rate), ``rise_short`` and ``rise_long`` (largest relative rise of the
        rate over a horizon), ``coverage`` (share of margin periods of risk, of a long and of a short lot, whose loss of
        the mark is within the initial rate at the start of the period), ``largest_shortfall`` (largest loss beyond that
        rate, as a share of the mark, 0 where there is none), ``called_share`` (amount called in the window over the
        equity of all traders at its start).

    Raises:
        ValueError: the window holds no whole margin period of risk.
    """
    contracts = int(steps["contract"].nunique())
    step = steps["step"].to_numpy().reshape(-1, contracts)[:, 0]
    first = max(0, int(np.searchsorted(step, start, side="right")) - 1)
    inside = slice(first, int(np.searchsorted(step, end, side="right")))
    step = step[inside]

    def panel(name: str) -> NDArray[np.float64]:
        return np.asarray(steps[name].to_numpy().reshape(-1, contracts)[inside], np.float64)

    rate, mark = panel("rate_initial"), panel("mark")
    starts = np.arange(int(step[0]), int(step[-1]) - horizons.risk + 1, horizons.every)
    if not len(starts):
        raise ValueError(f"no margin period of risk of {horizons.risk} steps lies in the window {start} to {end}")
    at, after = _rows(step, starts), _rows(step, starts + horizons.risk)
    gain = mark[after] / mark[at] - 1.0
    beyond = np.maximum(np.abs(gain) - rate[at], 0.0)
    # of a long and a short lot one gains, and is covered; the other loses what the mark moved
    covered = 1.0 - 0.5 * float(np.mean(beyond > 0.0))
    called, equity = panel("call_amount")[:, 0], panel("equity")[0, 0]
    return {
        "peak_to_trough": float(np.mean(rate.max(axis=0) / rate.min(axis=0))),
        "rise_short": _largest_rise(step, rate, horizons.short),
        "rise_long": _largest_rise(step, rate, horizons.long),
        "coverage": covered,
        "largest_shortfall": float(np.mean(beyond.max(axis=0))),
        "called_share": float((called[-1] - called[0]) / equity) if equity > 0 else float("nan"),
    }


def _rows(step: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.intp]:
    """The newest recorded row at or before each step."""
    return np.asarray(np.searchsorted(step, wanted, side="right") - 1)


def _largest_rise(step: NDArray[np.int64], rate: NDArray[np.float64], over: int) -> float:
    """Largest ``rate(t) / rate(t - over) - 1``, at least 0, mean over contracts; NaN in a shorter window."""
    late = step[step >= step[0] + over]
    if not len(late):
        return float("nan")
    change = rate[_rows(step, late)] / rate[_rows(step, late - over)] - 1.0
    return float(np.mean(np.maximum(change.max(axis=0), 0.0)))
