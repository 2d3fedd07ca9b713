"""Speed of a market with a whole option chain: six expiries, twenty-one strikes, calls and puts, 5,000 traders.

The perpetual's traders trade on; option makers quote the chain and hedge in the perpetual; every other trader holds a
few options and the position that hedges them, so that margin and liquidation look at the whole portfolio of each in
every step. The market is built anew in every round and brought to that state (not timed).
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from experiments.bench.calibration import Benchmark, Work

if TYPE_CHECKING:
    from sim.market import Market

TRADERS = 5_000
REGIMES = ("static", "portfolio")
_SEEDED, _WARM, _STEPS = 30, 60, 400
_HOLDERS = 4_600
_MAKERS = 4
_OTHERS = 287  # traders of the perpetual's own market


def tables() -> dict[str, Any]:
    """The scenario: what it changes in the built-in perpetual."""
    return {
        "extends": "perpetual",
        "market": {"steps": 2_000, "burn_in": 100},
        "record": {"every": 10},
        "chains": [
            {
                "name": "OPT", "underlying": "perp", "expiry_days": [1.5, 3.0, 7.0, 14.0, 30.0, 60.0], "strikes": 21,
                "spacing": 0.01, "volatility": 0.25, "priced_on": "mark", "tick_size": 0.01, "tick_value": 1,
            }
        ],
        "populations": [
            {"kind": "option_makers", "name": "dealers", "count": _MAKERS, "capital_lots": 20_000.0, "child_lots": 1},
            {"kind": "trend_followers", "name": "holders", "count": _HOLDERS, "capital_lots": 0.2},
            {"kind": "hedgers", "name": "more", "count": TRADERS - _HOLDERS - _MAKERS - _OTHERS},
        ],
        "events": [
            {
                "name": "options", "kind": "seed_options", "at_step": _SEEDED, "population": "holders",
                "gamma_per_depth": 5.0, "expiry_days": [7.0], "strikes": [0.99, 1.01], "leverage": 1.0,
            }
        ],
    }  # fmt: skip


def market_of(regime: str) -> Market:
    """The market after its first steps, options seeded."""
    from experiments import build, scenario

    market = build.market(scenario.parse(tables(), name="chain", file="chain"), seed=1, regime=regime)
    market.advance(_WARM)
    return market


def _by_advance(regime: str) -> Work:
    def work() -> tuple[float, float]:
        market = market_of(regime)
        start = time.perf_counter()
        market.advance(_STEPS)
        return _STEPS, time.perf_counter() - start

    return work


def benchmarks() -> list[Benchmark]:
    """Steps per second of the chain's market, by regime."""
    return [
        Benchmark(f"chain.advance.{regime}", "steps/s", partial(_by_advance, regime), rounds=5) for regime in REGIMES
    ]
