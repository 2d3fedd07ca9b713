"""Carry traders: one contract against another of the same underlying, for the basis between them or for funding."""

from __future__ import annotations

import numpy as np

from agents.kernels.rows import clipped, limit_near_mark, take_limit, value_of_lot
from agents.kernels.spread_traders import pair_margin
from sim.kernels import ledger
from sim.kernels.funding import premium
from sim.kernels.jit import kernel
from sim.kernels.marks import expired
from sim.kernels.messages import wake_range
from sim.kernels.realmath import ln
from sim.kernels.state import (
    BUY,
    CLOSED,
    DECIDE,
    M_STEP,
    OPEN,
    PI_CONTRACT,
    RATE_ONE,
    REDUCE_ONLY,
    SELL,
    SPOT,
)

PARAMS = (
    "other", "log_ticks", "cost", "scale", "horizon", "shortest", "leverage", "headroom", "child_lots", "slippage",
)  # fmt: skip
OTHER, LOG_TICKS, COST, SCALE, HORIZON, SHORTEST, LEVERAGE, HEADROOM, CHILD_LOTS, SLIPPAGE = range(10)
FLOATS = ("rate", "entry")
RATE, ENTRY = range(2)
INTS = ("endowment",)
ENDOWMENT = 0


@kernel()
def years_left(state, contract):
    """Years of 365 days to the expiry of a contract, zero where it has none."""
    last = state.contracts[contract].expiry
    if last == 0:
        return 0.0
    return max(last - state.meta[M_STEP], np.int64(0)) * state.contracts[contract].years_per_step


@kernel()
def trades_now(state, contract):
    """Whether a contract is listed and has not expired."""
    return state.meta[M_STEP] > state.contracts[contract].listing and not expired(state, contract)


@kernel()
def log_basis(state, contract, other, log_ticks):
    """Log ratio of the two mids as prices; ``log_ticks`` is the log ratio of the tick sizes."""
    return ln(np.float64(state.quotes[contract].mid)) - ln(np.float64(state.quotes[other].mid)) + log_ticks


@kernel()
def rate_at(state, contract, level):
    """Funding rate of an interval at a level of the premium index, by the published formula."""
    terms = state.contracts[contract]
    clamp = terms.funding_clamp / RATE_ONE
    correction = clipped(terms.funding_interest / RATE_ONE - level, clamp)
    return (level + correction) / max(terms.funding_periods, np.int64(1))


@kernel()
def expected_funding(state, contract, horizon):
    """Funding per year that is to be expected of a perpetual over ``horizon`` years, from what everybody sees.

    The next payment is on the average premium of the interval so far and, for the rest of the interval, on the premium
    of now; the later ones are on the premium of now.
    """
    terms, quote = state.contracts[contract], state.quotes[contract]
    interval = terms.funding_interval
    if interval == 0:
        return 0.0
    present = premium(state, contract)
    years = interval * terms.years_per_step
    passed = min(quote.premium_count / interval, 1.0)
    average = quote.premium_sum / quote.premium_count if quote.premium_count > 0 else present
    first = rate_at(state, contract, passed * average + (1.0 - passed) * present)
    share = min(years / horizon, 1.0)
    return (share * first + (1.0 - share) * rate_at(state, contract, present)) / years


@kernel()
def cost_of_leg(state, contract, rate, shortest, horizon):
    """What a long position in a contract costs to carry, per year of its value, net of the underlying's own move.

    Spot: the rate at which it is financed. A dated future: the premium over the index that it loses until expiry. A
    perpetual: its expected funding.
    """
    if state.contracts[contract].kind == SPOT:
        return rate
    if state.contracts[contract].expiry == 0:
        return expected_funding(state, contract, horizon)
    gap = ln(np.float64(state.quotes[contract].mid)) - ln(np.float64(state.quotes[contract].index))
    return gap / max(years_left(state, contract), shortest)


@kernel()
def held_of(state, account, contract):
    """Signed lots held; of spot, the coins beyond those that the trader started with."""
    terms = state.contracts[contract]
    if terms.kind != SPOT:
        return state.positions[account, contract].lots
    return state.wallets[account, terms.base_currency] // terms.base_lot - state.trader_ints[account, ENDOWMENT]


@kernel()
def spot_room(state, account, contract, headroom):
    """Lots of spot that a trader can buy with a part of his cash, and that he can sell."""
    terms = state.contracts[contract]
    lot = np.float64(state.quotes[contract].mark) / 16.0 * terms.tick_value
    cash = max(state.wallets[account, terms.currency], np.int64(0))
    coins = max(state.wallets[account, terms.base_currency], np.int64(0))
    return np.int64(np.floor(headroom * cash / lot)), coins // terms.base_lot


@kernel()
def _trade(state, account, contract, lots, slippage):
    """Send signed lots near the mark, reduce-only where they only reduce."""
    if lots == 0 or not trades_now(state, contract):
        return
    held = state.positions[account, contract].lots
    flags = REDUCE_ONLY if lots * held < 0 and abs(lots) <= abs(held) else 0
    side = np.int64(BUY if lots > 0 else SELL)
    take_limit(state, account, contract, lots, limit_near_mark(state, contract, side, slippage), flags, 0)


@kernel()
def _work(state, account, contract, parameters, ratio, margin, wish, keep):
    """Move one row's pair a child towards what it wants.

    Args:
        state: the market.
        account: the row's account.
        contract: the first leg.
        parameters: of the population.
        ratio: lots of the second leg that balance one lot of the first.
        margin: initial margin of such a pair, minor units.
        wish: first leg wanted, as a part of the largest (-1 to 1).
        keep: side of the first leg on which a position still earns and is not reduced, or 0.
    """
    other = np.int64(parameters[OTHER])
    child = np.int64(parameters[CHILD_LOTS])
    other_child = np.int64(np.floor(child * ratio)) + 1
    held, held_other = held_of(state, account, contract), held_of(state, account, other)
    target = np.int64(0)
    if state.accounts[account].status == OPEN and trades_now(state, other):
        money = np.float64(max(ledger.equity(state, account), np.int64(0)))
        most = parameters[LEVERAGE] * money / (value_of_lot(state, contract) + ratio * value_of_lot(state, other))
        if margin > 0.0:
            most = min(most, parameters[HEADROOM] * money / margin)
        target = np.int64(np.floor(0.5 + most * wish))
        if keep * held > 0 and keep * (target - held) < 0:
            target = keep * min(abs(held), np.int64(np.floor(most)))
    if trades_now(state, contract) and abs(held * ratio + held_other) > 2.0 * other_child:
        # one leg ran ahead, as when orders of the other were refused: bring the first leg back to it
        target = np.int64(np.floor(0.5 - held_other / ratio))
    lots = clipped(target - held, child)
    if state.contracts[other].kind == SPOT:
        buys, sells = spot_room(state, account, other, parameters[HEADROOM])
        lots = min(max(lots, -np.int64(np.floor(buys / ratio))), np.int64(np.floor(sells / ratio)))
    if not trades_now(state, contract):
        lots = np.int64(0)
    target_other = np.int64(np.floor(0.5 - (held + lots) * ratio))
    _trade(state, account, contract, lots, parameters[SLIPPAGE])
    _trade(state, account, other, clipped(target_other - held_other, other_child), parameters[SLIPPAGE])


@kernel()
def _pair(state, contract, other):
    """Lots of the second leg per lot of the first, and the initial margin of such a pair; zeros without prices."""
    own, opposite = value_of_lot(state, contract), value_of_lot(state, other)
    if own <= 0.0 or opposite <= 0.0:
        return 0.0, 0.0
    ratio = own / opposite
    # spot is covered by cash or coins and takes no margin
    return ratio, pair_margin(state, contract, other, 0.0 if state.contracts[other].kind == SPOT else ratio)


@kernel(DECIDE)
def trade_basis(state, population):
    """Trade the basis of waking rows' pairs towards its fair value. No draws."""
    low, high = wake_range(state, population)
    if low == high:
        return
    contract = state.pop_ints[population, PI_CONTRACT]
    parameters = state.pop_params[population]
    other = np.int64(parameters[OTHER])
    ratio, margin = _pair(state, contract, other)
    if ratio == 0.0:
        return
    years = years_left(state, contract) - years_left(state, other)
    span = max(abs(years), parameters[SHORTEST]) if years != 0.0 else parameters[HORIZON]
    basis = log_basis(state, contract, other, parameters[LOG_TICKS])
    for k in range(low, high):
        account = np.int64(state.wake_rows[k])
        if state.accounts[account].status == CLOSED:
            continue
        gap = basis - state.trader_floats[account, RATE] * years
        excess = (abs(gap) - parameters[COST]) / span - state.trader_floats[account, ENTRY]
        side = -1 if gap > 0.0 else 1
        wish = side * clipped(max(excess, 0.0) / parameters[SCALE], 1.0)
        _work(state, account, contract, parameters, ratio, margin, wish, side if gap != 0.0 else 0)


@kernel(DECIDE)
def trade_funding(state, population):
    """Hold waking rows' pairs so that funding is received, where it pays more than the other leg costs. No draws."""
    low, high = wake_range(state, population)
    if low == high:
        return
    contract = state.pop_ints[population, PI_CONTRACT]
    parameters = state.pop_params[population]
    other = np.int64(parameters[OTHER])
    ratio, margin = _pair(state, contract, other)
    if ratio == 0.0:
        return
    horizon, shortest = parameters[HORIZON], parameters[SHORTEST]
    funding = expected_funding(state, contract, horizon)
    hurdle = parameters[COST] / horizon
    for k in range(low, high):
        account = np.int64(state.wake_rows[k])
        if state.accounts[account].status == CLOSED:
            continue
        carry = funding - cost_of_leg(state, other, state.trader_floats[account, RATE], shortest, horizon)
        excess = abs(carry) - hurdle - state.trader_floats[account, ENTRY]
        side = -1 if carry > 0.0 else 1
        wish = side * clipped(max(excess, 0.0) / parameters[SCALE], 1.0)
        _work(state, account, contract, parameters, ratio, margin, wish, side if carry != 0.0 else 0)
