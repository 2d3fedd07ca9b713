"""Mid, mark and the running averages that marks and makers use.

A mark is a function of the state at the start of the step and of the current book, so that a second liquidation round
reads it afresh and an average never compounds per round; averages move once, at the end of the step. Rules that need
more than the book of the moment are in :mod:`sim.kernels.mark_rules`.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.black76 import black76
from sim.kernels.jit import kernel
from sim.kernels.mark_rules import (
    close_averages,
    deribit_mark,
    hyperliquid_mark,
    index_is_unusable,
    index_median_mark,
    nearest,
    twap_mark,
)
from sim.kernels.realmath import exp, ln
from sim.kernels.state import (
    INVERSE_OPTION,
    M_CONTRACTS,
    M_HISTORY,
    M_MARK_RULE,
    M_STEP,
    MARK_DERIBIT,
    MARK_EMA,
    MARK_HYPERLIQUID,
    MARK_INDEX,
    MARK_INDEX_MEDIAN,
    MARK_LAST,
    MARK_MID,
    MARK_TWAP,
    MK_COLLATERAL_INDEX,
    PRICED_ON_MARK,
    RATE_ONE,
    SPOT,
    XR_CONTRACT,
    XR_MODE,
    XR_OVER,
    XR_TIMES,
)
from sim.kernels.values import is_option, underlying_price
from sim.kernels.wide import mul_div_floor


@kernel()
def mid_of(state, contract):
    """Mid in sub-ticks; with one side empty, the last mid moved no further than the other side demands."""
    bid, ask = state.quotes[contract].bid, state.quotes[contract].ask
    last = state.quotes[contract].mid
    if bid > 0 and ask > 0:
        return (bid + ask) * 8
    if bid > 0:
        return max(last, bid * 16)
    if ask > 0:
        return min(last, ask * 16)
    return last


@kernel()
def expired(state, contract):
    """True once a contract has settled for good."""
    last = state.contracts[contract].expiry
    return last > 0 and state.meta[M_STEP] > last


@kernel()
def open_share(state, contract):
    """Share of a contract's final price that is still to be averaged: 1 before its settlement window."""
    done = state.quotes[contract].final_count
    if done == 0:
        return 1.0
    terms = state.contracts[contract]
    window = min(terms.settle_window, terms.expiry)
    return np.float64(max(window - done, 0)) / window


@kernel()
def expected_final(state, contract, price):
    """Expected final price of a contract whose underlying stands at ``price``: what is averaged already, and the rest.

    Within the settlement window the average so far and the price, by their steps, as venues mark options that settle at
    an average; the delta by the price falls with :func:`open_share`.
    """
    done = state.quotes[contract].final_count
    if done == 0:
        return price
    average = np.float64(state.quotes[contract].final_sum) / done
    return average + open_share(state, contract) * (price - average)


@kernel()
def option_index(state, contract):
    """Black-76 value of an option on the price of its underlying at its volatility, sub-ticks, at least one."""
    terms = state.contracts[contract]
    years = max(terms.expiry - state.meta[M_STEP], 0) * terms.years_per_step
    spot = expected_final(state, contract, np.float64(underlying_price(state, contract)))
    forward = spot * exp(terms.interest_rate * years)
    value = black76(np.float64(terms.option), forward, np.float64(terms.strike), years, terms.volatility)
    if terms.kind == INVERSE_OPTION:
        value /= forward
    else:
        value *= exp(-terms.interest_rate * years)
    return min(max(nearest(value * terms.premium_scale), np.int64(1)), terms.max_price * 16)


@kernel()
def set_option_indexes(state):
    """Put the model value of every option that has not expired where the indexes stand. Mutates quotes."""
    for contract in range(state.meta[M_CONTRACTS]):
        if is_option(state, contract) and not expired(state, contract):
            state.quotes[contract].index = option_index(state, contract)


@kernel()
def set_conversions(state):
    """Read the rates of the other currencies from the marks and indexes of this moment. Mutates ``conversion``.

    A spot contract gives its mark, or its index where collateral is to be valued by it.
    """
    for currency in range(1, state.conversion.shape[0]):
        rule = state.exchange[currency]
        contract = rule[XR_CONTRACT]
        price = state.quotes[contract].index
        if state.contracts[contract].kind == SPOT and state.marking[contract, MK_COLLATERAL_INDEX] == 0.0:
            price = state.quotes[contract].mark
        if rule[XR_MODE] > 0:
            state.conversion[currency] = mul_div_floor(price * rule[XR_TIMES], RATE_ONE, rule[XR_OVER])
        else:
            state.conversion[currency] = mul_div_floor(rule[XR_TIMES], RATE_ONE, price * rule[XR_OVER])


@kernel()
def mark_of(state, contract):
    """Mark in sub-ticks by the market's rule; at least one sub-tick, at most the largest price.

    Options are marked at their model value, as venues mark them, whatever the rule. While a stale oracle is not to be
    used, rules that stand on the index fall back to the mid.
    """
    if is_option(state, contract):
        return state.quotes[contract].index
    quote = state.quotes[contract]
    rule = state.meta[M_MARK_RULE]
    mid = mid_of(state, contract)
    mark = mid
    if rule == MARK_LAST:
        mark = quote.last * 16
    elif rule == MARK_EMA:
        mark = nearest(quote.ema + state.contracts[contract].ema_alpha * (mid - quote.ema))
    elif rule == MARK_TWAP:
        mark = twap_mark(state, contract, mid)
    elif rule == MARK_HYPERLIQUID:
        mark = hyperliquid_mark(state, contract, mid)
    elif rule != MARK_MID and not index_is_unusable(state, contract):
        if rule == MARK_INDEX:
            mark = quote.index
        elif rule == MARK_INDEX_MEDIAN:
            mark = index_median_mark(state, contract, mid)
        elif rule == MARK_DERIBIT:
            mark = deribit_mark(state, contract, mid)
    return min(max(mark, np.int64(1)), state.contracts[contract].max_price * 16)


@kernel()
def set_marks(state):
    """Re-read mid and mark of every contract, keeping the marks of the last reading. Mutates quotes, mark_before.

    Options come last: those that are priced on the mark of their underlying are valued anew.
    """
    options = False
    for contract in range(state.meta[M_CONTRACTS]):
        state.mark_before[contract] = state.quotes[contract].mark
        state.quotes[contract].mid = mid_of(state, contract)
        if is_option(state, contract):
            options = True
        else:
            state.quotes[contract].mark = mark_of(state, contract)
    if options:
        for contract in range(state.meta[M_CONTRACTS]):
            if is_option(state, contract) and not expired(state, contract):
                if state.contracts[contract].priced_on == PRICED_ON_MARK:
                    state.quotes[contract].index = option_index(state, contract)
                state.quotes[contract].mark = mark_of(state, contract)
    if state.conversion.shape[0] > 1:
        set_conversions(state)


@kernel()
def note_marks(state):
    """Write this step's marks into their ring, for the margin model. Mutates ``mark_history``."""
    now = state.meta[M_STEP] & (state.meta[M_HISTORY] - 1)
    for contract in range(state.meta[M_CONTRACTS]):
        state.mark_history[now, contract] = ln(state.quotes[contract].mark / 16.0)


@kernel()
def close_marks(state):
    """Move the averages to the end of the step and write the rings of past prices. Mutates quotes and histories."""
    ring = state.meta[M_HISTORY] - 1
    now = (state.meta[M_STEP]) & ring
    before = (state.meta[M_STEP] - 1) & ring
    for contract in range(state.meta[M_CONTRACTS]):
        quote = state.quotes[contract]
        alpha = state.contracts[contract].ema_alpha
        mid = quote.mid
        state.quotes[contract].ema = quote.ema + alpha * (mid - quote.ema)
        state.quotes[contract].basis = quote.basis + alpha * ((mid - quote.index) - quote.basis)
        close_averages(state, contract)
        log_mid = ln(mid / 16.0)
        change = log_mid - state.history[before, contract]
        state.history[now, contract] = log_mid
        mark_log = log_mid if quote.mark == mid else ln(quote.mark / 16.0)
        state.mark_history[now, contract] = mark_log
        square = change * change
        fast, slow = state.contracts[contract].variance_fast_alpha, state.contracts[contract].variance_slow_alpha
        state.quotes[contract].variance_fast += fast * (square - quote.variance_fast)
        state.quotes[contract].variance_slow += slow * (square - quote.variance_slow)
