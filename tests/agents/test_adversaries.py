"""Adversaries: the map they read, the decision against its readable form, and what a market with one looks like."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import agents
from agents import adversaries
from agents.desk import Desk
from agents.kernels import adversaries as kernels
from sim.errors import ConfigError
from sim.kernels import ledger
from sim.kernels import state as s
from sim.kernels.book import submit
from tests.agents import rig
from tests.sim import markets

PARAMS = {"count": 3, "period": 2, "width": 0.01, "least_lots": 20, "rest": 5, "patience": 6, "priority_fee_lots": 0.01}


def crowded(seed: int, **params: object) -> tuple[s.State, agents.columns.Population]:
    """Three adversaries before leveraged traders, a book, some rows in the middle of an attack."""
    rng = np.random.default_rng(seed)
    state, populations = rig.market([("adversaries", PARAMS | params), ("noise", {"count": 40, "capital_lots": 1.0})])
    state.bucket_scale[0] = 4
    state.rate_maintenance[:] = s.RATE_ONE // 40
    state.meta[s.M_LEDGER] = 1
    state.meta[s.M_STEP] = int(rng.integers(1, 200))
    for account in range(3, 43):
        lots = int(rng.integers(1, 30))
        ledger.deposit_in(state, account, 0, int(lots * rig.PRICE * rng.uniform(0.5, 12)))
        other = int(rng.integers(3))
        buyer, seller = (account, other) if rng.random() < 0.5 else (other, account)
        ledger.apply_fill(state, 0, seller, buyer, s.BUY, lots, rig.PRICE)
    state.accounts["status"][:] = rng.choice([s.OPEN, s.OPEN, s.OPEN, s.LIQUIDATING, s.CLOSED], len(state.accounts))
    for _ in range(int(rng.choice([3, 40]))):
        side = int(rng.choice([s.BUY, s.SELL]))
        price = rig.PRICE - side * int(rng.integers(1, 400))
        submit(state, 0, side, price, int(rng.integers(1, 30)), 3, s.GTC, 0, 0, 0, 0, 0)
    for account in range(3):  # the adversaries are everybody's counterparties: some give their positions away
        lots = int(state.positions["lots"][account, 0])
        if lots and rng.random() < 0.5:
            buyer, seller = (42, account) if lots > 0 else (account, 42)
            ledger.apply_fill(state, 0, seller, buyer, s.BUY, abs(lots), rig.PRICE)
    columns = state.trader_ints[:3]
    columns[:, kernels.PHASE] = rng.integers(0, 3, 3)
    columns[:, kernels.SIDE] = rng.choice([-1, 1], 3)
    columns[:, kernels.TARGET] = rng.integers(rig.PRICE - 300, rig.PRICE + 300, 3)
    columns[:, kernels.UNTIL] = state.meta[s.M_STEP] + rng.integers(-3, 4, 3)
    state.quotes["liquidated"][0] = int(rng.integers(0, 2)) * 7
    state.trader_floats[:3, kernels.BEFORE] = rng.integers(0, 10**6, 3)
    return state, populations[0]


def test_compiled_decision_equals_the_readable_one() -> None:
    seen: Counter[tuple[int, ...]] = Counter()
    for seed in range(80):
        compiled, population = crowded(seed, sides=("both", "down", "up")[seed % 3])
        plain = s.copy_of(compiled)
        population.decide(compiled, 0)
        desk = Desk(plain, 0, population)
        adversaries.decide(desk)
        assert rig.sent(compiled) == [tuple(message) for message in desk.messages]
        np.testing.assert_array_equal(compiled.trader_ints, plain.trader_ints)
        np.testing.assert_array_equal(compiled.trader_floats, plain.trader_floats)
        np.testing.assert_array_equal(compiled.accounts["priority_fee"], plain.accounts["priority_fee"])
        for message in desk.messages:
            seen[message.side, message.tif, message.flags] += 1
        for phase in compiled.trader_ints[:3, kernels.PHASE]:
            seen[(int(phase),)] += 1
    for side in (s.BUY, s.SELL):
        for tif, flags in ((s.IOC, 0), (s.IOC, s.REDUCE_ONLY), (s.GTC, s.REDUCE_ONLY)):
            assert seen[side, tif, flags] > 0, seen
    assert all(seen[(phase,)] > 0 for phase in range(3))


def test_the_map_says_where_accounts_are_liquidated() -> None:
    """10 lots long at 5000 with a tenth of their value: ruin at 4500, liquidation below 4615, 7.7 % down."""
    state, (population,) = rig.market([("adversaries", {"count": 2, "width": 0.01, "levels": 12, "least_lots": 10})])
    state.bucket_scale[0] = 2
    state.rate_maintenance[:] = s.RATE_ONE // 40
    state.wallets[:] = 0
    value = 10 * rig.PRICE * int(state.contracts["tick_value"][0])
    ledger.deposit_in(state, 0, 0, value // 10)
    ledger.apply_fill(state, 0, 1, 0, s.BUY, 10, rig.PRICE)
    flow = np.zeros(12, np.int64)
    kernels.forced_flow(state, 1, 0, -1, 0.01, flow)
    assert flow.tolist() == [0] * 7 + [10] + [0] * 4
    desk = Desk(state, 0, population)
    assert adversaries.forced_lots(desk, desk.trader(1), -1) == flow.tolist()
    assert adversaries.choose(desk, desk.trader(1)) == (-1, 4600)  # the far end of the level, 8 % down
    assert adversaries.choose(desk, desk.trader(0)) == (0, 0)  # one's own positions are no prey


def test_parameters_are_checked() -> None:
    with pytest.raises(ConfigError, match="sides"):
        agents.create("adversaries", "x", {"sides": "left"}, rig.market_info())


def test_an_adversary_raises_liquidations_and_its_profit_is_reported() -> None:
    """Paired runs on one seed without the scripted crash: the same world, with an adversary who only looks or acts."""
    events = markets.EVENTS[:1]
    outcomes = {}
    for name, least in (("idle", 10**9), ("active", 30)):
        adversary = ("adversaries", "adversary", {
            "capital_lots": 4000.0, "least_lots": least, "threshold": 0.5, "levels": 20, "budget_lots": 1500,
            "push_lots": 250, "patience": 20, "sides": "down",
        })  # fmt: skip
        market = markets.market(events=events, populations=(*markets.POPULATIONS, adversary))
        market.advance(markets.STEPS)
        market.check()
        row = market.accounts_table().query("population == 'adversary'")
        population = next(p for p in market.populations if p.name == "adversary")
        outcomes[name] = (
            int(market.state.meta[s.M_LIQUIDATIONS]),
            int(population.column(market.state, "attacks")[0]),
            float(population.column(market.state, "profit")[0]),
            row,
            {int(c) for c in market.state.fills["cause"][: int(market.state.meta[s.M_FILLS])]},
        )
    idle, active = outcomes["idle"], outcomes["active"]
    assert (idle[1], idle[2]) == (0, 0.0)
    assert active[1] >= 1
    assert active[0] > idle[0]
    assert active[2] != 0.0
