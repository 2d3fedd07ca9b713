"""Funding in the published clamp form, and the daily settlement of futures, by worked examples."""

from __future__ import annotations

import pytest

from sim import invariants
from sim.kernels import funding
from sim.kernels import state as s
from tests.sim.exchange import RESIDUE, Exchange, contract

PER_CENT = 0.01


def perpetual(periods: int = 1, interval: int = 4) -> Exchange:
    terms = contract("perp", tick_value=1000, funding_interval_steps=interval, funding_periods=periods, impact_lots=4)
    return Exchange(4, cash=10**7, contracts=[terms])


def rate_of(exchange: Exchange, average_premium: float) -> float:
    quote = exchange.state.quotes[0]
    quote["premium_sum"], quote["premium_count"] = average_premium * 7, 7
    return float(funding.funding_units(exchange.state, 0)) / s.RATE_ONE


@pytest.mark.parametrize(
    ("premium", "rate"),
    [
        # F = P + clamp(0.01 % - P, -0.05 %, 0.05 %)
        (0.07, 0.02),  # 0.07 - 0.05
        (0.03, 0.01),  # inside the clamp the rate is the interest
        (0.00, 0.01),
        (-0.04, 0.01),
        (-0.10, -0.05),
        (1.00, 0.95),
    ],
)
def test_the_clamp_form(premium: float, rate: float) -> None:
    assert rate_of(perpetual(), premium * PER_CENT) == pytest.approx(rate * PER_CENT, abs=2 / s.RATE_ONE)


def test_shorter_intervals_pay_a_part() -> None:
    assert rate_of(perpetual(periods=8), 0.07 * PER_CENT) == pytest.approx(0.0025 * PER_CENT, abs=2 / s.RATE_ONE)


def test_nothing_observed_is_no_premium() -> None:
    exchange = perpetual()
    assert funding.funding_units(exchange.state, 0) == exchange.state.contracts["funding_interest"][0]


def test_the_premium_index_of_a_book() -> None:
    """Selling 4 lots into bids of 3 at 104 and 1 at 100 fetches 103 on average, 3 above the index of 100."""
    exchange = perpetual()
    exchange.rest(0, s.BUY, 3, 104)
    exchange.rest(0, s.BUY, 9, 100)
    assert funding.premium(exchange.state, 0) == pytest.approx(0.03)
    exchange.rest(1, s.SELL, 9, 105)
    assert funding.premium(exchange.state, 0) == pytest.approx(0.03)


def test_a_discount_of_the_book() -> None:
    exchange = perpetual()
    exchange.rest(1, s.SELL, 4, 98)
    assert funding.premium(exchange.state, 0) == pytest.approx(-0.02)


def test_a_thin_book_says_nothing() -> None:
    exchange = perpetual()
    exchange.rest(0, s.BUY, 3, 110)
    assert funding.premium(exchange.state, 0) == 0.0


def test_longs_pay_shorts_and_the_rest_goes_to_the_residue() -> None:
    exchange = perpetual()
    exchange.trade(0, 1, 5)
    exchange.trade(0, 2, 2)
    quote = exchange.state.quotes[0]
    quote["premium_sum"], quote["premium_count"] = 0.0007, 1
    funding.pay_funding(exchange.state, 0)
    rate = int(quote["funding_rate"])
    assert rate == pytest.approx(0.0002 * s.RATE_ONE, abs=2)
    paid = [10**7 - exchange.wallet(a) for a in range(3)]
    assert paid == [700_000 * rate // s.RATE_ONE, -500_000 * rate // s.RATE_ONE, -200_000 * rate // s.RATE_ONE]
    assert exchange.wallet(exchange.special(RESIDUE)) == sum(paid)
    assert (quote["premium_sum"], quote["premium_count"]) == (0.0, 0)
    invariants.check(exchange.state)


def test_funding_falls_due_at_its_interval() -> None:
    exchange = perpetual(interval=3)
    for step in range(1, 8):
        exchange.state.meta[s.M_STEP] = step
        funding.time_payments(exchange.state)
    assert [int(e["step"]) for e in exchange.events(s.EV_FUNDING)] == [3, 6]


def test_an_isolated_position_pays_from_its_pocket() -> None:
    terms = contract("perp", tick_value=1000, funding_interval_steps=4)
    exchange = Exchange(2, regime="isolated", cash=10**6, contracts=[terms])
    exchange.trade(0, 1, 5)
    exchange.state.quotes["premium_sum"][0], exchange.state.quotes["premium_count"][0] = 0.0105, 1
    funding.pay_funding(exchange.state, 0)
    paid = 500_000 * int(exchange.state.quotes["funding_rate"][0]) // s.RATE_ONE
    assert paid == pytest.approx(5000, abs=1)
    assert exchange.wallet(0) == 10**6 - 62_500
    assert exchange.pocket(0) == 62_500 - paid
    assert exchange.pocket(1) in (62_500 + paid, 62_500 + paid + 1)


def test_settlement_turns_profit_into_cash() -> None:
    terms = contract("future", kind="linear_future", settle_interval_steps=2)
    exchange = Exchange(3, cash=10_000, contracts=[terms])
    exchange.trade(0, 1, 3, 100)
    exchange.trade(2, 1, 2, 103)
    exchange.set_mark(104.5)  # half a tick is settled at the next whole one: 105
    before = [exchange.equity(a) for a in range(3)]
    funding.settle(exchange.state, 0)
    assert [exchange.wallet(a) for a in range(3)] == [10_000 + 150, 10_000 - 150 - 40, 10_000 + 40]
    assert [int(x) for x in exchange.state.positions["cost"][:3, 0]] == [3150, -5250, 2100]
    assert [exchange.equity(a) for a in range(3)] == before
    event = exchange.events(s.EV_SETTLED)[0]
    assert (event["a"], event["b"]) == (105, (150 + 190 + 40) // 2)
    invariants.check(exchange.state)


def test_futures_do_not_fund_and_perpetuals_do_not_settle() -> None:
    future = contract("future", kind="linear_future", settle_interval_steps=2, funding_interval_steps=2)
    exchange = Exchange(2, cash=10_000, contracts=[future, contract("perp", settle_interval_steps=2)])
    for step in range(1, 6):
        exchange.state.meta[s.M_STEP] = step
        funding.time_payments(exchange.state)
    assert [int(e["step"]) for e in exchange.events(s.EV_SETTLED)] == [2, 4]
    assert exchange.events(s.EV_FUNDING) == []
