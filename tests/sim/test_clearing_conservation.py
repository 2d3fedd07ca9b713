"""Nothing is lost or made in defaults, whatever the policy: random books, positions, crashes and bids."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import invariants
from sim.kernels import index, messages, step
from sim.kernels import state as s
from tests.sim.exchange import STREAMS, Exchange, contract

TRADERS = 8
POLICIES = st.fixed_dictionaries(
    {
        "partial": st.booleans(),
        "limit": st.sampled_from([s.LIMIT_NONE, s.LIMIT_BANKRUPTCY, s.LIMIT_BAND]),
        "surplus": st.booleans(),
        "grace": st.sampled_from([0, 0, 1]),
        "rounds": st.sampled_from([1, 3, 50]),
        "fund": st.sampled_from([0, 500, 50_000]),
        "mark": st.sampled_from([s.MARK_MID, s.MARK_LAST, s.MARK_EMA]),
    }
)


def market(regime: str, contracts: int, policy: dict[str, Any], rng: np.random.Generator) -> Exchange:
    terms = [
        contract("ab"[c], tick_value=(10, 7)[c], fee_liquidation=(0.01, 0.0)[c], fee_taker=(0.0, 0.001)[c])
        for c in range(contracts)
    ]
    exchange = Exchange(TRADERS, regime=regime, contracts=terms, **policy)
    for account in range(TRADERS):
        exchange.deposit(account, int(rng.integers(1_000, 30_000)))
        exchange.state.accounts["outside"][account] = int(rng.integers(0, 3_000))
    return exchange


def crash(exchange: Exchange, rng: np.random.Generator) -> None:
    """New orders, trades and bids by whoever may still trade, then a jump of the marks, then clearing."""
    state = exchange.state
    alive = [a for a in range(TRADERS) if exchange.status(a) in (s.OPEN, s.CALLED)]
    contracts = len(state.quotes)
    for _ in range(12):
        if len(alive) < 2:
            break
        account, c, side = int(rng.choice(alive)), int(rng.integers(contracts)), int(rng.choice([s.BUY, s.SELL]))
        flags = s.REDUCE_ONLY if rng.random() < 0.2 else 0
        exchange.rest(account, side, int(rng.integers(1, 15)), int(rng.integers(40, 160)), c, flags=flags)
    for _ in range(4):
        if len(alive) > 1:
            buyer, seller = (int(a) for a in rng.choice(alive, 2, replace=False))
            c = int(rng.integers(contracts))
            exchange.trade(buyer, seller, int(rng.integers(1, 40)), int(rng.integers(70, 130)), c)
            side, discount = int(rng.choice([s.BUY, s.SELL])), int(rng.integers(0, s.RATE_ONE // 5))
            messages.push_bid(state, buyer, c, side, 5, discount)
    for c in range(contracts):
        state.quotes["mark"][c] = int(rng.integers(50 * s.SUBTICKS, 150 * s.SUBTICKS))
    step.clear_and_record(state, exchange.evaluate, STREAMS)


@pytest.mark.parametrize("contracts", [1, 2])
@pytest.mark.parametrize("regime", ["static", "isolated", "portfolio"])
@given(policy=POLICIES, seed=st.integers(0, 10**6))
def test_defaults_conserve_everything(regime: str, contracts: int, policy: dict[str, Any], seed: int) -> None:
    rng = np.random.Generator(np.random.Philox(seed))
    exchange = market(regime, contracts, policy, rng)
    for meta in (s.M_RECORD_EVERY, s.M_DEPTH_EVERY, s.M_TOTALS_EVERY):
        exchange.state.meta[meta] = 1
    for _ in range(4):
        crash(exchange, rng)
        invariants.check(exchange.state)
        meta = exchange.meta
        assert meta(s.M_BAD_DEBT) == meta(s.M_FUND_PAID) + meta(s.M_SOCIALISED) + meta(s.M_UNCOVERED)
        for account in range(TRADERS):
            assert not index.owes(exchange.state, account)
            if exchange.status(account) == s.CLOSED:
                assert exchange.equity(account) == 0
                assert exchange.state.accounts["orders"][account] == 0
                assert exchange.state.accounts["positions"][account] == 0
        listed = sorted(int(a) for a in exchange.state.called[: meta(s.M_CALLED_NOW)])
        assert listed == [a for a in range(TRADERS) if exchange.status(a) == s.CALLED]
        assert meta(s.M_LIQUIDATING) == sum(exchange.status(a) == s.LIQUIDATING for a in range(TRADERS))
        exchange.next_step()
