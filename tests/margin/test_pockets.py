"""Pockets and admission as the market has them: its ledger, its evaluators, its admission, on random portfolios."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import margin
from sim.kernels import admission, ledger, messages
from sim.kernels import state as s
from sim.kernels.sockets import socket
from tests.margin import markets

ACCOUNTS = 5
SCHEDULES = ("static", "binance_tiers", "hyperliquid_isolated", "bitmex", "deribit_linear", "dydx", "isolated")


@st.composite
def books(draw: st.DrawFn) -> dict[str, np.ndarray]:
    """Positions in two contracts with entry values off the mark, pockets and wallets."""
    table = markets.table(2)
    value = table.initial_mark // 16 * table.tick_value
    cells = st.lists(st.lists(st.integers(-2_000, 2_000), min_size=2, max_size=2), min_size=ACCOUNTS, max_size=ACCOUNTS)
    lots = np.array(draw(cells), np.int64)
    gains = np.array(draw(cells), np.int64) * 50_000
    pockets = np.abs(np.array(draw(cells), np.int64)) * 20_000
    wallets = draw(st.lists(st.integers(0, 10**8), min_size=ACCOUNTS, max_size=ACCOUNTS))
    held = lots != 0
    cost = np.where(held, lots * value - gains, 0)
    return {"lots": lots, "cost": cost, "pocket": np.where(held, pockets, 0), "wallets": np.array(wallets, np.int64)}


def prepared(name: str, book: dict[str, np.ndarray]) -> tuple[Any, Any]:
    contracts = markets.table(2)
    model = margin.create(name)
    state = markets.market(contracts, traders=ACCOUNTS)
    state.quotes["index"] = contracts.initial_mark
    state.contracts["max_lots"] = 1_000_000
    state.contracts["max_price"] = 50_000
    state.contracts["band"] = 1 << 31
    state.meta[s.M_LAYOUT] = s.ISOLATED if model.layout == "isolated" else s.CROSS
    markets.install(state, 0, model, contracts)
    markets.publish(state, model, 0)
    state.rate_maintenance[:] = state.rate_maintenance[0]
    markets.give(state, {key: book[key] for key in ("lots", "cost", "pocket")})
    state.wallets[:ACCOUNTS, 0] = book["wallets"]
    return model, state


@given(book=books())
def test_isolated_pockets_liquidate_whom_cross_liquidates_and_ring_fence_the_loss(book: dict[str, np.ndarray]) -> None:
    model, state = prepared("isolated", book)
    cross, shared = prepared("cross", book)
    for account in range(ACCOUNTS):
        breaches = [
            c
            for c in range(2)
            if book["lots"][account, c] != 0
            and ledger.position_equity(state, account, c) < model.requirement_kernel(state, account, c, s.MAINTENANCE)
        ]
        own = ledger.equity(shared, account)
        if own < cross.requirement_kernel(shared, account, -1, s.MAINTENANCE):
            assert breaches
        # whatever the pockets in breach lose, the wallet and the other pockets are still there
        kept = int(book["wallets"][account])
        kept += sum(int(ledger.position_equity(state, account, c)) for c in range(2) if c not in breaches)
        assert kept >= own - sum(int(ledger.position_equity(state, account, c)) for c in breaches)


@pytest.mark.parametrize("name", SCHEDULES)
@settings(max_examples=25)
@given(book=books(), data=st.data())
def test_an_order_that_does_not_enlarge_a_shortfall_is_never_refused(
    name: str, book: dict[str, np.ndarray], data: st.DataObject
) -> None:
    model, state = prepared(name, book)
    evaluate = socket(model.requirement_kernel, s.REQUIREMENT_TYPE)
    before = [int(admission.excess(state, account, evaluate)) for account in range(ACCOUNTS)]
    orders = []
    for account in range(ACCOUNTS):
        side = data.draw(st.sampled_from([s.BUY, s.SELL]))
        contract, lots = data.draw(st.integers(0, 1)), data.draw(st.integers(1, 4_000))
        price = int(state.quotes["mark"][contract]) // 16 + data.draw(st.integers(-50, 50))
        messages.push(state, account, contract, s.NEW, side, s.GTC, 0, price, lots, 0, 0, s.CAUSE_NONE, 0)
        orders.append((contract, "open_buy" if side == s.BUY else "open_sell", lots))
    admission.arrival_order(state, 1)
    admission.admit(state, evaluate)
    for i, (contract, column, lots) in enumerate(orders):
        account = int(state.messages["account"][i])
        if state.messages["accepted"][i]:
            after = int(admission.excess(state, account, evaluate))
            assert after >= 0 or after >= before[account]
            assert state.positions[column][account, contract] == lots
            continue
        assert state.positions[column][account, contract] == 0
        # had it been reserved, the shortfall would have grown
        loss = "loss_buy" if column == "open_buy" else "loss_sell"
        state.positions[column][account, contract] = lots
        state.positions[loss][account, contract] = int(state.messages["loss"][i]) * lots
        assert int(admission.excess(state, account, evaluate)) < min(before[account], 0)
        state.positions[column][account, contract] = 0
        state.positions[loss][account, contract] = 0
