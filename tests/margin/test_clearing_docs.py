"""The worked examples of docs/regimes/{span,tims,historical}.md, recomputed from their portfolio files."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.margin.grids import Desk

PORTFOLIOS = Path(__file__).parents[2] / "docs" / "portfolios"


def explained(name: str, **params: Any) -> tuple[dict[str, float], float, float]:
    raw = tomllib.loads((PORTFOLIOS / f"{name}.toml").read_text("utf-8"))
    desk = Desk(raw["regime"], raw.get("params", {}) | params, raw)
    view, minor = desk.snap.portfolio, desk.snap.minor
    answer, fast = desk.rule.explain(view, desk.risk), desk.rule.requirement(view, desk.risk)
    assert fast.initial[0] == answer.initial[0]
    assert fast.maintenance[0] == answer.maintenance[0]
    parts = {key: float(value[0]) / minor for key, value in answer.maintenance_parts.items()}
    return parts, answer.maintenance[0] / minor, answer.initial[0] / minor


def test_the_span_example() -> None:
    parts, maintenance, initial = explained("span")
    assert parts == pytest.approx(
        {
            "scan_risk": 135_000,
            "calendar_spreads": 1_600,
            "delivery": 0,
            "spread_credits": -81_000,
            "short_option_minimum": 0,
        },
        abs=0.05,
    )
    assert maintenance == pytest.approx(55_600, abs=0.05)
    assert initial == pytest.approx(61_160, abs=0.05)


def test_t11_the_given_array_of_a_long_call() -> None:
    assert explained("span_array")[1] == 3_990


def test_the_tims_example() -> None:
    parts, maintenance, _ = explained("tims")
    assert maintenance == pytest.approx(2_875, abs=1e-4)
    assert parts["minimum_charge"] == pytest.approx(75, abs=1e-4)


def test_the_historical_examples() -> None:
    assert explained("hs_portfolio")[1] == pytest.approx(50.33, abs=0.005)
    assert explained("hs_portfolio", measure="var")[1] == pytest.approx(27.01, abs=0.005)
