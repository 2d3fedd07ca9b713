"""Hedging a portfolio before its legs are closed.

The delta of a position is the change of its value for a relative change of its underlying's index, in the account
currency: of linear contracts lots x multiplier x index, of inverse ones lots x value of a lot, of options that of
Black-76. Contracts share an underlying when one index prices it (``contracts.reference``). One order in the most
traded perpetual or future of the underlying with the largest net delta brings that to zero, to a whole lot.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.black76 import black76, normal_cdf
from sim.kernels.book import submit
from sim.kernels.breakers import count_forced, halted, throttled, within_band
from sim.kernels.events import record_event
from sim.kernels.held import hold
from sim.kernels.jit import kernel
from sim.kernels.limits import forced_price
from sim.kernels.marks import expected_final, open_share
from sim.kernels.realmath import exp, ln
from sim.kernels.state import (
    BUY,
    CAUSE_HEDGE,
    EV_HEDGE,
    EXCESS,
    FORCED,
    INVERSE_OPTION,
    IOC,
    LIMIT_BAND,
    LIMIT_BANKRUPTCY,
    M_CONTRACTS,
    M_FILLS,
    M_FORCED_LIMIT,
    M_HEDGED,
    M_ROUND,
    M_STEP,
    MAINTENANCE,
    RATE_ONE,
    SELL,
    SPOT,
)
from sim.kernels.values import band_width, is_inverse, is_option, underlying_price


@kernel()
def _option_delta(state, k):
    """Delta of a lot of an option in its settlement currency."""
    terms = state.contracts[k]
    years = max(terms.expiry - state.meta[M_STEP], 0) * terms.years_per_step
    price = np.float64(underlying_price(state, k))
    spot = expected_final(state, k, price)
    moving = price * open_share(state, k)  # what the settlement window has averaged no longer moves
    growth = exp(terms.interest_rate * years)
    forward, strike = spot * growth, np.float64(terms.strike)
    deviation = terms.volatility * np.sqrt(years)
    side = np.float64(terms.option)
    if deviation > 0.0:
        delta = side * normal_cdf(side * (ln(forward / strike) / deviation + 0.5 * deviation))
    else:
        delta = side if side * (forward - strike) > 0.0 else 0.0
    per_point = np.float64(terms.payoff) / np.float64(terms.divisor)
    if terms.kind == INVERSE_OPTION:  # the premium in coin, V / F, falls as the coin gains
        value = black76(side, forward, strike, years, terms.volatility)
        return per_point * (delta - value / forward) * (moving / spot)
    return per_point * delta * moving  # discounting cancels the growth of the forward


@kernel()
def lot_delta(state, k):
    """Delta of one lot of a contract, minor units of the account currency per unit of relative change (float)."""
    terms = state.contracts[k]
    if terms.kind == SPOT:
        return 0.0
    if is_option(state, k):
        delta = _option_delta(state, k)
    elif is_inverse(state, k):
        delta = np.float64(terms.tick_value) * 16.0 / np.float64(state.quotes[k].index)
    else:
        delta = np.float64(terms.tick_value) * np.float64(state.quotes[k].index) / 16.0
    return delta * (np.float64(state.conversion[terms.currency]) / np.float64(RATE_ONE))


@kernel()
def net_delta(state, account, reference):
    """Delta of an account in the contracts whose underlying contract ``reference`` prices (float, as above)."""
    total = 0.0
    for k in range(state.meta[M_CONTRACTS]):
        lots = state.positions[account, k].lots
        if lots != 0 and state.contracts[k].reference == reference:
            total += np.float64(lots) * lot_delta(state, k)
    return total


@kernel()
def _most_traded(state, reference):
    """The perpetual or future of an underlying with the largest volume, the first among equals; -1: there is none."""
    best = np.int64(-1)
    for k in range(state.meta[M_CONTRACTS]):
        if state.contracts[k].reference != reference or is_option(state, k) or state.contracts[k].kind == SPOT:
            continue
        if best < 0 or state.quotes[k].volume > state.quotes[best].volume:
            best = np.int64(k)
    return best


@kernel()
def plan_hedge(state, account):
    """The order that would hedge an account: contract and signed lots, (-1, 0) where there is nothing to hedge.

    An account with one position is not hedged: closing it is the hedge.
    """
    none = (np.int64(-1), np.int64(0))
    if state.accounts[account].positions < 2:
        return none
    largest, widest = np.int64(-1), 0.0
    for reference in range(state.meta[M_CONTRACTS]):
        delta = abs(net_delta(state, account, reference))
        if delta > widest:
            largest, widest = np.int64(reference), delta
    if largest < 0:
        return none
    k = _most_traded(state, largest)
    if k < 0:
        return none
    lots = np.int64(-net_delta(state, account, largest) / lot_delta(state, k))  # towards zero: never beyond neutral
    held, most = state.positions[account, k].lots, state.contracts[k].max_lots
    lots = min(max(lots, -most - held), most - held)
    if lots == 0:
        return none
    return k, lots


@kernel(EXCESS)
def _maintenance_with(state, account, evaluate):
    """Maintenance of an account if its hedge were filled; an evaluator that holds stored answers was asked before."""
    if state.meta[M_HEDGED] > 0:
        return state.meta[M_HEDGED] - 1
    k, lots = plan_hedge(state, account)
    hold(state, account, k)
    state.positions[account, k].lots += lots
    required = evaluate(state, account, -1, MAINTENANCE)
    state.positions[account, k].lots -= lots
    return required


@kernel()
def _hedge_limit(state, account, k, side):
    """Worst price of a hedge in ticks: the price band, or the bankruptcy price where that is the limit and closer."""
    mark = state.quotes[k].mark
    step = band_width(state, k)
    if side == BUY:
        price = min((mark + step) >> 4, state.contracts[k].max_price)
    else:
        price = max((mark - step + 15) >> 4, np.int64(1))
    limit = state.meta[M_FORCED_LIMIT]
    if limit == LIMIT_BANKRUPTCY or limit == LIMIT_BAND:
        own = forced_price(state, account, -1, k, side)
        price = min(price, own) if side == BUY else max(price, own)
    return max(price, np.int64(1))


@kernel(EXCESS)
def hedge(state, account, evaluate):
    """Bring the net delta of a cross account towards zero, if its maintenance requirement is lower with the hedge.

    Args:
        state: the market; mutates the book and both sides of the fills.
        account: who is liquidated.
        evaluate: compiled requirement.

    Returns:
        Lots filled.
    """
    k, lots = plan_hedge(state, account)
    if lots == 0 or _maintenance_with(state, account, evaluate) >= evaluate(state, account, -1, MAINTENANCE):
        return np.int64(0)
    side = BUY if lots > 0 else SELL
    lots = side * throttled(state, k, side, abs(lots))
    if lots == 0 or halted(state, k):
        return np.int64(0)
    limit = within_band(state, k, side, _hedge_limit(state, account, k, side))
    first = state.meta[M_FILLS]
    submit(
        state, k, side, limit, abs(lots), account, IOC, FORCED, 0, 0, CAUSE_HEDGE,
        np.int64(state.accounts[account].reference),
    )  # fmt: skip
    filled = np.int64(0)
    for i in range(first, state.meta[M_FILLS]):
        filled += state.fills[i].quantity
    count_forced(state, k, side, filled)
    record_event(state, EV_HEDGE, k, account, state.meta[M_ROUND], lots, filled, limit)
    return filled
