"""Nothing is lost or made when liquidators race, auctions run and gas and fees are paid, whatever the terms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import invariants
from sim.kernels import index, messages, step
from sim.kernels import state as s
from sim.liquidation import LiquidationPolicy
from tests.sim.exchange import STREAMS, Exchange, contract

TRADERS = 8
RATE = st.sampled_from([0.0, 0.01, 0.1, 0.5])
POLICIES = st.builds(
    LiquidationPolicy,
    size=st.sampled_from(["full", "target"]),
    outlet=st.just("auction"),
    auction=st.sampled_from(["clip", "share", "share", "none"]),
    target_ratio=st.sampled_from([1.0, 1.5]),
    bonus=RATE,
    bonus_slope=RATE,
    protocol_share=st.sampled_from([0.0, 0.3, 1.0]),
    auction_start=st.sampled_from([0.6, 0.95, 1.0, 1.2]),
    auction_fast_end=st.sampled_from([0.1, 0.5]),
    auction_step_seconds=st.sampled_from([0.0, 60.0]),
    auction_cut=st.sampled_from([0.5, 0.9]),
    auction_cusp=st.sampled_from([0.0, 0.7]),
    auction_tail_seconds=st.sampled_from([60.0, 120.0, 600.0]),
    auction_tip=st.sampled_from([0.0, 1.5]),
    auction_chip=st.sampled_from([0.0, 0.02]),
    auction_fast_seconds=st.sampled_from([0.0, 120.0]),
    auction_slow_seconds=st.sampled_from([0.0, 180.0]),
    auction_buffer=st.sampled_from([0.0, 0.15]),
    auction_insolvent_seconds=st.sampled_from([0.0, 120.0]),
    auction_fee=st.sampled_from([0.0, 0.1]),
).map(lambda policy: policy if policy.auction != "none" else replace(policy, outlet="liquidators"))
DESIGNS = st.fixed_dictionaries(
    {
        "policy": POLICIES,
        "limit": st.sampled_from([s.LIMIT_NONE, s.LIMIT_NONE, s.LIMIT_BANKRUPTCY]),
        "surplus": st.booleans(),
        "rounds": st.sampled_from([1, 50]),
        "fund": st.sampled_from([0, 500, 50_000]),
    }
)


def crash(exchange: Exchange, rng: np.random.Generator) -> None:
    """Orders, trades and offers by whoever may trade, a jump of the marks, then clearing."""
    state = exchange.state
    alive = [a for a in range(TRADERS) if exchange.status(a) == s.OPEN]
    contracts = len(state.quotes)
    for _ in range(6):
        if len(alive) > 1:
            side, c = int(rng.choice([s.BUY, s.SELL])), int(rng.integers(contracts))
            exchange.rest(int(rng.choice(alive)), side, int(rng.integers(1, 15)), int(rng.integers(40, 160)), c)
    for _ in range(4):
        if len(alive) > 1:
            buyer, seller = (int(a) for a in rng.choice(alive, 2, replace=False))
            exchange.trade(
                buyer, seller, int(rng.integers(1, 40)), int(rng.integers(70, 130)), int(rng.integers(contracts))
            )
    for account in range(TRADERS):
        for c in range(contracts):
            for side in (s.BUY, s.SELL):
                if rng.random() < 0.7:
                    messages.push_bid(
                        state, account, c, side, int(rng.integers(1, 30)), int(rng.integers(0, s.RATE_ONE // 20)),
                        int(rng.integers(0, 60)), int(rng.choice([0, 0, 5, 900])), int(rng.choice([0, 0, 1, 2])),
                        int(rng.choice([0, s.RATE_ONE // 2])), int(rng.choice([0, 10])), int(rng.integers(0, 40)),
                    )  # fmt: skip
    for c in range(contracts):
        state.quotes["mark"][c] = int(rng.integers(60 * s.SUBTICKS, 140 * s.SUBTICKS))
    step.clear_and_record(state, exchange.evaluate, STREAMS)


@pytest.mark.parametrize(("regime", "contracts"), [("static", 1), ("static", 2), ("isolated", 2), ("portfolio", 2)])
@settings(max_examples=60)
@given(design=DESIGNS, seed=st.integers(0, 10**6))
def test_races_and_auctions_conserve_everything(regime: str, contracts: int, design: dict[str, Any], seed: int) -> None:
    rng = np.random.Generator(np.random.Philox(seed))
    terms = [contract("ab"[c], tick_value=(10, 7)[c], fee_liquidation=(0.01, 0.0)[c]) for c in range(contracts)]
    exchange = Exchange(TRADERS, regime=regime, contracts=terms, **design)
    for account in range(TRADERS):
        exchange.deposit(account, int(rng.integers(1_000, 30_000)))
    state = exchange.state
    for _ in range(5):
        crash(exchange, rng)
        invariants.check(state)
        meta = exchange.meta
        assert meta(s.M_BAD_DEBT) == meta(s.M_FUND_PAID) + meta(s.M_SOCIALISED) + meta(s.M_UNCOVERED)
        live = meta(s.M_AUCTIONS)
        assert sorted(int(a) for a in state.accounts["auction"] if a >= 0) == list(range(live))
        for i in range(live):
            account = int(state.auctions["account"][i])
            assert state.accounts["auction"][account] == i
            assert exchange.status(account) == s.LIQUIDATING
        assert not any(index.owes(state, account) for account in range(TRADERS))
        assert (np.asarray(state.bids["racing"])[: meta(s.M_BIDS)] != 1).all()
        exchange.next_step()
