"""Every kind of contract in two currencies: the ledger against a slow one, to the unit and per currency."""

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
from sim.config import ClearingConfig, MarketConfig, ScriptedEvent
from sim.contracts import Contract, exchange_rules
from sim.errors import ConfigError, InvariantError
from sim.kernels import funding, ledger, marks
from sim.kernels import state as s
from sim.market import Market
from sim.views import portfolio_view
from sim.world import GbmWorld, build_world
from tests.sim.currencies import BITCOINS, COIN, COIN_FUTURE, DOLLARS, EXPIRY, Both, contracts, exchange
from tests.sim.exchange import FUND, contract

TRADERS = 4
accounts = st.integers(0, TRADERS - 1)
trades = st.tuples(
    st.just("trade"), accounts, st.integers(1, TRADERS - 1), st.integers(0, 5), st.integers(1, 60),
    st.integers(5_000, 20_000),
)  # fmt: skip
deposits = st.tuples(st.just("deposit"), accounts, st.integers(0, 1), st.integers(-(10**6), 10**9))
moves = st.tuples(st.just("move"), st.integers(16 * 5_000, 16 * 20_000))
fundings = st.tuples(st.just("fund"), st.integers(-(1 << 29), 1 << 29))
settlements = st.tuples(st.just("settle"))
expiries = st.tuples(st.just("expire"))
ACTIONS = st.lists(st.one_of(trades, trades, trades, trades, deposits, moves, fundings, settlements), max_size=40)


class Run(Both):
    """Actions by name."""

    def fund(self, premium: int) -> None:
        for c in (1, COIN):
            quote = self.state.quotes[c]
            quote["premium_sum"], quote["premium_count"] = 4 * premium / (1 << 32), 4
            funding.pay_funding(self.state, c)
            self.slow.fund(c, int(quote["mark"]), int(quote["funding_rate"]))

    def settle(self) -> None:
        funding.settle(self.state, COIN_FUTURE)
        self.slow.settle(COIN_FUTURE, int(self.state.quotes["mark"][COIN_FUTURE]))

    def expire(self) -> None:
        self.state.meta[s.M_STEP] = EXPIRY
        funding.expire_contracts(self.state)
        self.state.meta[s.M_STEP] = EXPIRY + 1
        for c in range(COIN_FUTURE, 6):
            self.slow.expire(c, self.index)

    def compare(self) -> None:
        state = self.state
        marks.set_option_indexes(state)
        for c in (4, 5):
            state.quotes["mark"][c] = state.quotes["index"][c]
        marks.set_conversions(state)
        state.haircut[BITCOINS] = 1 << 30
        at = [int(m) for m in state.quotes["mark"]]
        for number, account in enumerate(self.slow.accounts):
            for currency in (DOLLARS, BITCOINS):
                assert state.wallets[number, currency] == account.cash[currency], (number, currency)
            for c in range(6):
                row = state.positions[number, c]
                assert (row["lots"], row["cost"]) == (account.lots[c], account.cost[c]), (number, c)
            wanted = self.slow.equity(number, at, int(state.conversion[BITCOINS]), 1 << 30)
            assert ledger.equity(state, number) == wanted
        for currency in (DOLLARS, BITCOINS):
            brought = self.slow.brought[currency]
            assert invariants.cash_total(state, currency) == brought == state.net_deposits[currency]
        invariants.check(state)


@given(actions=ACTIONS, end=st.booleans())
def test_agrees_with_the_slow_ledger(actions: list[tuple[Any, ...]], end: bool) -> None:
    run = Run(TRADERS)
    for name, *args in actions:
        getattr(run, name)(*args)
    if end:
        run.expire()
    run.compare()
    if end:
        assert not run.state.positions["lots"][:, COIN_FUTURE:].any()


@given(actions=ACTIONS)
def test_the_portfolio_view_has_the_ledgers_equity(actions: list[tuple[Any, ...]]) -> None:
    run = Run(TRADERS)
    for name, *args in actions:
        getattr(run, name)(*args)
    run.compare()

    class Shell:
        state = run.state
        contract_table = run.fast.table

    view = portfolio_view(Shell())  # type: ignore[arg-type]
    assert view.equity().tolist() == [ledger.equity(run.state, a) for a in range(TRADERS + 4)]
    gross = [ledger.notional(run.state, a) for a in range(TRADERS + 4)]
    assert view.account_notional(view.lots).sum(axis=1).tolist() == gross


@pytest.mark.parametrize("currency", [DOLLARS, BITCOINS])
@pytest.mark.parametrize("leak", [1, -1])
def test_a_leak_of_one_unit_is_found_in_each_currency(currency: int, leak: int) -> None:
    run = Run(TRADERS)
    run.deposit(0, DOLLARS, 10**6)
    run.deposit(1, BITCOINS, 10**8)
    run.trade(0, 1, COIN, 7, 9_999)
    invariants.check(run.state)
    run.state.wallets[2, currency] += leak
    with pytest.raises(InvariantError, match=f"currency {currency}") as caught:
        invariants.check(run.state)
    assert caught.value.account == 2
    assert abs(caught.value.found - caught.value.expected) == 1


@pytest.mark.parametrize("currency", [DOLLARS, BITCOINS])
def test_money_that_moves_unbooked_between_accounts_is_found(currency: int) -> None:
    run = Run(TRADERS)
    run.deposit(0, currency, 10)
    run.state.wallets[0, currency] -= 1
    run.state.wallets[1, currency] += 1
    with pytest.raises(InvariantError):
        invariants.check(run.state)


def test_other_currencies_count_at_their_rate_less_the_haircut() -> None:
    e = exchange()
    e.deposit(0, 2 * 10**8, BITCOINS)
    assert e.state.conversion[BITCOINS] == (10**6 << 32) // 10**8  # a bitcoin is 10,000 dollars of 100 cents
    assert e.equity(0) == pytest.approx(2 * 10**6, abs=1)
    e.state.haircut[BITCOINS] = 1 << 30
    assert e.equity(0) == pytest.approx(1.5 * 10**6, abs=1)
    e.deposit(1, -(10**8), BITCOINS)
    assert e.equity(1) == pytest.approx(-(10**6), abs=1)  # a debt counts in full


def test_debts_of_a_flat_account_are_paid_with_its_coins() -> None:
    e = exchange(fund=10**7)
    e.deposit(0, 10**8, BITCOINS)
    e.deposit(1, 10**8, DOLLARS)
    e.state.haircut[BITCOINS] = 1 << 31
    e.trade(0, 1, 10, 10_000, 1)
    e.trade(1, 0, 10, 9_000, 1)  # a loss of 10 x 1000 ticks x 1 cent
    lost = 10 * 1000
    assert e.wallet(0) < -lost
    debt = -e.wallet(0)
    e.clear()
    assert e.wallet(0) == 0
    coins = 10**8 - e.wallet(0, BITCOINS)
    assert coins == pytest.approx(debt * 100 * 2, abs=300)  # at half of 0.01 cents per satoshi
    assert e.wallet(e.special(FUND), BITCOINS) == coins
    assert e.wallet(e.special(FUND)) == 10**7 - debt
    assert len(e.events(s.EV_CONVERTED)) == 1
    invariants.check(e.state)


def test_a_coin_debt_is_paid_in_the_account_currency() -> None:
    e = exchange(fund=10**7)
    e.deposit(0, 10**6, DOLLARS)
    e.deposit(1, 10**9, BITCOINS)
    e.trade(0, 1, 10, 10_000, COIN)
    e.trade(1, 0, 10, 9_000, COIN)
    debt = -e.wallet(0, BITCOINS)
    assert debt > 0
    e.clear()
    assert e.wallet(0, BITCOINS) == 0
    assert e.wallet(0) == 10**6 + ((-debt * int(e.state.conversion[BITCOINS])) >> 32)
    assert e.status(0) != s.CLOSED
    invariants.check(e.state)


def test_a_coin_position_is_margined_and_liquidated_on_dollar_collateral() -> None:
    e = exchange(fund=10**7)
    e.deposit(0, 10**5, DOLLARS)  # 1000 dollars
    e.deposit(1, 10**10, BITCOINS)
    e.trade(0, 1, 50, 10_000, COIN)  # 5000 dollars
    required = e.evaluate(e.state, 0, -1, s.MAINTENANCE)
    assert required == pytest.approx(5000 * 100 / 16, abs=2)
    e.rest(1, s.BUY, 200, 8_500, COIN)
    for c in range(4):
        e.set_mark(8_550, c)
    marks.set_conversions(e.state)
    assert e.equity(0) < e.evaluate(e.state, 0, -1, s.MAINTENANCE)
    e.clear()
    assert e.lots(0, COIN) == 0
    assert e.wallet(0, BITCOINS) == 0
    assert e.equity(0) >= 0
    invariants.check(e.state)


def test_a_currency_without_a_price_is_refused() -> None:
    lonely = [contract("perp"), contract("other", currency="EUR")]
    with pytest.raises(ConfigError, match="EUR") as caught:
        exchange_rules(lonely, 100)
    assert "spot contract between EUR and USD" in str(caught.value)


def test_an_inverse_contract_prices_its_coin() -> None:
    terms = contracts()
    rules = exchange_rules([terms[1], terms[COIN]], 100)
    # 100 dollars of 100 cents per 10^10 satoshi at one tick: at 10,000 ticks a satoshi is 0.01 cents
    price = 10_000 * 16
    assert price * rules[1, s.XR_TIMES] / rules[1, s.XR_OVER] == pytest.approx(0.01)
    backwards = exchange_rules([terms[COIN], terms[0]], 10**8)
    assert backwards[1, s.XR_TIMES] / (price * backwards[1, s.XR_OVER]) == pytest.approx(100.0)
    assert np.array_equal(backwards[0], [0, 0, 0, 0])


def test_a_market_in_two_currencies_is_exact() -> None:
    steps = 200
    terms = [
        Contract("spot", "spot", base_currency="BTC", base_lot=10**6, lot_size=0.01, tick_size=10.0, tick_value=10,
                 initial_price=2000, max_price=8000, max_lots=10_000, underlying="BTC"),
        Contract("coin", "inverse_perpetual", currency="BTC", initial_price=2000, max_price=8000, max_lots=10_000,
                 tick_size=10.0, lot_size=100.0, tick_value=10**9, underlying="BTC"),
    ]  # fmt: skip
    info = MarketInfo(("spot", "coin"), 60.0, 1440)
    kinds = [
        agents.create(kind, f"{kind}_{name}", {**params, "contract": name}, info)
        for name in ("spot", "coin")
        for kind, params in (("latent", {"count": 10, "lifetime": 60.0, "depth_ticks": 600}), ("noise", {"count": 10}))
    ]
    leveraged = {"count": 30, "period": 5, "horizon_low": 5, "horizon_high": 30, "contract": "coin"}
    kinds.append(agents.create("trend_followers", "leveraged", leveraged, info))
    market = Market(
        MarketConfig(steps=steps, minor_units={"BTC": 10**8}),
        terms,
        build_world(GbmWorld(volatility=0.03), terms, steps, 60.0, 1440, 3, ()),
        margin.create("static", {"initial": 0.05, "maintenance": 0.03}),
        kinds,
        (
            ScriptedEvent("seed", "seed_open_interest", 60, contract=1, population="leveraged", lots=300),
            ScriptedEvent("sale", "metaorder", 90, contract=1, side=-1, lots=500, steps=20),
        ),
        ClearingConfig(fund_initial=10**7, haircuts={"BTC": 0.1}, max_rounds=5),
        seed=3,
        views=False,
    )
    for _ in range(steps):
        market.step()
        market.check()
    state = market.state
    assert state.meta[s.M_LIQUIDATIONS] > 0
    assert state.quotes["volume"][0] > 0
    assert market.portfolio().equity().tolist() == market.accounts_table()["equity"].tolist()
    asked = market.margin.requirement(market.portfolio(), market.risk_parameters(initial=False))
    kernel = market.margin.requirement_kernel
    assert asked.maintenance.tolist() == [kernel(state, a, -1, s.MAINTENANCE) for a in range(len(state.accounts))]
