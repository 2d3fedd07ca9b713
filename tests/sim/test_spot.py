"""Spot: cash against coins, covered orders, no lots held."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import agents
import margin
from agents.registry import MarketInfo
from sim import invariants
from sim.config import ClearingConfig, MarketConfig
from sim.contracts import Contract
from sim.kernels import state as s
from sim.market import Market
from sim.world import GbmWorld, build_world
from tests.sim.exchange import FEES, Exchange, contract

COINS = 1


def spot(**terms: Any) -> Contract:
    """Ten minor units per tick and lot, 1000 minor units of coin per lot."""
    return contract("spot", kind="spot", base_currency="BTC", base_lot=1000, **terms)


def test_a_trade_moves_cash_against_coins_and_holds_no_lots() -> None:
    e = Exchange(2, contracts=[spot(fee_taker=0.001)])
    e.deposit(0, 10_000)
    e.deposit(1, 9_000, COINS)
    e.trade(0, 1, 7, 99)
    assert (e.wallet(0), e.wallet(0, COINS)) == (10_000 - 6930 - 7, 7000)
    assert (e.wallet(1), e.wallet(1, COINS)) == (6930, 2000)
    assert e.wallet(e.special(FEES)) == 7
    assert not e.state.positions["lots"].any()
    assert e.state.quotes["open_interest"][0] == 0
    invariants.check(e.state)


def test_a_buyer_needs_the_cash_with_the_fee() -> None:
    e = Exchange(1, contracts=[spot(fee_taker=0.001)])
    e.deposit(0, 5 * 1001 - 1)
    e.send(0, side=s.BUY, lots=5, price=100)
    assert e.batch() == [0]
    assert e.events(s.EV_REFUSED)[-1]["reason"] == s.R_UNCOVERED
    e.deposit(0, 1)
    e.next_step()
    e.send(0, side=s.BUY, lots=5, price=100)
    e.send(0, side=s.BUY, lots=1, price=60)
    assert e.batch() == [1, 0]


def test_a_seller_needs_the_coins() -> None:
    e = Exchange(1, contracts=[spot()])
    e.deposit(0, 10**6)
    e.deposit(0, 2999, COINS)
    e.send(0, side=s.SELL, lots=2, price=100)
    e.send(0, side=s.SELL, lots=1, price=100)
    assert e.batch() == [1, 0]
    assert e.events(s.EV_REFUSED)[-1]["reason"] == s.R_UNCOVERED


def test_cash_behind_a_spot_order_margins_nothing_else() -> None:
    e = Exchange(2, contracts=[spot(), contract("perp")])
    e.deposit(0, 1000)
    e.send(0, side=s.BUY, lots=1, price=100)
    e.send(0, side=s.BUY, lots=1, price=100, c=1)
    assert e.batch() == [1, 0]
    e.next_step()
    e.deposit(0, 125)
    e.next_step()
    e.send(0, side=s.BUY, lots=1, price=100, c=1)
    assert e.batch() == [1]


def test_spot_asks_for_no_margin_and_reduces_nothing() -> None:
    e = Exchange(2, contracts=[spot()])
    assert e.state.rate_initial[0] == 0
    e.deposit(0, 1000)
    e.deposit(1, 1000, COINS)
    e.send(0, side=s.BUY, lots=1, price=100)
    e.send(1, side=s.SELL, lots=1, price=100, flags=s.REDUCE_ONLY)
    assert e.batch() == [1, 0]
    assert e.evaluate(e.state, 0, -1, s.MAINTENANCE) == 0


orders = st.tuples(st.integers(0, 2), st.sampled_from([1, -1]), st.integers(1, 6), st.integers(80, 120))


@given(st.lists(st.lists(orders, max_size=6), max_size=8))
def test_no_wallet_of_a_spot_trader_goes_below_zero(batches: list[list[tuple[int, int, int, int]]]) -> None:
    e = Exchange(3, contracts=[spot(fee_taker=0.01)])
    for account in range(3):
        e.deposit(account, 7_000)
        e.deposit(account, 7_500, COINS)
    for batch in batches:
        for account, side, lots, price in batch:
            e.send(account, side=side, lots=lots, price=price)
        e.batch()
        e.remark()
        e.next_step()
        invariants.check(e.state)
        assert (e.state.wallets[:3] >= 0).all()


def test_a_spot_market_is_exact() -> None:
    terms = [
        Contract("spot", "spot", base_currency="BTC", base_lot=10**6, tick_value=100, max_lots=10_000,
                 initial_price=5000, fee_taker=0.001),
    ]  # fmt: skip
    info = MarketInfo(("spot",), 60.0, 1440)
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("latent", {"count": 20, "lifetime": 60.0}), ("noise", {"count": 20, "arrivals": 2.0}),
        ("market_makers", {"count": 2}),
    ]  # fmt: skip
    market = Market(
        MarketConfig(steps=150),
        terms,
        build_world(GbmWorld(volatility=0.03), terms, 150, 60.0, 1440, 3, ()),
        margin.create("static", {"initial": 0.05, "maintenance": 0.03}),
        [agents.create(kind, kind, params, info) for kind, params in kinds],
        (),
        ClearingConfig(haircuts={"BTC": 0.1}),
        seed=3,
        views=False,
    )
    for _ in range(150):
        market.step()
        market.check()
    traders = int(market.state.meta[s.M_TRADERS])
    assert market.state.quotes["volume"][0] > 0
    assert (market.state.wallets[:traders] >= 0).all()
    coins = market.state.deposits[:traders, 1]
    assert np.any(market.state.wallets[:traders, 1] != coins)
    accounts = market.accounts_table()
    assert {"wallet_BTC", "deposits_BTC"} <= set(accounts.columns)
    assert market.portfolio().equity().tolist() == accounts["equity"].tolist()


@pytest.mark.parametrize("side", [s.BUY, s.SELL])
def test_the_script_may_trade_uncovered(side: int) -> None:
    e = Exchange(1, contracts=[spot()])
    e.send(e.special(3), side=side, lots=5, price=100)
    assert e.batch() == [1]
