"""What a position is charged by rate or by schedule: the margin of rate rules, initial and maintenance.

Futures and perpetuals are charged their contract's schedule or, where it is flat, its rate times their value at mark.
Options are charged as parts of their underlying, in the form of Cboe Rule 10.3 (FINRA Rule 4210(f)) written against
equity that counts options at mark. With the rate r of the contract that prices the underlying, the underlying's value
S, the strike K and the amount OTM by which the option is out of the money::

    short call  max(r S - OTM, r S / 2)
    short put   max(r S - OTM, r K / 2)
    long        the value of the option: it is paid in full and has no loan value

The premium of a short option, which the exchange's rule adds, is the loss that equity has already booked. Under a
schedule by size, r S is what the schedule of the reference contract asks of a position worth S.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.schedule import FLAT, GROWING, S_KIND, S_LOTS, scheduled
from sim.kernels.state import BUY, INITIAL, INVERSE_OPTION
from sim.kernels.values import is_inverse, is_option, maintenance_row, margined_value, underlying_price
from sim.kernels.wide import mul_div_floor, mul_rate


@kernel()
def by_schedule(tables, contract, which, lots, value, rate):
    """Charge of a position of ``lots`` >= 0 worth ``value``: the contract's schedule, or where it is flat rate x value.

    Args:
        tables: int64[C, rows, SCHEDULE_COLUMNS].
        contract: contract index.
        which: INITIAL or MAINTENANCE.
        lots: size.
        value: minor units, >= 0.
        rate: flat rate, 2**-32.
    """
    if tables[contract, 0, S_KIND] == FLAT:
        return mul_rate(value, rate)
    return scheduled(tables, contract, which, lots, value)


@kernel()
def _lots_worth(value, mark, tick_value, inverse):
    """Lots of a future or perpetual worth a value at its mark in sub-ticks, rounded up."""
    if inverse:
        return -mul_div_floor(-value, mark, 16 * tick_value)
    return -mul_div_floor(-value, np.int64(16), mark * tick_value)


@kernel()
def _of_underlying(tables, reference, which, value, rate, mark, tick_value, inverse):
    """What the reference contract's rate or schedule asks of an underlying's value, minor units."""
    lots = np.int64(0)
    if tables[reference, 0, S_KIND] == GROWING and tables[reference, 0, S_LOTS] != 0:
        lots = _lots_worth(value, mark, tick_value, inverse)
    return by_schedule(tables, reference, which, lots, value, rate)


@kernel()
def short_option(
    tables, reference, which, rate, mark, tick_value, inverse, lots, side, price, strike, payoff, divisor, in_coin
):
    """Charge of ``lots`` >= 0 options sold, minor units of the settlement currency (see the module).

    Args:
        tables: schedules, int64[C, rows, SCHEDULE_COLUMNS].
        reference: contract that prices the underlying.
        which: INITIAL or MAINTENANCE.
        rate: flat rate, 2**-32, of that contract.
        mark: of the reference contract, sub-ticks.
        tick_value: of the reference contract.
        inverse: whether the reference contract is an inverse one.
        lots: size.
        side: CALL or PUT.
        price: of the underlying, in the units of the strike.
        strike: sub-ticks of the reference contract, or other units.
        payoff: with ``divisor``, minor units paid per lot and sub-tick of the underlying (in coin: per lot and coin).
        divisor: see ``payoff``.
        in_coin: whether premium and pay-off are in the coin (inverse options).

    Returns:
        int64, rounded up.
    """
    paid = lots * payoff
    below = max(side * (strike - price), np.int64(0))
    if in_coin:
        value = -((-paid) // divisor)
        out = mul_div_floor(paid, below, divisor * price)
        least = value if side > 0 else -mul_div_floor(-paid, strike, divisor * price)
    else:
        value = -mul_div_floor(-paid, price, divisor)
        out = mul_div_floor(paid, below, divisor)
        least = value if side > 0 else -mul_div_floor(-paid, strike, divisor)
    whole = _of_underlying(tables, reference, which, value, rate, mark, tick_value, inverse)
    half = whole if side > 0 else _of_underlying(tables, reference, which, least, rate, mark, tick_value, inverse)
    return max(whole - out, (half + 1) // 2)


@kernel()
def option_charge(state, contract, which, lots):
    """Margin of a position of signed lots of an option, minor units of the settlement currency (see the module)."""
    if lots >= 0:
        return margined_value(state, contract, lots)
    terms = state.contracts[contract]
    reference = terms.reference
    rate = state.rate_initial[contract]
    if which != INITIAL:
        rate = state.rate_maintenance[maintenance_row(state), contract]
    return short_option(
        state.tiers, reference, which, rate, state.quotes[reference].mark, state.contracts[reference].tick_value,
        is_inverse(state, reference), -lots, np.int64(terms.option), underlying_price(state, contract), terms.strike,
        terms.payoff, terms.divisor, terms.kind == INVERSE_OPTION,
    )  # fmt: skip


@kernel()
def position_charge(state, contract, which, lots, rate):
    """Margin of a position at mark, minor units of the settlement currency, rounded up (see the module).

    Args:
        state: the market.
        contract: contract index.
        which: INITIAL or MAINTENANCE.
        lots: signed size; the sign matters of options only.
        rate: flat rate of the contract, 2**-32; of options the rate in force is read instead.
    """
    if is_option(state, contract):
        return option_charge(state, contract, which, lots)
    size = abs(lots)
    return by_schedule(state.tiers, contract, which, size, margined_value(state, contract, size), rate)


@kernel()
def opening_margin(state, contract, side, held, lots, value):
    """Initial margin that ``lots`` bring in when they enlarge a position of ``held`` lots (both >= 0).

    Args:
        state: the market.
        contract: contract index.
        side: BUY or SELL.
        held: lots before, of the same side.
        lots: lots opened.
        value: what they were traded for, minor units of the settlement currency, >= 0; of options the mark counts.
    """
    if is_option(state, contract):
        if side == BUY:
            return margined_value(state, contract, lots)
        grown = option_charge(state, contract, INITIAL, -(held + lots))
        return max(grown - option_charge(state, contract, INITIAL, -held), np.int64(0))
    if state.tiers[contract, 0, S_KIND] == FLAT:
        return mul_rate(value, state.rate_initial[contract])
    before = margined_value(state, contract, held)
    after = scheduled(state.tiers, contract, INITIAL, held + lots, before + value)
    return max(after - scheduled(state.tiers, contract, INITIAL, held, before), np.int64(0))
