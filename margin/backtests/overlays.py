"""Anti-procyclicality tools over a series of margins, with references from the series' own past.

The formulas are those of :mod:`margin.procyclicality`, in the same order: stress weight, buffer, floor, speed limit,
cap. A market is given its references (stressed volatility, levels of the buffer, floor) as numbers; a backtest takes
them from the ten years before each day, unless they are given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from margin.procyclicality import level_buffered, reference_buffered, speed_limited, stress_weighted
from sim.errors import ConfigError

TOOLS = {
    "stress": "(1 - w) M + w x the largest M of the ten years before; stress=W or stress=W/VOLATILITY",
    "buffer": "M (1 + b k), k falling from 1 to 0 between the median and the 95 % quantile of M's ten years; buffer=B",
    "reference_buffer": "max(M, (1 + b) min(M, R)), R following M; reference_buffer=B/HALF_LIFE in days",
    "floor": "not below the rate of the ten years' volatility; floor, or floor=RATE",
    "speed": "no day's rise above x; speed=X",
    "cap": "not above a rate; cap=RATE",
}
_ORDER = {"stress": 0, "buffer": 1, "reference_buffer": 1, "floor": 2, "speed": 3, "cap": 4}
_DEFAULTS: dict[str, tuple[float, ...]] = {
    "stress": (0.25,), "buffer": (0.25,), "reference_buffer": (0.25, 60.0), "floor": (), "speed": (0.05,), "cap": (),
}  # fmt: skip
_MOST_NUMBERS = {"stress": 2, "buffer": 1, "reference_buffer": 2, "floor": 1, "speed": 1, "cap": 1}
_LEAST_QUANTILES = 250  # margins from which the levels of the buffer are taken


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool.

    Attributes:
        kind: a key of ``TOOLS``.
        numbers: its parameters, in the order that ``TOOLS`` gives.
    """

    kind: str
    numbers: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """As :func:`parse_tool` reads it; numbers that are the default are left out."""
        if self.numbers == _DEFAULTS[self.kind]:
            return self.kind
        return f"{self.kind}=" + "/".join(f"{value:g}" for value in self.numbers)

    def needed_returns(self, least: int, lookback: int) -> int:
        """Returns before the window that the tool needs, over a model that needs ``least``."""
        if self.kind == "floor" and not self.numbers:
            return (lookback + 1) // 2
        if self.kind == "buffer":
            return least + min(_LEAST_QUANTILES, lookback)
        return least + 1 if self.kind == "stress" and len(self.numbers) < 2 else least


def parse_tool(text: str) -> Tool:
    """A tool from ``KIND[=NUMBER[/NUMBER]]``.

    Raises:
        ConfigError: unknown tool, or a number that does not fit.

    Examples:
        >>> parse_tool("buffer").numbers, parse_tool("speed=0.1").numbers
        ((0.25,), (0.1,))
    """
    kind, _, tail = text.strip().partition("=")
    if kind not in TOOLS:
        raise ConfigError.of("--overlay", text, "one of all, none, " + ", ".join(TOOLS))
    try:
        numbers = tuple(float(part) for part in tail.split("/")) if tail else ()
    except ValueError:
        numbers = (math.nan,)
    good = len(numbers) <= _MOST_NUMBERS[kind] and all(0.0 < value < math.inf for value in numbers)
    upper = {"stress": 1.0, "floor": 1.0, "cap": 1.0}.get(kind, math.inf)
    if not good or (numbers and numbers[0] > upper) or (kind == "cap" and not numbers):
        raise ConfigError.of("--overlay", text, f"{TOOLS[kind]}; numbers above 0, rates and weights up to 1")
    return Tool(kind, (*numbers, *_DEFAULTS[kind][len(numbers) :]))


def parse_tools(texts: Sequence[str]) -> tuple[Tool, ...]:
    """Tools in the order in which they apply, each kind once.

    Raises:
        ConfigError: an unknown tool, a kind twice, both buffers, or a floor above the cap.
    """
    tools = sorted((parse_tool(text) for text in texts), key=lambda tool: _ORDER[tool.kind])
    places = [_ORDER[tool.kind] for tool in tools]
    if len(set(places)) < len(places):
        raise ConfigError.of("--overlay", "+".join(texts), "each tool once, and one of buffer, reference_buffer")
    limits = {tool.kind: tool.numbers[0] for tool in tools if tool.numbers and tool.kind in ("floor", "cap")}
    if limits.get("floor", 0.0) > limits.get("cap", 1.0):
        raise ConfigError.of("--overlay", "+".join(texts), "a floor that is not above the cap")
    return tuple(tools)


def apply_tools(
    margin: np.ndarray, tools: Sequence[Tool], returns: np.ndarray, multiple: float, lookback: int
) -> np.ndarray:
    """Margins after the tools.

    Args:
        margin: float64[n], calculated rates; NaN where the model has too few returns.
        tools: from :func:`parse_tools`.
        returns: float64[n], which the floor's volatility is taken from.
        multiple: margin per unit of daily volatility (quantile x horizon).
        lookback: returns that the ten years stand for.

    Returns:
        float64[n]; element i depends on ``returns[:i]`` alone.
    """
    rate = margin
    for tool in tools:
        rate = _applied(rate, tool, returns, multiple, lookback)
    return rate


def _applied(rate: np.ndarray, tool: Tool, returns: np.ndarray, multiple: float, lookback: int) -> np.ndarray:
    numbers = tool.numbers
    if tool.kind == "stress":
        stressed = np.full(len(rate), multiple * numbers[1]) if len(numbers) > 1 else _before(rate, lookback, 1).max()
        return stress_weighted(rate, np.asarray(stressed), numbers[0])
    if tool.kind == "buffer":
        past = _before(rate, lookback, min(_LEAST_QUANTILES, lookback))
        return level_buffered(rate, np.asarray(past.quantile(0.5)), np.asarray(past.quantile(0.95)), numbers[0])
    if tool.kind == "reference_buffer":
        return _following(rate, numbers[0], 0.5 ** (1.0 / numbers[1]))
    if tool.kind == "floor":
        if numbers:
            return np.maximum(rate, numbers[0])
        squares = np.asarray(_before(returns**2, lookback, (lookback + 1) // 2).mean())
        return np.fmax(rate, multiple * np.sqrt(squares)) + 0.0 * rate
    if tool.kind == "speed":
        return _limited(rate, 1.0 + numbers[0])
    return np.minimum(rate, numbers[0])


def _before(values: np.ndarray, lookback: int, least: int):  # type: ignore[no-untyped-def]
    """Rolling window over the values before each place."""
    import pandas as pd

    return pd.Series(values).shift(1).rolling(lookback, min_periods=least)


def _following(rate: np.ndarray, buffer: float, kept: float) -> np.ndarray:
    """The buffer of a market: its reference starts at the first rate and closes ``1 - kept`` of its gap each day."""
    changed = np.full(len(rate), np.nan)
    reference = math.nan
    for i in np.flatnonzero(~np.isnan(rate)).tolist():
        reference = rate[i] if math.isnan(reference) else reference
        changed[i] = reference_buffered(rate[i], np.asarray(reference), buffer)
        reference += (1.0 - kept) * (rate[i] - reference)
    return changed


def _limited(rate: np.ndarray, growth: float) -> np.ndarray:
    limited = rate.copy()
    for i in range(1, len(rate)):
        if not math.isnan(limited[i - 1]):
            limited[i] = speed_limited(rate[i], limited[i - 1], growth)
    return limited
