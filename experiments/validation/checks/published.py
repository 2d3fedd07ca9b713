"""Published numbers that follow from formulas: impact, critical leverage, the gain of a cascade."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.impact import published
from experiments.validation.bands import ESTIMATE, Band, Context, Measurement

QUICK_SECONDS = FULL_SECONDS = 0.1

_ALMGREN = "Almgren et al. (2005), Risk 18(7), 58-62, table for IBM"
_IBM = {"daily_volume": 6_561_000.0, "daily_volatility": 0.0157, "shares_outstanding": 1.728e9}
_COSTS = ((0.1, 32.2), (0.2, 24.6), (0.5, 18.4))  # days of trading, cost in bp
_TOLERANCE = 0.1  # bp
_EXACT = 1e-9  # rounding


def _band(id: str, question: str, value: float, tolerance: float, unit: str, source: str) -> Band:
    fixed: dict[str, Any] = {"rule": ESTIMATE, "market": ""}
    said = f"{value:g}{f' {unit}' if unit else ''}"
    statement = f"{said}, within {tolerance:g}" if tolerance > _EXACT else f"{said} exactly"
    return Band(
        id, "published numbers", question, statement, value - tolerance, value + tolerance, unit, source, "published",
        1, 1, **fixed,
    )  # fmt: skip


BANDS = (
    _band("t21-permanent", "Permanent impact of 10 % of IBM's daily volume?", 19.9, _TOLERANCE, "bp", _ALMGREN),
    *(
        _band(f"t21-cost-{days:g}", f"Cost of that trade over {days:g} days?", cost, _TOLERANCE, "bp", _ALMGREN)
        for days, cost in _COSTS
    ),
    _band(
        "t21-critical-leverage", "Critical leverage where the whole position moves the price by 10 %: 3 / (2 I)?", 15.0,
        _EXACT, "", "Caccioli, Bouchaud and Farmer (2012), arXiv:1204.0922",
    ),
    _band("t21-gain", "Amplification at a gain of 0.8: 1 / (1 - g)?", 5.0, _EXACT, "", "geometric series"),
)  # fmt: skip


def check(context: Context) -> Mapping[str, Measurement]:
    """Evaluate the formulas."""
    found = {}
    for days, _ in _COSTS:
        trade = published.almgren(0.1 * _IBM["daily_volume"], duration=days, **_IBM)
        found[f"t21-cost-{days:g}"] = Measurement.exact(1e4 * trade["cost"], 0)
        found["t21-permanent"] = Measurement.exact(1e4 * trade["permanent"], 0)
    leverage = published.critical_leverage(0.1)
    found["t21-critical-leverage"] = Measurement.exact(leverage["critical_leverage"], 0)
    found["t21-gain"] = Measurement.exact(published.amplification(0.8)["amplification"], 0)
    return found
