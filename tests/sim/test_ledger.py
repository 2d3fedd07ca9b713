"""The ledger against a slow one in Python integers: fills, funding, settlement, deposits, fees, both layouts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import invariants
from sim.kernels import funding, ledger
from sim.kernels import state as s
from tests.sim.exchange import FEES, RESIDUE, Exchange, contract
from tests.sim.slow_ledger import RATE_ONE, SlowAccount, fee, funding_rate

TRADERS = 4
TICK_VALUES = (7, 300)
TAKER, MAKER = 0.0005, -0.0001

trades = st.tuples(
    st.just("trade"), st.integers(0, TRADERS - 1), st.integers(1, TRADERS - 1), st.integers(0, 1), st.integers(1, 60),
    st.integers(1, 300),
)  # fmt: skip
deposits = st.tuples(st.just("deposit"), st.integers(0, TRADERS - 1), st.integers(-5_000, 50_000))
fundings = st.tuples(st.just("funding"), st.integers(0, 1), st.integers(-(1 << 29), 1 << 29))
settlements = st.tuples(st.just("settle"), st.integers(0, 1))
moves = st.tuples(st.just("mark"), st.integers(0, 1), st.integers(1, 5000))
ACTIONS = st.lists(st.one_of(trades, trades, trades, deposits, fundings, settlements, moves), max_size=40)


def two_contracts() -> list[Any]:
    return [
        contract("ab"[c], tick_value=TICK_VALUES[c], fee_taker=TAKER, fee_maker=MAKER, funding_periods=1 + 2 * c)
        for c in range(2)
    ]


class Both:
    """The same actions on both ledgers."""

    def __init__(self, layout: str) -> None:
        regime = "isolated" if layout == "isolated" else "static"
        self.fast = Exchange(TRADERS, regime=regime, contracts=two_contracts())
        self.slow = [SlowAccount(2, layout == "isolated") for _ in range(TRADERS)]
        self.special = [SlowAccount(2, False) for _ in range(s.SPECIAL_ACCOUNTS)]

    @property
    def state(self) -> Any:
        return self.fast.state

    def trade(self, taker: int, step: int, c: int, lots: int, price: int) -> None:
        maker = (taker + step) % TRADERS
        self.fast.trade(taker, maker, lots, price, c)
        value = price * lots * TICK_VALUES[c]
        rate = int(self.state.rate_initial[c])
        self.slow[taker].trade(c, lots, value, rate)
        self.slow[maker].trade(c, -lots, value, rate)
        for account, name in ((taker, "fee_taker"), (maker, "fee_maker")):
            paid = fee(value, int(self.state.contracts[name][c]))
            self.slow[account].wallet -= paid
            self.special[FEES].wallet += paid

    def deposit(self, account: int, amount: int) -> None:
        self.fast.deposit(account, amount)
        self.slow[account].wallet += amount

    def funding(self, c: int, premium: int) -> None:
        quote, terms = self.state.quotes[c], self.state.contracts[c]
        quote["premium_sum"], quote["premium_count"] = 4 * premium / RATE_ONE, 4
        funding.pay_funding(self.state, c)
        rate = funding_rate(premium, *(int(terms[f"funding_{k}"]) for k in ("interest", "clamp", "periods")))
        assert quote["funding_rate"] == rate
        for account in self.slow:
            value = account.positions[c].lots * int(quote["mark"]) * TICK_VALUES[c] // 16
            paid = value * rate // RATE_ONE
            account.pay(c, paid)
            self.special[RESIDUE].wallet += paid

    def settle(self, c: int) -> None:
        funding.settle(self.state, c)
        price = max((int(self.state.quotes["mark"][c]) + 8) // 16, 1)
        for account in self.slow:
            position = account.positions[c]
            value = position.lots * price * TICK_VALUES[c]
            account.pay(c, position.cost - value)
            position.cost = value

    def mark(self, c: int, subticks: int) -> None:
        self.state.quotes["mark"][c] = subticks

    def compare(self) -> None:
        for number, account in enumerate([*self.slow, *self.special]):
            assert self.state.wallets[number, 0] == account.wallet, number
            for c, position in enumerate(account.positions):
                row = self.state.positions[number, c]
                assert (row["lots"], row["cost"], row["pocket"]) == (position.lots, position.cost, position.pocket)
            marks = [int(m) for m in self.state.quotes["mark"]]
            assert ledger.equity(self.state, number) == account.equity(marks, list(TICK_VALUES))
        invariants.check(self.state)


@pytest.mark.parametrize("layout", ["cross", "isolated"])
@given(actions=ACTIONS)
def test_agrees_with_the_slow_ledger(layout: str, actions: list[tuple[Any, ...]]) -> None:
    both = Both(layout)
    for name, *args in actions:
        getattr(both, name)(*args)
    both.compare()
    brought_in = sum(args[1] for name, *args in actions if name == "deposit")
    state = both.state
    assert invariants.cash_total(state) == brought_in == state.net_deposits[0]


@given(actions=ACTIONS)
def test_closing_everything_leaves_no_cost(actions: list[tuple[Any, ...]]) -> None:
    both = Both("cross")
    for name, *args in actions:
        getattr(both, name)(*args)
    for c in range(2):
        longs = [a for a in range(TRADERS) if both.slow[a].positions[c].lots > 0]
        for seller in longs:
            for buyer in range(TRADERS):
                lots = min(both.slow[seller].positions[c].lots, -both.slow[buyer].positions[c].lots)
                if lots > 0:
                    both.trade(buyer, (seller - buyer) % TRADERS, c, lots, 90)
    both.compare()
    assert (both.state.positions["lots"] == 0).all()
    assert (both.state.positions["cost"] == 0).all()
    assert (both.state.quotes["open_interest"] == 0).all()


def test_a_part_closes_at_average_cost_rounded_down() -> None:
    fast = Exchange(2, cash=0)
    fast.trade(0, 1, 3, 100)
    fast.trade(0, 1, 4, 101)  # cost 7040 for 7 lots
    fast.trade(1, 0, 3, 105)
    assert fast.state.positions["cost"][0, 0] == 7040 - 7040 * 3 // 7
    assert fast.wallet(0) == 3150 - 7040 * 3 // 7
    fast.trade(1, 0, 4, 105)
    assert fast.wallet(0) == 7 * 1050 - 7040
    assert fast.wallet(1) == -fast.wallet(0)


def test_a_trade_through_zero_splits_its_value() -> None:
    fast = Exchange(2)
    fast.trade(0, 1, 3, 100)
    fast.trade(1, 0, 10, 101)
    closing = 10 * 1010 * 3 // 10
    assert fast.wallet(0) == closing - 3000
    assert fast.state.positions["cost"][0, 0] == -(10100 - closing)
    assert fast.lots(0) == -7


def test_an_isolated_loss_stops_at_the_pocket() -> None:
    fast = Exchange(2, regime="isolated", cash=5000)
    fast.trade(0, 1, 10, 100)
    assert (fast.pocket(0), fast.wallet(0)) == (1250, 3750)
    fast.trade(1, 0, 10, 80)
    assert (fast.pocket(0), fast.wallet(0)) == (1250 - 2000, 3750)
    assert fast.wallet(1) == 5000 + 2000


def test_an_isolated_part_takes_its_share_of_the_pocket() -> None:
    fast = Exchange(2, regime="isolated", cash=5000)
    fast.trade(0, 1, 10, 100)
    fast.trade(1, 0, 4, 95)
    assert (fast.pocket(0), fast.wallet(0)) == (750, 3750 + 500 - 200)
