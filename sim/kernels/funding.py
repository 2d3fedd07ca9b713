"""Funding of perpetuals, daily settlement of futures, expiry: the payments that time itself causes."""

from __future__ import annotations

import numpy as np

from sim.kernels.depth import cost_to_fill
from sim.kernels.events import record_event
from sim.kernels.index import touch
from sim.kernels.jit import kernel
from sim.kernels.ledger import OFFSET_RESIDUE, credit, credit_in, note_own
from sim.kernels.marks import expired
from sim.kernels.moves import forget_funding, note_funding
from sim.kernels.orders import cancel_all
from sim.kernels.state import (
    BUY,
    EV_FUNDING,
    EV_SETTLED,
    INVERSE_FUTURE,
    INVERSE_OPTION,
    INVERSE_PERPETUAL,
    LINEAR_FUTURE,
    LINEAR_PERPETUAL,
    M_ACCOUNTS,
    M_CONTRACTS,
    M_RECORD_CAUSES,
    M_STEP,
    M_TRADERS,
    SELL,
)
from sim.kernels.values import is_inverse, is_option, underlying_price, value_at
from sim.kernels.wide import mul_div_floor, mul_shift_floor


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
    """Longs pay shorts ``|value| x rate`` (rate > 0); what rounding leaves goes to the residue account."""
    sign = -1 if is_inverse(state, contract) else 1  # of a long position's value
    currency = state.contracts[contract].currency
    rate = funding_units(state, contract)
    collected, gross = np.int64(0), np.int64(0)
    residue = state.meta[M_TRADERS] + OFFSET_RESIDUE
    mark = state.quotes[contract].mark
    for account in range(state.meta[M_ACCOUNTS]):
        lots = state.positions[account, contract].lots
        if lots != 0:
            amount = mul_shift_floor(sign * value_at(state, contract, lots, mark), rate, 32)
            credit(state, account, contract, -amount)
            if state.meta[M_RECORD_CAUSES] != 0:
                note_funding(state, account, contract, amount)
            collected += amount
            gross += abs(amount)
            touch(state, account)
    credit_in(state, residue, currency, collected)
    state.quotes[contract].funding_rate = rate
    state.quotes[contract].funding_last = state.meta[M_STEP]
    state.quotes[contract].premium_sum = 0.0
    state.quotes[contract].premium_count = 0
    record_event(state, EV_FUNDING, contract, -1, 0, rate, gross // 2, 0)


@kernel()
def settle(state, contract):
    """Daily variation margin of a future: profit since the last settlement moves from position to cash, exactly.

    The settlement price is the mark rounded to a whole tick, so that the sum over accounts is zero to the unit. (Values
    of inverse positions are rounded one by one; their costs then sum to what the rounding leaves.)
    """
    price = max((state.quotes[contract].mark + 8) >> 4, np.int64(1))
    currency = state.contracts[contract].currency
    gross = np.int64(0)
    for account in range(state.meta[M_ACCOUNTS]):
        lots = state.positions[account, contract].lots
        if lots != 0:
            value = value_at(state, contract, lots, price * 16)
            amount = value - state.positions[account, contract].cost
            credit(state, account, contract, amount)
            state.positions[account, contract].cost = value
            state.booked[account, currency] -= amount  # cost rose by as much: nothing entered or left the account
            gross += abs(amount)
    state.quotes[contract].settle_price = price
    record_event(state, EV_SETTLED, contract, -1, 0, price, gross // 2, 0)


@kernel()
def final_price(state, contract):
    """Final settlement price, sub-ticks: mean of the underlying's price over the settlement window, rounded to nearest.

    Within the window it is the mean so far.
    """
    quote = state.quotes[contract]
    if quote.final_count == 0:
        return underlying_price(state, contract)
    return (2 * quote.final_sum + quote.final_count) // (2 * quote.final_count)


@kernel()
def final_value(state, contract, lots):
    """What signed lots pay at expiry, minor units of the settlement currency, rounded down.

    Futures: their value at the final price. Options: the pay-off of K and S, the strike and the final price of the
    underlying, ``lots x payoff x max(0, S - K) / divisor``, of inverse ones ``lots x payoff x max(0, S - K) / (divisor
    x S)`` (puts: K - S).
    """
    price = final_price(state, contract)
    if not is_option(state, contract):
        return value_at(state, contract, lots, price)
    terms = state.contracts[contract]
    inside = max(terms.option * (price - terms.strike), np.int64(0))
    divisor = terms.divisor * price if terms.kind == INVERSE_OPTION else terms.divisor
    return mul_div_floor(lots * terms.payoff, inside, divisor)


@kernel()
def expire_contract(state, contract):
    """Settle a contract for good: orders go, every position pays its final value and vanishes.

    What rounding leaves of the sum goes to the residue account, so that it is zero to the unit.
    Mutates orders, positions, wallets, pockets, open interest, the index.
    """
    currency = state.contracts[contract].currency
    residue = state.meta[M_TRADERS] + OFFSET_RESIDUE
    left, gross = np.int64(0), np.int64(0)
    for account in range(state.meta[M_ACCOUNTS]):
        cancel_all(state, account, contract)
        lots = state.positions[account, contract].lots
        if lots == 0:
            continue
        note_own(state, account)
        value = final_value(state, contract, lots)
        credit(state, account, contract, value - state.positions[account, contract].cost)
        # the cost is given up for the value: what enters the account is the value
        state.booked[account, currency] += state.positions[account, contract].cost
        state.positions[account, contract].cost = 0
        state.positions[account, contract].lots = 0
        state.accounts[account].booked_lots -= lots
        state.accounts[account].positions -= 1
        pocket = state.positions[account, contract].pocket
        if pocket > 0:
            state.positions[account, contract].pocket = 0
            state.wallets[account, currency] += pocket
        left -= value
        gross += abs(value)
        touch(state, account)
    credit_in(state, residue, currency, left)
    state.quotes[contract].open_interest = 0
    price = final_price(state, contract) >> 4
    state.quotes[contract].settle_price = price
    record_event(state, EV_SETTLED, contract, -1, 1, price, gross // 2, 0)


@kernel()
def expire_contracts(state):
    """Note the underlying's price within settlement windows, and settle the contracts whose last step this is."""
    step = state.meta[M_STEP]
    for contract in range(state.meta[M_CONTRACTS]):
        last = state.contracts[contract].expiry
        if last == 0 or step > last or step <= last - state.contracts[contract].settle_window:
            continue
        state.quotes[contract].final_sum += underlying_price(state, contract)
        state.quotes[contract].final_count += 1
        if step == last:
            expire_contract(state, contract)


@kernel()
def time_payments(state):
    """Funding and settlements that are due in this step, on the marks of the step before. Mutates ledger and quotes."""
    step = state.meta[M_STEP]
    forgotten = state.meta[M_RECORD_CAUSES] == 0
    for contract in range(state.meta[M_CONTRACTS]):
        table = state.contracts[contract]
        perpetual = table.kind == LINEAR_PERPETUAL or table.kind == INVERSE_PERPETUAL
        future = table.kind == LINEAR_FUTURE or table.kind == INVERSE_FUTURE
        if perpetual and table.funding_interval > 0:
            state.quotes[contract].premium_sum += premium(state, contract)
            state.quotes[contract].premium_count += 1
            if step % table.funding_interval == 0:
                if not forgotten:
                    forget_funding(state)
                    forgotten = True
                pay_funding(state, contract)
        elif (
            future and table.settle_interval > 0 and step % table.settle_interval == 0 and not expired(state, contract)
        ):
            settle(state, contract)
