"""Coin-margined contracts: values in coin, the index by bankruptcy price, liquidation, a whole market."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
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
from sim.kernels import admission, clearing, funding, ledger, limits, values
from sim.kernels import state as s
from sim.liquidation import POLICIES
from sim.market import Market
from sim.world import GbmWorld, build_world
from tests.sim import markets
from tests.sim.exchange import FUND, Exchange, contract

TICK_VALUE = 10**7  # coins' minor units per lot at a price of one tick
PRICE = 1000


def coin(name: str = "coin", **terms: Any) -> Contract:
    given_ = {"kind": "inverse_perpetual", "currency": "BTC", "tick_value": TICK_VALUE, "initial_price": PRICE}
    return contract(name, **(given_ | {"max_price": 1 << 16} | terms))


def nearest(x: Fraction) -> int:
    return floor(x + Fraction(1, 2))


def test_t3_a_long_of_100000_contracts_gains_in_coin() -> None:
    # one contract is a dollar, a tick is half a dollar, money is in satoshi
    terms = coin(tick_size=0.5, tick_value=2 * 10**8, initial_price=20_000, max_lots=10**6)
    e = Exchange(2, contracts=[terms], cash=10**11)
    e.trade(0, 1, 100_000, 20_000)
    e.set_mark(21_000)
    assert ledger.unrealised(e.state, 0, 0) / 1e8 == pytest.approx(0.476190, abs=1e-6)
    e.trade(1, 0, 100_000, 21_000)
    gain = (e.wallet(0) - 10**11) / 1e8
    assert gain == pytest.approx(100_000 * (1 / 10_000 - 1 / 10_500), abs=1e-8)
    assert e.wallet(1) - 10**11 == -(e.wallet(0) - 10**11)
    assert (e.state.positions["cost"] == 0).all()
    invariants.check(e.state)


@given(st.integers(-(10**6), 10**6), st.integers(1, 1 << 20))
def test_value_at_mark_is_rounded_with_halves_up(lots: int, mark: int) -> None:
    e = Exchange(1, contracts=[coin()])
    assert values.value_at(e.state, 0, lots, mark) == -nearest(Fraction(lots * TICK_VALUE * 16, mark))


@given(st.integers(1, 50_000), st.integers(1, 10_000), st.integers(-1, 1).filter(bool), st.integers(100, 50_000))
def test_an_orders_own_loss_covers_its_fill(price: int, lots: int, side: int, mark: int) -> None:
    e = Exchange(1, contracts=[coin()])
    e.set_mark(mark)
    reserved = admission.own_loss(e.state, 0, side, price)
    exact = side * (Fraction(16 * TICK_VALUE, mark * 16) - Fraction(TICK_VALUE, price))
    assert reserved == max(ceil(exact), 0)


@given(
    st.integers(1, 2000), st.integers(-1, 1).filter(bool), st.integers(200, 4000), st.integers(1, 3 * 10**7),
    st.floats(0.01, 0.4), st.integers(200, 4000),
)  # fmt: skip
def test_the_index_finds_whoever_is_in_breach(
    lots: int, side: int, entry: int, cash: int, rate: float, mark: int
) -> None:
    e = Exchange(2, contracts=[coin(max_lots=10**6)])
    e.state.accounts["exempt"][1] = 1
    e.state.rate_maintenance[:] = int(rate * s.RATE_ONE)
    e.deposit(0, cash)
    buyer, seller = (0, 1) if side > 0 else (1, 0)
    e.trade(buyer, seller, lots, entry)
    e.set_mark(mark)
    invariants.check(e.state)
    found = clearing.collect(e.state, e.evaluate)
    required = e.evaluate(e.state, 0, -1, s.MAINTENANCE)
    assert required == ceil(nearest(Fraction(lots * TICK_VALUE, mark)) * Fraction(int(rate * s.RATE_ONE), s.RATE_ONE))
    assert found == (1 if e.equity(0) < required else 0)


@given(st.integers(1, 2000), st.integers(-1, 1).filter(bool), st.integers(200, 4000), st.integers(1, 3 * 10**7))
def test_a_forced_order_at_the_bankruptcy_price_leaves_nothing(lots: int, side: int, mark: int, cash: int) -> None:
    e = Exchange(2, contracts=[coin(max_lots=10**6)], limit=s.LIMIT_BANKRUPTCY)
    e.deposit(0, cash)
    buyer, seller = (0, 1) if side > 0 else (1, 0)
    e.trade(buyer, seller, lots, PRICE)
    e.set_mark(mark)
    if e.equity(0) < 0:
        return
    limit = int(limits.forced_price(e.state, 0, -1, 0, -side))
    top = int(e.state.contracts["max_price"][0])

    def left(price: int) -> Fraction:
        return cash + side * lots * TICK_VALUE * (Fraction(1, PRICE) - Fraction(1, price))

    assert left(limit) >= -2
    if 1 < limit < top:
        assert left(limit - side) <= 2 + lots * TICK_VALUE * (Fraction(1, limit - side) - Fraction(1, limit)) * side


def test_liquidation_of_a_long_in_coin() -> None:
    e = Exchange(3, contracts=[coin(fee_liquidation=0.01)], fund=10**6)
    e.deposit(0, 10**6)
    e.deposit(1, 10**9)
    e.deposit(2, 10**9)
    e.trade(0, 1, 500, 1000)  # 5,000,000: leverage 5
    e.rest(2, s.BUY, 500, 880)
    e.rest(1, s.SELL, 1, 890)
    e.remark()
    assert e.equity(0) < e.evaluate(e.state, 0, -1, s.MAINTENANCE)
    assert e.clear() >= 1
    sold = nearest(Fraction(500 * TICK_VALUE, 880))
    fee = ceil(sold * Fraction(round(Fraction(0.01) * s.RATE_ONE), s.RATE_ONE))
    assert e.lots(0) == 0
    assert e.wallet(0) == 10**6 - (sold - 5 * 10**6) - fee
    assert e.wallet(e.special(FUND)) == 10**6 + fee
    invariants.check(e.state)


@pytest.mark.parametrize("side", [1, -1])
def test_the_fund_takes_over_at_the_bankruptcy_price(side: int) -> None:
    e = Exchange(2, contracts=[coin()], fund=10**9, limit=s.LIMIT_BANKRUPTCY)
    e.deposit(0, 10**6)
    e.deposit(1, 10**9)
    e.trade(*((0, 1) if side > 0 else (1, 0)), 500, 1000)
    e.set_mark(840 if side > 0 else 1200)
    assert 0 <= e.equity(0) < e.evaluate(e.state, 0, -1, s.MAINTENANCE)
    e.clear()
    assert (e.lots(0), e.wallet(0)) == (0, 0)
    assert e.lots(e.special(FUND)) == side * 500
    invariants.check(e.state)


def test_longs_pay_shorts_funding_on_their_size_in_coin() -> None:
    e = Exchange(2, contracts=[coin(funding_interest=0.001, funding_clamp=0.01)], cash=10**9)
    e.trade(0, 1, 333, 1000)
    funding.pay_funding(e.state, 0)
    rate = int(e.state.quotes["funding_rate"][0])
    size = 333 * TICK_VALUE // 1000
    assert rate > 0
    assert e.wallet(0) == 10**9 - (size * rate >> 32)
    assert e.wallet(1) == 10**9 + (size * rate >> 32) + 1  # rounded up; the residue account pays the unit
    invariants.check(e.state)


def test_daily_settlement_moves_coin_profit_into_cash() -> None:
    e = Exchange(2, contracts=[coin(kind="inverse_future", settle_interval_steps=1)], cash=10**9)
    e.trade(0, 1, 333, 1000)
    e.set_mark(1100)
    before = [e.equity(0), e.equity(1)]
    funding.settle(e.state, 0)
    assert [e.wallet(0), e.wallet(1)] == before
    assert ledger.unrealised(e.state, 0, 0) == 0
    invariants.check(e.state)


@pytest.mark.parametrize("regime", ["static", "isolated"])
def test_admission_asks_for_margin_in_coin(regime: str) -> None:
    e = Exchange(1, contracts=[coin()], regime=regime)
    need = 10**6 // 8  # 100 lots at 1000 ticks, initial margin 1/8
    e.deposit(0, need - 1)
    e.send(0, side=s.SELL, lots=100, price=1000)
    assert e.batch() == [0]
    e.next_step()
    e.deposit(0, 1)
    e.send(0, side=s.SELL, lots=100, price=1000)
    assert e.batch() == [1]


def test_an_isolated_coin_loss_stops_at_the_pocket() -> None:
    e = Exchange(2, contracts=[coin()], regime="isolated", cash=10**7)
    e.trade(0, 1, 100, 1000)
    assert (e.pocket(0), e.wallet(0)) == (125_000, 10**7 - 125_000)
    e.trade(1, 0, 100, 800)
    assert (e.pocket(0), e.wallet(0)) == (125_000 - 250_000, 10**7 - 125_000)
    invariants.check(e.state)


@pytest.mark.parametrize("regime", ["static", "isolated", "portfolio"])
def test_the_numpy_definition_asks_what_the_kernel_asks(regime: str) -> None:
    market = coin_market(regime)
    market.advance(markets.CRASH + 10)
    risk = market.risk_parameters(initial=True)
    asked = market.margin.requirement(market.portfolio(), risk)
    traders = int(market.state.meta[s.M_TRADERS])
    evaluate = market.margin.requirement_kernel
    compiled = [int(evaluate(market.state, a, -1, s.INITIAL)) for a in range(traders)]
    assert asked.initial[:traders].tolist() == compiled
    assert np.any(asked.initial > 0)


def coin_market(regime: str = "static", **clearing_: Any) -> Market:
    info = MarketInfo(("coin",), 60.0, 1440)
    terms = [
        Contract("coin", "inverse_perpetual", currency="BTC", initial_price=2000, max_price=8000, max_lots=10_000,
                 tick_size=10.0, lot_size=100.0, tick_value=10**9, funding_interval_steps=50)
    ]  # fmt: skip
    return Market(
        MarketConfig(steps=markets.STEPS),
        terms,
        build_world(GbmWorld(volatility=0.03), terms, markets.STEPS, 60.0, 1440, 3, ()),
        margin.create(regime, markets.RATES),
        [agents.create(kind, name, params, info) for kind, name, params in markets.POPULATIONS],
        markets.EVENTS,
        ClearingConfig(fund_initial=10**8, max_rounds=5, **clearing_),
        seed=3,
        views=False,
    )


@pytest.mark.parametrize(
    ("regime", "more"),
    [
        ("static", {}),
        ("static", {"forced_limit": "bankruptcy"}),
        ("isolated", {"forced_limit": "band", "policy": POLICIES["partial"]}),
        ("portfolio", {"surplus_to": "fund"}),
    ],
)
def test_a_coin_market_is_exact_with_liquidations(regime: str, more: dict[str, Any]) -> None:
    market = coin_market(regime, **more)
    for _ in range(markets.STEPS):
        market.step()
        market.check()
    assert market.state.meta[s.M_LIQUIDATIONS] > 0
    assert market.state.accounts["liquidated"].sum() > 0


def test_steps_and_fused_steps_agree() -> None:
    one, other = coin_market(), coin_market()
    for _ in range(120):
        one.step()
    other.advance(120)
    assert one.results_hash() == other.results_hash()
