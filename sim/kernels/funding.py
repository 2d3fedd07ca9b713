"""Funding of perpetuals and daily settlement of futures: the payments that time itself causes."""

from __future__ import annotations

import numpy as np

from sim.kernels.depth import cost_to_fill
from sim.kernels.events import record_event
from sim.kernels.index import touch
from sim.kernels.jit import kernel
from sim.kernels.ledger import OFFSET_RESIDUE, credit, value_at
from sim.kernels.state import (
    BUY,
    EV_FUNDING,
    EV_SETTLED,
    LINEAR_FUTURE,
    LINEAR_PERPETUAL,
    M_ACCOUNTS,
    M_CONTRACTS,
    M_STEP,
    M_TRADERS,
    SELL,
)
from sim.kernels.wide import mul_shift_floor


@kernel()
def premium(state, contract):
    """Premium index: (max(0, impact bid - index) - max(0, index - impact ask)) / index."""
    lots = state.contracts[contract].impact_lots
    index = state.quotes[contract].index / 16.0
    sold = cost_to_fill(state, contract, SELL, lots)
    bought = cost_to_fill(state, contract, BUY, lots)
    # a book too thin for the impact size says nothing on that side
    above = sold / lots - index if sold >= 0 else 0.0
    below = index - bought / lots if bought >= 0 else 0.0
    return (max(0.0, above) - max(0.0, below)) / index


@kernel()
def funding_units(state, contract):
    """Funding rate of one interval in 2**-32: (P + clamp(I - P, -c, c)) / N, P the average premium index.

    The clamp form published for USD-margined perpetuals (Binance, "Introduction to Funding Rates").
    """
    quote = state.quotes[contract]
    table = state.contracts[contract]
    average = quote.premium_sum / quote.premium_count if quote.premium_count > 0 else 0.0
    units = np.int64(np.floor(average * 4294967296.0 + 0.5))
    correction = min(max(table.funding_interest - units, -table.funding_clamp), table.funding_clamp)
    return (units + correction) // max(table.funding_periods, np.int64(1))


@kernel()
def pay_funding(state, contract):
    """Longs pay shorts ``value x rate`` (rate > 0); what rounding leaves goes to the residue account."""
    rate = funding_units(state, contract)
    collected, gross = np.int64(0), np.int64(0)
    residue = state.meta[M_TRADERS] + OFFSET_RESIDUE
    mark = state.quotes[contract].mark
    for account in range(state.meta[M_ACCOUNTS]):
        lots = state.positions[account, contract].lots
        if lots != 0:
            amount = mul_shift_floor(value_at(state, contract, lots, mark), rate, 32)
            credit(state, account, contract, -amount)
            collected += amount
            gross += abs(amount)
            touch(state, account)
    credit(state, residue, -1, collected)
    state.quotes[contract].funding_rate = rate
    state.quotes[contract].funding_last = state.meta[M_STEP]
    state.quotes[contract].premium_sum = 0.0
    state.quotes[contract].premium_count = 0
    record_event(state, EV_FUNDING, contract, -1, 0, rate, gross // 2, 0)


@kernel()
def settle(state, contract):
    """Daily variation margin of a future: profit since the last settlement moves from position to cash, exactly.

    The settlement price is the mark rounded to a whole tick, so that the sum over accounts is zero to the unit.
    """
    price = (state.quotes[contract].mark + 8) >> 4
    per_lot = price * state.contracts[contract].tick_value
    gross = np.int64(0)
    for account in range(state.meta[M_ACCOUNTS]):
        lots = state.positions[account, contract].lots
        if lots != 0:
            amount = lots * per_lot - state.positions[account, contract].cost
            credit(state, account, contract, amount)
            state.positions[account, contract].cost = lots * per_lot
            state.accounts[account].booked -= amount  # cost rose by as much: nothing entered or left the account
            gross += abs(amount)
    state.quotes[contract].settle_price = price
    record_event(state, EV_SETTLED, contract, -1, 0, price, gross // 2, 0)


@kernel()
def time_payments(state):
    """Funding and settlements that are due in this step, on the marks of the step before. Mutates ledger and quotes."""
    step = state.meta[M_STEP]
    for contract in range(state.meta[M_CONTRACTS]):
        table = state.contracts[contract]
        if table.kind == LINEAR_PERPETUAL and table.funding_interval > 0:
            state.quotes[contract].premium_sum += premium(state, contract)
            state.quotes[contract].premium_count += 1
            if step % table.funding_interval == 0:
                pay_funding(state, contract)
        elif table.kind == LINEAR_FUTURE and table.settle_interval > 0 and step % table.settle_interval == 0:
            settle(state, contract)
