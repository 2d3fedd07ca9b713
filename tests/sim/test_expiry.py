"""Dated futures and options settle for good, exactly, and vanish."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import agents
import margin
from agents.registry import MarketInfo
from sim import invariants, options
from sim.config import MarketConfig
from sim.contracts import Contract, contract_records, references
from sim.errors import ConfigError
from sim.kernels import funding, ledger, marks
from sim.kernels import state as s
from sim.market import Market
from sim.world import GbmWorld, build_world
from tests.sim.currencies import BITCOINS, CALL, COIN_FUTURE, COIN_PUT, EXPIRY, PRICE, contracts, exchange
from tests.sim.exchange import RESIDUE, Exchange, contract


def at_expiry(e: Exchange, price: float) -> None:
    """Settle what expires with the underlying at a price."""
    for c in range(4):
        e.state.quotes["index"][c] = e.state.quotes["mark"][c] = round(price * 16)
    e.state.meta[s.M_STEP] = EXPIRY
    funding.expire_contracts(e.state)
    e.state.meta[s.M_STEP] = EXPIRY + 1


def test_premium_moves_cash_and_value_at_mark_counts_in_equity() -> None:
    e = exchange(2)
    e.trade(0, 1, 10, 300, CALL)
    fee = 2  # 0.05 % of 3000 cents, rounded up
    assert e.wallet(0) == -3000 - fee
    assert e.state.positions["cost"][0, CALL] == 0
    e.set_mark(350, CALL)
    assert e.equity(0) == 500 - fee
    assert ledger.unrealised(e.state, 1, CALL) == -3500
    e.trade(1, 0, 4, 350, CALL)
    assert e.lots(0, CALL) == 6
    invariants.check(e.state)


def test_a_linear_call_pays_its_intrinsic_value_in_quote() -> None:
    e = exchange(2)
    e.trade(0, 1, 10, 300, CALL)
    before = e.wallet(0), e.wallet(1)
    at_expiry(e, 10_250.0625)
    # 10 lots of 0.01 coin, 150.0625 dollars above the strike: 15.00625 dollars
    assert e.wallet(0) - before[0] == 1500
    assert e.wallet(1) - before[1] == -1501
    assert e.wallet(e.special(RESIDUE)) == 1
    assert not e.state.positions["lots"].any()
    invariants.check(e.state)


def test_an_inverse_put_pays_its_intrinsic_value_in_coin() -> None:
    e = exchange(2)
    e.trade(0, 1, 10, 60, COIN_PUT)
    before = e.wallet(0, BITCOINS)
    assert before == -10 * 60 * 5000 - -(-10 * 60 * 5000 * round(Fraction(0.0005) * s.RATE_ONE) >> 32)
    at_expiry(e, 9_000)
    assert e.wallet(0, BITCOINS) - before == floor(Fraction("900.5") / 9000 * 10**8)
    invariants.check(e.state)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3), st.integers(1, 900)), max_size=12),
       st.integers(16 * 2_000, 16 * 30_000), st.sampled_from([COIN_FUTURE, CALL, COIN_PUT]))  # fmt: skip
def test_expiry_is_zero_sum_and_the_residue_never_pays(trades: list[Any], index: int, c: int) -> None:
    e = exchange(4)
    for buyer, step, lots in trades:
        e.trade(buyer, (buyer + step) % 4, lots, 200 if c != COIN_FUTURE else PRICE, c)
    currency = int(e.state.contracts["currency"][c])
    before = int(e.state.wallets[:, currency].sum()) - int(e.state.positions["cost"][:, c].sum())
    at_expiry(e, index / 16)
    assert int(e.state.wallets[:, currency].sum()) == before
    residue = e.wallet(e.special(RESIDUE), currency)
    assert (0 <= residue <= 4) if c != COIN_FUTURE else (-2 <= residue <= 2)
    assert not e.state.positions["lots"].any()
    assert not e.state.positions["cost"].any()
    invariants.check(e.state)


def test_orders_of_an_expired_contract_go_and_new_ones_are_refused() -> None:
    e = Exchange(2, contracts=[contract("future", kind="linear_future", expiry_step=EXPIRY)], cash=10**6)
    e.rest(0, s.BUY, 5, 90)
    e.trade(0, 1, 10, 100)
    e.state.quotes["index"][0] = 105 * 16
    e.state.meta[s.M_STEP] = EXPIRY
    funding.expire_contracts(e.state)
    assert e.wallet(0) == 10**6 + 10 * 5 * 10
    assert e.wallet(1) == 10**6 - 10 * 5 * 10
    assert e.state.accounts["orders"][0] == 0
    assert not e.state.positions["open_buy"].any()
    e.next_step()
    e.send(0, side=s.BUY, lots=1, price=100)
    assert e.batch() == [0]
    assert e.events(s.EV_REFUSED)[-1]["reason"] == s.R_EXPIRED
    assert e.events(s.EV_SETTLED)[-1]["reason"] == 1
    invariants.check(e.state)


def test_an_isolated_short_option_has_its_premium_in_the_pocket() -> None:
    terms = [contract("perp", underlying="X"),
             contract("call", kind="linear_option", underlying="X", strike=110.0, option_type="call",
                      expiry_step=EXPIRY, volatility=0.5)]  # fmt: skip
    e = Exchange(2, contracts=terms, regime="isolated", cash=10_000)
    e.trade(0, 1, 10, 8, 1)
    assert (e.wallet(0), e.pocket(0, 1)) == (10_000 - 800, 0)
    assert (e.wallet(1), e.pocket(1, 1)) == (10_000 - 625, 1_425)  # the premium, and an eighth of the underlying's half
    e.set_mark(8, 1)
    assert ledger.position_equity(e.state, 1, 1) == 625
    for c in range(2):
        e.state.quotes["index"][c] = 115 * 16
    e.state.meta[s.M_STEP] = EXPIRY
    funding.expire_contracts(e.state)
    assert e.wallet(0) == 10_000 - 800 + 500
    assert e.wallet(1) == 10_000 + 800 - 500
    assert not e.state.positions["pocket"].any()
    invariants.check(e.state)


@pytest.mark.parametrize("step", [1, 4, EXPIRY])
def test_options_are_marked_at_their_model_value(step: int) -> None:
    e = exchange(1)
    e.state.meta[s.M_STEP] = step
    for c in range(4):
        e.state.quotes["index"][c] = 10_321 * 16 + 5
    marks.set_option_indexes(e.state)
    marks.set_marks(e.state)
    years = max(EXPIRY - step, 0) / (365 * 1440)
    price = 10_321 + 5 / 16
    call = options.black76_price("call", price, 10_100.0, years, 0.8)
    put = options.inverse_price("put", price, 9_900.5, years, 0.8) / 0.0005
    assert e.state.quotes["mark"][CALL] == max(round(float(call) * 16), 1)
    assert e.state.quotes["mark"][COIN_PUT] == max(round(float(put) * 16), 1)


def test_an_expired_option_keeps_its_last_mark() -> None:
    e = exchange(1)
    e.state.meta[s.M_STEP] = EXPIRY
    marks.set_option_indexes(e.state)
    marks.set_marks(e.state)
    before = e.state.quotes["mark"][[CALL, COIN_PUT]].copy()
    e.state.meta[s.M_STEP] = EXPIRY + 3
    for c in range(4):
        e.state.quotes["index"][c] = 10_321 * 16 + 5
    marks.set_option_indexes(e.state)
    marks.set_marks(e.state)
    assert e.state.quotes["mark"][[CALL, COIN_PUT]].tolist() == before.tolist()


def test_what_prices_an_underlying() -> None:
    terms = contracts()
    assert references(terms) == [0] * 6
    assert references(terms[1:]) == [0] * 5
    assert references([terms[COIN_FUTURE], terms[CALL]]) == [0, 0]


def test_a_strike_between_sub_ticks_is_refused() -> None:
    terms = [contract("perp", underlying="X"),
             contract("c", kind="linear_option", underlying="X", strike=100.01, option_type="call", volatility=0.5,
                      expiry_step=5)]  # fmt: skip
    with pytest.raises(ConfigError, match=r"contracts\.c\.strike = 100.01"):
        contract_records(terms)


def test_a_market_with_options_and_a_future_expires_exactly() -> None:
    steps = 60
    every = [
        Contract("perp", initial_price=5000, underlying="X", max_lots=10_000),
        Contract("future", "linear_future", initial_price=5000, underlying="X", max_lots=10_000, expiry_step=40),
        Contract("call", "linear_option", initial_price=200, underlying="X", max_lots=10_000, strike=4950.0,
                 option_type="call", expiry_step=50, volatility=0.6),
    ]  # fmt: skip
    info = MarketInfo(("perp", "future", "call"), 60.0, 1440)
    kinds = [
        agents.create("latent", f"l{c.name}", {"count": 5, "contract": c.name, "lifetime": 30.0}, info) for c in every
    ] + [agents.create("noise", f"n{c.name}", {"count": 5, "contract": c.name}, info) for c in every]
    market = Market(
        MarketConfig(steps=steps),
        every,
        build_world(GbmWorld(volatility=0.03), every, steps, 60.0, 1440, 3, ()),
        margin.create("static", {"initial": 0.05, "maintenance": 0.03}),
        kinds,
        seed=3,
        views=False,
    )
    assert np.array_equal(market.state.value[:, 0], market.state.value[:, 1])
    held = []
    for _ in range(steps):
        market.step()
        market.check()
        held.append(np.abs(market.state.positions["lots"]).sum(axis=0))
    volume = np.array(held)
    assert (volume[38] > 0).all()
    assert volume[39, 1] == 0
    assert volume[48, 2] > 0
    assert volume[49, 2] == 0
    view = market.view
    assert view.spot == pytest.approx(market.state.quotes["index"][0] / 16)
    assert view.time_to_expiry.tolist() == [np.inf, 0.0, 0.0]
    assert np.isnan(view.implied_volatility).tolist() == [True, True, False]
    assert (view.daily_volatility > 0).all()
