"""Hedging before legs are closed: deltas, the order, when it is sent; legs in the order of the policy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import invariants, options
from sim.config import RecordConfig
from sim.contracts import DAYS_PER_YEAR
from sim.kernels import hedging
from sim.kernels import state as s
from sim.liquidation import POLICIES
from tests.sim import currencies, markets
from tests.sim.exchange import Exchange, contract
from tests.sim.test_market import NumpyStatic

RICH = 10**7
NEAR, FAR = 0, 1


def spread(near: int, far: int, cash: int, *, regime: str = "portfolio", more: int = 0, **how: Any) -> Exchange:
    """Account 0 holds near and far contracts of one underlying at 100; bids at 99 and asks at 101 for whatever comes.

    Under ``portfolio`` maintenance is the larger of 1/16 of net value and 27 % of 1/16 of gross value.
    """
    terms = [contract(name, underlying="x", fee_taker=0.0) for name in ("near", "far")]
    terms += [contract(f"other_{n}", underlying="y") for n in range(more)]
    exchange = Exchange(4, regime=regime, contracts=terms, policy=POLICIES["hedge_first"], **how)
    exchange.deposit(0, cash)
    for account in (1, 2, 3):
        exchange.deposit(account, RICH)
    for c, lots in ((NEAR, near), (FAR, far)):
        if lots:
            exchange.trade(*((0, 1) if lots > 0 else (1, 0)), abs(lots), 100, c)
    for c in range(len(terms)):
        exchange.rest(2, s.BUY, 1000, 99, c)
        exchange.rest(3, s.SELL, 1000, 101, c)
    exchange.remark()
    exchange.state.quotes["volume"][FAR] = 1
    return exchange


def hedges(exchange: Exchange) -> list[tuple[int, int, int]]:
    """Contract, lots ordered, lots filled."""
    return [(int(e["contract"]), int(e["a"]), int(e["b"])) for e in exchange.events(s.EV_HEDGE)]


def test_a_spread_is_made_neutral_in_the_most_traded_contract() -> None:
    """10 near against 2 far: 500 needed, 450 there. 8 far are sold at 99, 80 lost: 370 against 27 % of 1250, 338."""
    exchange = spread(10, -2, 450)
    exchange.clear()
    assert hedges(exchange) == [(FAR, -8, 8)]
    assert (exchange.lots(0, NEAR), exchange.lots(0, FAR), exchange.status(0)) == (10, -10, s.OPEN)
    assert exchange.equity(0) == 370
    assert exchange.events(s.EV_LIQUIDATION) == []
    fill = exchange.state.fills[exchange.meta(s.M_FILLS) - 1]
    assert (fill["cause"], fill["taker"], fill["cause_ref"]) == (s.CAUSE_HEDGE, 0, 1)
    invariants.check(exchange.state)


def test_legs_are_closed_when_the_hedge_does_not_suffice() -> None:
    """With 400 there are 320 left of 338. A lot of each leg costs 10 twice: 300 of 304; one more, 280 of 270."""
    exchange = spread(10, -2, 400)
    exchange.clear()
    assert hedges(exchange) == [(FAR, -8, 8)]
    assert [int(e["reason"]) for e in exchange.events(s.EV_LIQUIDATION)][:2] == [1, 1]
    assert (exchange.lots(0, NEAR), exchange.lots(0, FAR)) == (8, -8)
    assert (exchange.equity(0), exchange.status(0)) == (280, s.OPEN)
    invariants.check(exchange.state)


def test_no_hedge_where_it_would_not_lower_maintenance() -> None:
    """Without netting, 12 lots need 750 and 18 would need 1125."""
    exchange = spread(10, -2, 700, regime="static")
    exchange.clear()
    assert hedges(exchange) == []
    assert exchange.lots(0, NEAR) < 10
    invariants.check(exchange.state)


def test_a_hedge_may_also_reduce_a_position() -> None:
    """10 near and 2 far on the same side: 12 far are sold, which leaves 10 against 10."""
    exchange = spread(10, 2, 700)
    exchange.clear()
    assert hedges(exchange) == [(FAR, -12, 12)]
    assert (exchange.lots(0, NEAR), exchange.lots(0, FAR)) == (10, -10)


def test_one_position_is_closed_not_hedged() -> None:
    exchange = spread(10, 0, 600)
    exchange.clear()
    assert hedges(exchange) == []
    assert exchange.lots(0, FAR) == 0
    assert 0 < exchange.lots(0, NEAR) < 10


def test_a_short_account_is_hedged_by_buying() -> None:
    exchange = spread(-10, 3, 430)
    exchange.clear()
    assert hedges(exchange) == [(FAR, 7, 7)]
    assert (exchange.lots(0, NEAR), exchange.lots(0, FAR)) == (-10, 10)


def test_a_hedge_stays_in_its_own_underlying() -> None:
    exchange = spread(10, -2, 450, more=1)
    exchange.state.quotes["volume"][2] = 10**6
    exchange.clear()
    assert hedges(exchange) == [(FAR, -8, 8)]


def test_without_a_buyer_the_legs_are_closed_at_once() -> None:
    exchange = spread(10, -2, 450)
    exchange.send(2, s.CANCEL_ALL, c=FAR)
    exchange.batch()
    exchange.rest(2, s.BUY, 1000, 40, FAR)  # beyond the price band
    exchange.rest(3, s.SELL, 1000, 160, FAR)
    exchange.clear()
    assert hedges(exchange)[0] == (FAR, -8, 0)
    assert exchange.lots(0, FAR) >= -2
    assert exchange.lots(0, NEAR) < 10


def test_a_hedge_respects_the_position_limit() -> None:
    exchange = spread(10, -2, 450)
    exchange.state.contracts["max_lots"][FAR] = 5
    assert hedging.plan_hedge(exchange.state, 0) == (FAR, -3)


def test_a_cooldown_counts_the_hedge_as_an_action() -> None:
    exchange = spread(10, -2, 400, dt=1.0)
    exchange.state.policy[s.LP_COOLDOWN] = 2
    exchange.clear()
    assert (hedges(exchange), exchange.events(s.EV_LIQUIDATION)) == ([(FAR, -8, 8)], [])
    assert exchange.status(0) == s.LIQUIDATING
    exchange.next_step()
    assert exchange.clear() == 0
    exchange.next_step()
    exchange.clear()
    assert exchange.events(s.EV_LIQUIDATION) != []


# -- deltas ------------------------------------------------------------------------------------------------------------


@given(st.floats(0.6, 1.6), st.floats(0.05, 2.0), st.integers(1, 4))
def test_deltas_are_those_of_black_76(ratio: float, volatility: float, step: int) -> None:
    e = currencies.exchange(2)
    e.state.meta[s.M_STEP] = step
    index = round(currencies.PRICE * ratio * 16)
    e.state.quotes["index"][:4] = index
    e.state.contracts["volatility"][[currencies.CALL, currencies.COIN_PUT]] = volatility
    years = (currencies.EXPIRY - step) / (DAYS_PER_YEAR * 1440)
    price = index / 16
    for c, side, strike, size in ((currencies.CALL, "call", 10_100.0, 1.0), (currencies.COIN_PUT, "put", 9_900.5, 0.1)):
        greeks = options.black76_greeks(side, price, strike, years, volatility)
        found = hedging.lot_delta(e.state, c)
        if c == currencies.CALL:  # 0.01 coin a lot, cents
            assert found == pytest.approx(0.01 * 100 * float(greeks.delta) * price, rel=1e-9, abs=1e-9)
        else:  # 0.1 coin a lot, satoshi, at the conversion of the account
            coins = size * 10**8 * (float(greeks.delta) - float(greeks.price) / price)
            rate = int(e.state.conversion[1]) / s.RATE_ONE
            assert found == pytest.approx(coins * rate, rel=1e-9, abs=1e-9)


def test_deltas_of_linear_and_inverse_contracts_are_their_values() -> None:
    e = currencies.exchange(2)
    assert hedging.lot_delta(e.state, currencies.SPOT) == 0
    assert hedging.lot_delta(e.state, currencies.PERPETUAL) == pytest.approx(currencies.PRICE)  # cents: 0.01 x 10,000 $
    assert hedging.lot_delta(e.state, currencies.COIN) == pytest.approx(100 * 100, rel=1e-6)  # 100 dollars in cents


def test_an_option_account_is_hedged_with_the_perpetual() -> None:
    """A call of delta d, 30 lots of it: the perpetual brings it within a lot of neutral, never beyond."""
    e = currencies.exchange(3)
    e.deposit(0, 10**8)
    e.deposit(1, 10**8)
    e.trade(0, 1, 30, 300, currencies.CALL)
    e.trade(0, 1, 2, currencies.PRICE, currencies.PERPETUAL)
    e.state.quotes["volume"][currencies.PERPETUAL] = 5
    e.state.quotes["index"][:4] = 10_150 * 16
    reference = int(e.state.contracts["reference"][currencies.CALL])
    delta = hedging.net_delta(e.state, 0, reference)
    k, lots = hedging.plan_hedge(e.state, 0)
    assert k == currencies.PERPETUAL
    assert lots < -2
    left = delta + lots * hedging.lot_delta(e.state, currencies.PERPETUAL)
    assert 0 <= left < hedging.lot_delta(e.state, currencies.PERPETUAL)


def test_futures_go_before_options() -> None:
    e = currencies.exchange(4, policy=replace(POLICIES["deribit"], size="full"))
    e.deposit(0, 17_000)
    for account in (1, 2, 3):
        e.deposit(account, 10**9)
    e.trade(0, 1, 2, 300, currencies.CALL)
    e.trade(0, 1, 30, currencies.PRICE, currencies.PERPETUAL)
    for c, price in ((currencies.PERPETUAL, 9_990), (currencies.CALL, 250)):
        e.rest(2, s.BUY, 1000, price, c)
    e.clear()
    kinds = [int(event["contract"]) for event in e.events(s.EV_LIQUIDATION)]
    assert kinds
    assert kinds[0] == currencies.PERPETUAL
    rounds = [int(event["reason"]) for event in e.events(s.EV_LIQUIDATION)]
    assert all(c == currencies.PERPETUAL for c, r in zip(kinds, rounds, strict=True) if r == rounds[0])


# -- whole markets -----------------------------------------------------------------------------------------------------

PAIR = (
    *markets.POPULATIONS,
    ("latent", "latent_b", {"count": 20, "lifetime": 60.0, "depth_ticks": 600, "contract": "b"}),
    ("spread_traders", "spreads", {"count": 30, "other": "b", "period": 4, "capital_lots": 1.0, "entry": 0.0,
                                   "scale": 0.002}),
)  # fmt: skip


def test_a_rule_in_numpy_hedges_like_the_compiled_one() -> None:
    def run(regime: Any) -> Any:
        market = markets.market(
            regime, populations=PAIR, contract_count=2, underlying="x", policy=POLICIES["hedge_first"],
            record=RecordConfig(refusals=True, trades=True), forced_limit="bankruptcy",
        )  # fmt: skip
        market.advance(200)
        market.check()
        return market

    fast, slow = run("static"), run(NumpyStatic(**markets.RATES))
    events = fast.state.events[: fast.state.meta[s.M_EVENTS]]
    assert fast.state.meta[s.M_LIQUIDATIONS] > 0
    assert (events["kind"] == s.EV_HEDGE).sum() > 0
    assert slow.results_hash() == fast.results_hash()
