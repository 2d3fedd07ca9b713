"""Whole markets whose oracle looks at their own spot contract: manipulation, forks, snapshots."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agents
import margin
from agents.registry import MarketInfo
from sim.config import ClearingConfig, MarketConfig, ScriptedEvent
from sim.contracts import Contract
from sim.errors import ForkError
from sim.kernels import state as s
from sim.market import Market
from sim.world import ConstantWorld, OracleFault, build_world

STEPS = 160
PUSH = 100
PERP = Contract("perp", initial_price=2000, max_price=8000, max_lots=100_000, tick_value=10, underlying="BTC")
SPOT = Contract("spot", "spot", base_currency="BTC", base_lot=10**6, lot_size=0.01, tick_size=1.0, tick_value=10,
                initial_price=2000, max_price=8000, max_lots=10_000, underlying="BTC")  # fmt: skip
OWN = {"name": "own", "kind": "spot", "contract": "spot"}
KINDS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("latent", "perp_supply", {"count": 20, "lifetime": 60.0, "depth_ticks": 200, "contract": "perp"}),
    ("latent", "spot_supply", {"count": 5, "lifetime": 60.0, "depth_ticks": 600, "arrivals": 1.0, "contract": "spot"}),
    ("trend_followers", "leveraged", {"count": 40, "period": 5, "horizon_low": 5, "horizon_high": 30,
                                      "capital_lots": 0.2, "contract": "perp"}),
)  # fmt: skip


def paths(*, sources: tuple[dict[str, Any], ...] = (OWN,), events: Any = ()) -> Any:
    return build_world(ConstantWorld(oracle={"sources": list(sources)}), [PERP, SPOT], STEPS, 60.0, 1440, 3, events)


def market(push: bool, *, sources: tuple[dict[str, Any], ...] = (OWN,)) -> Market:
    info = MarketInfo(("perp", "spot"), 60.0, 1440)
    events = [ScriptedEvent("interest", "seed_open_interest", 60, population="leveraged", lots=200, long_share=0.3,
                            leverage_high=20.0)]  # fmt: skip
    if push:
        events.append(ScriptedEvent("push", "metaorder", PUSH, contract=1, side=1, lots=400, steps=20))
    return Market(
        MarketConfig(steps=STEPS, minor_units={"BTC": 10**8}), [PERP, SPOT], paths(sources=sources),
        margin.create("static", {"initial": 0.05, "maintenance": 0.03}),
        [agents.create(kind, name, params, info) for kind, name, params in KINDS],
        events, ClearingConfig(mark="index", fund_initial=10**7, max_rounds=5), seed=3, views=False,
    )  # fmt: skip


@cache
def outcome(push: bool, voters: int = 0) -> tuple[int, np.ndarray, np.ndarray]:
    """Liquidations from the push on; index of the perpetual and mid of spot by step, in ticks."""
    made = market(push, sources=(OWN, *({"name": f"v{i}"} for i in range(voters))))
    made.advance(PUSH)
    before = int(made.state.meta[s.M_LIQUIDATIONS])
    for _ in range(STEPS - PUSH):
        made.step()
        made.check()
    table = made.steps_table()
    index = table.loc[table["contract"] == "perp", "index"].to_numpy()
    mid = table.loc[table["contract"] == "spot", "mid"].to_numpy()
    return int(made.state.meta[s.M_LIQUIDATIONS]) - before, index, mid


def test_buying_thin_spot_liquidates_in_the_perpetual() -> None:
    pushed, index, mid = outcome(True)
    calm, quiet, _ = outcome(False)
    assert index[PUSH + 25] > 1.05 * quiet[PUSH + 25]
    assert np.array_equal(index[2:], mid[1:-1])  # what the spot book was left at
    assert calm == 0
    assert pushed >= 3


def test_two_more_sources_and_a_median_protect_against_it() -> None:
    pushed, index, mid = outcome(True, 2)
    assert pushed == 0
    assert mid.max() > 1.05 * 2000
    assert np.all(index == 2000)


def test_the_loop_in_one_piece_and_step_by_step_is_the_same() -> None:
    whole, stepped = market(True), market(True)
    whole.advance(STEPS)
    for _ in range(STEPS):
        stepped.step()
    assert whole.results_hash() == stepped.results_hash()


def test_a_fork_goes_on_with_the_oracle_and_the_averages(tmp_path: Path) -> None:
    made = market(True)
    made.advance(PUSH + 5)
    twin = made.fork()
    other = made.fork(clearing=replace(made.clearing, mark="hyperliquid"))
    made.save(tmp_path / "stored.npz")
    loaded = market(True).load(tmp_path / "stored.npz")
    for each in (made, twin, other, loaded):
        each.run_until(STEPS)
    assert made.results_hash() == twin.results_hash() == loaded.results_hash() != other.results_hash()
    assert made.state.quotes["index"][0] != other.state.quotes["mark"][0]


def test_a_fork_may_face_a_fault() -> None:
    made = market(False)
    made.advance(PUSH)
    frozen = made.fork(world=paths(events=[OracleFault(PUSH + 1, 50, "frozen")]))
    held = int(frozen.state.quotes["index"][0])
    for each in (made, frozen):
        each.advance(30)
    assert frozen.state.quotes["index"][0] == held
    with pytest.raises(ForkError, match="other sources"):
        made.fork(world=paths(sources=()))
