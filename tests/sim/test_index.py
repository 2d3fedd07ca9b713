"""The bankruptcy-price index: a scan by it finds exactly what a look at every account finds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import invariants
from sim.kernels import clearing, index
from sim.kernels import state as s
from tests.sim.exchange import SCRIPT, Exchange, contract

TRADERS = 12

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("trade"), st.integers(0, TRADERS - 1), st.integers(1, TRADERS - 1), st.integers(0, 1),
                  st.integers(1, 30), st.integers(1, 3900)),
        st.tuples(st.just("cash"), st.integers(0, TRADERS - 1), st.integers(-4_000, 40_000)),
        st.tuples(st.just("mark"), st.integers(0, 1), st.integers(1, 60_000)),
        st.tuples(st.just("near"), st.integers(0, 1), st.integers(-800, 800)),
        st.tuples(st.just("rate"), st.integers(0, 1), st.integers(1, int(1.2 * s.RATE_ONE))),
        st.tuples(st.just("close"), st.integers(0, TRADERS - 1)),
    ),
    min_size=1,
    max_size=50,
)  # fmt: skip


def found(exchange: Exchange, *, by_index: bool) -> list[tuple[int, int]]:
    exchange.state.meta[s.M_INDEX_VALID] = by_index
    n = clearing.collect(exchange.state, exchange.evaluate)
    return [(int(exchange.state.scratch_accounts[i]), int(exchange.state.scratch_contracts[i])) for i in range(n)]


def act(exchange: Exchange, name: str, *args: int) -> None:
    state = exchange.state
    if name == "trade":
        buyer, other, c, lots, price = args
        exchange.trade(buyer, (buyer + other) % TRADERS, lots, price, min(c, len(state.quotes) - 1))
    elif name == "cash":
        exchange.deposit(*args)
    elif name == "close":
        (account,) = args
        if state.accounts["positions"][account] == 0:
            state.accounts["status"][account] = s.CLOSED
            exchange.deposit(account, 0)
    else:
        c = min(args[0], len(state.quotes) - 1)
        if name == "mark":
            state.quotes["mark"][c] = args[1]
        elif name == "near":
            state.quotes["mark"][c] = max(int(state.quotes["mark"][c]) + args[1], 1)
        else:
            state.rate_maintenance[:, c] = args[1]


@pytest.mark.parametrize("contracts", [1, 2])
@pytest.mark.parametrize("regime", ["static", "isolated"])
@given(actions=ACTIONS)
def test_finds_what_a_full_scan_finds(regime: str, contracts: int, actions: list[tuple[Any, ...]]) -> None:
    terms = [contract("ab"[c], tick_value=(10, 3)[c], max_price=8000) for c in range(contracts)]
    exchange = Exchange(TRADERS, regime=regime, contracts=terms, cash=3000)
    for name, *args in actions:
        act(exchange, name, *args)
        by_index = found(exchange, by_index=True)
        assert len(by_index) == len(set(by_index))
        assert sorted(by_index) == found(exchange, by_index=False)
    invariants.check(exchange.state)


def test_a_breach_begins_at_the_price_worked_by_hand() -> None:
    """10 lots at 100 with 1250 of cash: 1250 + 100 (m - 100) < 6.25 m, that is m < 93.333..."""
    exchange = Exchange(2, cash=1250)
    exchange.deposit(1, 9000)
    exchange.trade(0, 1, 10)
    threshold = 8750 / 93.75 * 16
    for mark in range(int(threshold) - 40, int(threshold) + 40):
        exchange.state.quotes["mark"][0] = mark
        assert (found(exchange, by_index=True) == [(0, -1)]) == (mark < threshold - 0.2), mark


def test_exempt_accounts_are_not_listed() -> None:
    exchange = Exchange(2)
    exchange.trade(exchange.special(3), 0, 5)
    assert exchange.state.positions["bucket"][exchange.special(3), 0] == -1
    assert exchange.state.positions["bucket"][0, 0] >= 0


def test_trades_of_the_script_leave_the_list_of_accounts_with_several_contracts_alone() -> None:
    exchange = Exchange(3, contracts=[contract("a"), contract("b")])
    for c in range(2):
        exchange.trade(0, 1, 3, 100, c)
    assert index.multi_count(exchange.state) == 2
    script = exchange.special(SCRIPT)
    for _ in range(3):
        exchange.trade(script, 2, 1)
    assert index.multi_count(exchange.state) == 2
    invariants.check(exchange.state)
