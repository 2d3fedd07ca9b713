"""Small whole markets, in which accounts are liquidated within a few hundred steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import agents
import margin
from agents.registry import MarketInfo
from sim.config import ClearingConfig, MarketConfig, RecordConfig, ScriptedEvent
from sim.contracts import Contract
from sim.market import Market
from sim.world import GbmWorld, WorldPaths, build_world

STEPS = 240
CRASH = 90
CLEARING = ClearingConfig(fund_initial=100_000, max_rounds=5)
RATES = {"initial": 0.05, "maintenance": 0.03}
EVENTS = (
    ScriptedEvent("open_interest", "seed_open_interest", 60, population="leveraged", lots=400, leverage_high=20.0),
    ScriptedEvent("crash", "metaorder", CRASH, side=-1, lots=700, steps=30),
)
POPULATIONS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("latent", "latent", {"count": 20, "lifetime": 60.0, "depth_ticks": 600}),
    ("noise", "noise", {"count": 20, "arrivals": 2.0}),
    ("market_makers", "makers", {"count": 2}),
    ("trend_followers", "leveraged", {"count": 60, "period": 5, "horizon_low": 5, "horizon_high": 30}),
    ("liquidators", "liquidators", {"count": 2, "capital_lots": 20.0}),
)


def contracts(count: int, underlying: str = "") -> list[Contract]:
    return [
        Contract(
            name,
            initial_price=2000,
            max_price=8000,
            max_lots=100_000,
            tick_value=10,
            funding_interval_steps=50,
            underlying=underlying,
        )
        for name in "ab"[:count]
    ]


def world(count: int = 1, seed: int = 3, steps: int = STEPS) -> WorldPaths:
    return build_world(GbmWorld(volatility=0.03), contracts(count), steps, 60.0, 1440, seed, ())


def market(
    regime: Any = "static",
    *,
    seed: int = 3,
    steps: int = STEPS,
    views: bool = False,
    events: Sequence[ScriptedEvent] = EVENTS,
    populations: Sequence[tuple[str, str, dict[str, Any]]] = POPULATIONS,
    contract_count: int = 1,
    underlying: str = "",
    record: RecordConfig | None = None,
    shadows: Sequence[str] = (),
    **clearing: Any,
) -> Market:
    info = MarketInfo(tuple("ab"[:contract_count]), 60.0, 1440)

    def model(name: Any) -> Any:
        if not isinstance(name, str):
            return name
        return margin.create(name, RATES if name in ("static", "isolated", "cross", "portfolio") else {})

    return Market(
        MarketConfig(steps=steps),
        contracts(contract_count, underlying),
        world(contract_count, seed, steps),
        model(regime),
        [agents.create(kind, name, params, info) for kind, name, params in populations],
        events,
        replace(CLEARING, **clearing),
        record or RecordConfig(),
        seed,
        views=views,
        shadows={name: model(name) for name in shadows},
    )
