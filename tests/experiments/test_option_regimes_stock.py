"""Options on a stock that only trades for cash, under rates and under the rules of listed options."""

from __future__ import annotations

import numpy as np
import pytest

from experiments import build, scenario
from sim import invariants
from sim.kernels import state as s
from sim.market import Market

MAKERS = {"kind": "option_makers", "count": 6, "quotes": False, "hedge": "none", "contract": "stock",
          "capital_lots": 0.0001}  # fmt: skip
SEEDED = {"kind": "seed_options", "at_step": 5, "leverage": 12.0, "contract": "stock", "hedged": False}


def market(regime: str) -> Market:
    """Short puts and bought straddles on a stock whose price falls by 11 % after twenty minutes."""
    raw = {
        "market": {
            "name": "stock", "dt_seconds": 60.0, "unit_seconds": 60.0, "steps": 60, "steps_per_day": 1440, "burn_in": 0,
        },
        "contracts": [
            {
                "name": "stock", "kind": "spot", "tick_size": 0.02, "tick_value": 2, "initial_price": 5000,
                "base_currency": "STK", "base_lot": 100, "max_lots": 200_000, "max_price": 50_000,
            }
        ],
        "chains": [
            {
                "name": "OPT", "underlying": "stock", "expiry_days": [7.0], "strikes": 5, "spacing": 0.025,
                "volatility": 0.57, "tick_size": 0.01, "tick_value": 1, "priced_on": "mark",
            }
        ],
        "world": {"kind": "gbm", "volatility": 0.03},
        "margin": {"regime": regime},
        "clearing": {"mark": "mid", "liquidation": "full", "forced_limit": "none", "surplus_to": "trader"},
        "populations": [
            {"kind": "latent", "name": "latent", "contract": "stock", "count": 100, "value_centred": True,
             "arrivals": 16.0, "depth_ticks": 1000, "lifetime": 500.0},
            {"kind": "noise", "name": "noise", "contract": "stock", "count": 50},
            MAKERS | {"name": "sellers"},
            MAKERS | {"name": "buyers"},
        ],
        "events": [
            SEEDED | {"name": "a", "population": "sellers", "lots": -30, "option_type": "put"},
            SEEDED | {"name": "b", "population": "buyers", "lots": 30},
            {"name": "d", "kind": "value_jump", "at_step": 20, "log_size": -0.12},
        ],
    }  # fmt: skip
    return build.market(scenario.parse(raw, name="stock", file="stock"), 3, regime)


@pytest.mark.parametrize("regime", ["static", "reg_t"])
def test_sellers_of_puts_on_a_falling_stock_are_liquidated(regime: str) -> None:
    made = market(regime)
    while made.tick < 60:
        made.advance(5)
        invariants.check(made.state)
    lost = []
    for name in ("sellers", "buyers"):
        number = [one.name for one in made.populations].index(name)
        lost.append(int(made.state.accounts["liquidated"][made.state.accounts["population"] == number].sum()))
    assert lost[0] > 0
    assert lost[1] == 0
    assert int(made.state.meta[s.M_LIQUIDATIONS]) > 0
    assert np.count_nonzero(made.state.accounts["status"] == s.LIQUIDATING) == 0
