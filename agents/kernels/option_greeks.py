"""Greeks of options in a running market, by lot and by account.

What a price moves is taken relatively. The delta of a lot is the change of its value for a relative change of the
underlying's price, in minor units of the account currency; over the value of a lot of a perpetual or future it is the
number of lots that hedge it. Rates between currencies and volatilities stay where they are.
"""

from __future__ import annotations

import numpy as np

from agents.kernels.rows import value_of_lot
from sim.kernels import values
from sim.kernels.black76 import black76_greeks
from sim.kernels.jit import kernel
from sim.kernels.marks import expected_final, open_share
from sim.kernels.realmath import exp
from sim.kernels.state import INVERSE_OPTION, M_CONTRACTS, M_STEP, RATE_ONE, SPOT

# Columns of a table of greeks: float64[C, LOT_GREEKS], one row per option
VALUE, DELTA, GAMMA, VEGA, FORWARD_DELTA, DISCOUNT = range(6)
LOT_GREEKS = 6
# Results of `account_greeks`
ACCOUNT_DELTA, ACCOUNT_GAMMA, ACCOUNT_VEGA, ACCOUNT_HELD, ACCOUNT_DISCOUNT = range(5)
UNKNOWN = -1.0  # of VALUE, in a row that was not worked out yet


@kernel()
def spot_of(state, contract, on_mark):
    """Price of the underlying of a contract in sub-ticks: mark, or index, of the contract that prices it."""
    reference = state.contracts[contract].reference
    return np.float64(state.quotes[reference].mark if on_mark else state.quotes[reference].index)


@kernel()
def is_live(state, k):
    """True for an option that is listed and has not expired."""
    terms = state.contracts[k]
    return values.is_option(state, k) and terms.listing < state.meta[M_STEP] <= terms.expiry


@kernel()
def empty_table(state):
    """A table of greeks of which no row is known, float64[C, LOT_GREEKS]."""
    table = np.empty((state.meta[M_CONTRACTS], LOT_GREEKS), np.float64)
    for k in range(table.shape[0]):
        table[k, VALUE] = UNKNOWN
    return table


@kernel()
def lot_greeks(state, k, spot, table):
    """Work out a row of a table of greeks unless it is known. Mutates ``table[k]``.

    Value, delta (by the logarithm of the price), gamma (change of that delta by the logarithm of the price) and vega
    (for a change of volatility of one) of a lot, in minor units of the account currency; delta of the option by its
    forward, between -1 and 1; discount factor to expiry. Greeks are those of Black-76 at the volatility at which the
    option is marked; those of inverse options are of their value in coin.

    Args:
        state: the market.
        k: number of the option.
        spot: price of the underlying, sub-ticks of the contract that prices it.
        table: float64[C, LOT_GREEKS].
    """
    if table[k, VALUE] != UNKNOWN:
        return
    terms = state.contracts[k]
    years = max(terms.expiry - state.meta[M_STEP], 0) * terms.years_per_step
    growth = exp(terms.interest_rate * years)
    # within the settlement window the price moves only what is not averaged yet
    expected, share = expected_final(state, k, spot), open_share(state, k)
    forward, moving = expected * growth, spot * share
    value, delta, gamma, vega, _ = black76_greeks(
        np.float64(terms.option), forward, np.float64(terms.strike), years, terms.volatility
    )
    unit = np.float64(terms.payoff) / np.float64(terms.divisor)
    unit *= np.float64(state.conversion[terms.currency]) / np.float64(RATE_ONE)
    if terms.kind == INVERSE_OPTION:
        coins, part = value / forward, moving / expected
        by_forward = delta - coins
        table[k, VALUE] = unit * coins
        table[k, DELTA] = unit * part * by_forward
        table[k, GAMMA] = unit * part * (part * (gamma * forward - by_forward) + (1.0 - part) * by_forward)
        table[k, VEGA] = unit * vega / forward
    else:
        table[k, VALUE] = unit * value / growth
        table[k, DELTA] = unit * delta * moving  # discounting cancels the growth of the forward
        table[k, GAMMA] = unit * moving * (delta + gamma * growth * moving)
        table[k, VEGA] = unit * vega / growth
    table[k, FORWARD_DELTA] = delta
    table[k, DISCOUNT] = 1.0 / growth


@kernel()
def account_greeks(state, account, contract, spot, table):
    """Greeks of an account's options on the underlying of a contract, in lots of that contract.

    Args:
        state: the market.
        account: account number.
        contract: perpetual or future in which deltas are counted.
        spot: price of the underlying, sub-ticks.
        table: table of greeks at that price; rows that are needed are filled in.

    Returns:
        Delta of the options in lots; their gamma, the change of that delta in lots for a relative change of the price
        of one; their vega in minor units of the account currency for a change of volatility of one; the position in
        perpetuals and futures of the same underlying, in lots of the contract; and the discount factor to expiry, the
        mean by size of delta change.
    """
    reference = state.contracts[contract].reference
    lot = value_of_lot(state, contract)
    delta, gamma, vega, held, weight, discounted = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    left = np.int64(state.accounts[account].positions)
    for k in range(state.meta[M_CONTRACTS]):
        if left <= 0:
            break
        lots = np.float64(state.positions[account, k].lots)
        if lots == 0.0:
            continue
        left -= 1
        if state.contracts[k].reference != reference or state.contracts[k].kind == SPOT:
            continue
        if values.is_option(state, k):
            lot_greeks(state, k, spot, table)
            delta += lots * table[k, DELTA]
            gamma += lots * table[k, GAMMA]
            vega += lots * table[k, VEGA]
            size = abs(lots * table[k, VEGA])
            weight += size
            discounted += size * table[k, DISCOUNT]
        elif k == contract:
            held += lots
        else:
            held += lots * value_of_lot(state, k) / lot
    delta /= lot
    # a lot of an inverse contract loses value as the price rises, that of a linear one gains
    gamma = gamma / lot + (delta if values.is_inverse(state, contract) else -delta)
    return delta, gamma, vega, held, (discounted / weight if weight > 0.0 else 1.0)
