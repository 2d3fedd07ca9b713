"""The bits that say in which contracts an account has something."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import invariants
from sim.errors import InvariantError
from sim.kernels import held, ledger
from sim.kernels import state as s
from tests.sim.exchange import Exchange, contract

WIDE = 130  # two whole words of bits and a part of a third


def walk(state: s.State, account: int) -> list[int]:
    found, at = [], int(held.next_held(state, account, 0))
    while at >= 0:
        found.append(at)
        at = int(held.next_held(state, account, at + 1))
    return found


def exchange() -> Exchange:
    return Exchange(2, contracts=[contract(f"c{i}", underlying="X") for i in range(WIDE)], cash=10**9)


@given(st.sets(st.integers(0, WIDE - 1)), st.integers(0, WIDE + 70))
def test_bits_are_walked_in_order(chosen: set[int], start: int) -> None:
    state = s.allocate(traders=1, contracts=WIDE, steps=1)
    for c in chosen:
        held.hold(state, 0, c)
    assert walk(state, 0) == sorted(chosen)
    after = [c for c in sorted(chosen) if c >= start]
    assert int(held.next_held(state, 0, start)) == (after[0] if after else -1)


@given(st.lists(st.tuples(st.integers(0, WIDE - 1), st.sampled_from([-2, -1, 1, 2])), max_size=25))
def test_sums_over_an_account_miss_nothing(trades: list[tuple[int, int]]) -> None:
    e = exchange()
    for c, lots in trades:
        buyer, seller = (0, 1) if lots > 0 else (1, 0)
        e.trade(buyer, seller, 100, abs(lots), c)
    invariants.check(e.state)
    rows = e.state.positions
    for account in (0, 1):
        filled = np.flatnonzero(rows["lots"][account])
        assert walk(e.state, account) == filled.tolist()  # and rows that are flat again are dropped
        own = int(e.state.wallets[account, 0])
        own += sum(int(ledger.unrealised(e.state, account, c)) for c in range(WIDE))
        assert int(ledger.equity(e.state, account)) == own


def test_a_lost_bit_stops_the_run() -> None:
    e = exchange()
    e.trade(0, 1, 100, 3, 99)
    e.state.held[1] = 0
    with pytest.raises(InvariantError, match=r"account 1, contract 99: what an account has is noted"):
        invariants.check(e.state)
    held.hold_all(e.state)
    invariants.check(e.state)
