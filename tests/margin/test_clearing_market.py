"""The clearing houses' rules in a running market, through the NumPy path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import margin
from sim.views import portfolio_view
from tests.sim import markets

STEPS = 100  # past the crash at step 90
RULES: list[tuple[str, dict[str, Any]]] = [
    ("span", {"credits": [{"legs": {"a": 1.0, "b": -1.0}, "credit": 0.5}]}),
    ("tims", {"product_groups": [{"underlyings": ["a", "b"], "offset": 0.5}], "initial_ratio": 2.0}),
    ("hs_portfolio_intraday", {"window": 20, "sample_interval": "1min", "horizon": "10min"}),
]


@pytest.mark.parametrize(("name", "params"), RULES)
def test_the_rule_margins_a_market(name: str, params: dict[str, Any], tmp_path: Path) -> None:
    model: Any = margin.create(name, params)
    market = markets.market(model, contract_count=2)
    market.advance(STEPS // 2)
    market.save(tmp_path / "half.npz")
    again = market.load(tmp_path / "half.npz")
    market.advance(STEPS - STEPS // 2)
    again.advance(STEPS - STEPS // 2)
    market.check()
    view, lots = portfolio_view(market), market.state.positions["lots"]
    np.testing.assert_array_equal(lots, again.state.positions["lots"])
    held = np.flatnonzero(np.abs(lots).sum(axis=1))
    assert len(held) > 10
    risk = model.publish(market.view, {})[0]
    fast, slow = model.requirement(view, risk), model.explain(view, risk)
    np.testing.assert_array_equal(fast.initial, slow.initial)
    np.testing.assert_array_equal(fast.maintenance, slow.maintenance)
    assert (fast.maintenance[held] > 0).all()
