"""Standard margin of option venues, compiled: a charge per lot, expiries by their largest loss, futures by size.

Amounts are ``2**-bits`` minor units of the contract's settlement currency; sums keep whole and fraction apart.
"""

from __future__ import annotations

import numpy as np

from margin.kernels.strategies import (
    CALL_LEG,
    STOCK_LEG,
    T_COVERED,
    T_CURRENCY,
    T_KIND,
    T_LONG,
    T_SHORT,
    T_UNITS,
    add,
    converted,
    greater,
    largest_loss,
)
from sim.kernels.jit import kernel
from sim.kernels.wide import mul_shift_floor

# columns of the table of a venue that sums its contracts, int64[C, LINES]
L_SHORT = 0  # one short lot
L_LONG = 1  # one long lot
L_SLOPE = 2  # growth with the square of the lots, 2**-slope_bits minor units
LINES = 3


@kernel()
def summed_requirement(lines, currency, lots, conversion, bits, slope_bits):
    """Contracts one by one: a charge per lot, and one that grows with the square of the size.

    Args:
        lines: int64[C, LINES].
        currency: int64[C].
        lots: int64[A, C].
        conversion: int64[K], 2**-32.
        bits: of the fraction of the charge per lot.
        slope_bits: of the fraction of the slope.

    Returns:
        int64[A], minor units of the account currency; each currency is rounded up.
    """
    answer = np.zeros(len(lots), np.int64)
    totals = np.zeros((len(conversion), 2), np.int64)
    for a in range(len(lots)):
        totals[:] = 0
        for c in range(lots.shape[1]):
            held = lots[a, c]
            if held == 0:
                continue
            total = totals[currency[c]]
            add(total, abs(held), lines[c, L_SHORT] if held < 0 else lines[c, L_LONG], bits)
            if lines[c, L_SLOPE] != 0:  # rounded up, so that it is a whole number of minor units
                total[0] -= mul_shift_floor(-held * held, lines[c, L_SLOPE], slope_bits)
        answer[a] = converted(totals, conversion, bits)
    return answer


@kernel()
def _expiry(terms, members, lots, bits, total, work):
    """Add what one group asks: the better of its short options alone and its largest loss at expiry."""
    alone, loss, trial = work[0], work[1], work[2]
    alone[:] = 0
    calls, options = np.int64(0), False
    for c in members:
        units = lots[c] * terms[c, T_UNITS]
        if units == 0:
            continue
        charge = terms[c, T_SHORT] if units < 0 else terms[c, T_LONG]
        if terms[c, T_KIND] == STOCK_LEG:
            add(total, abs(units), charge, bits)
            continue
        options = True
        add(alone, abs(units), charge, bits)
        if terms[c, T_KIND] == CALL_LEG:
            calls += units
    if not options:
        return
    largest_loss(terms, members, lots, bits, loss, trial)
    if calls < 0:  # beyond the highest strike the loss has no bound
        for c in members:
            if terms[c, T_KIND] == CALL_LEG and lots[c] != 0:
                add(loss, -calls, terms[c, T_COVERED], bits)
                break
    total += loss if greater(alone, loss, bits) else alone


@kernel()
def expiry_requirement(terms, members, starts, lots, conversion, bits):
    """Expiries one by one, each the better of two ways; perpetuals and coins by value.

    Args:
        terms: int64[C, TERMS] of :mod:`margin.kernels.strategies`; ``T_COVERED`` of a call is the charge of one unit
            of net short calls.
        members: contracts in the order of their groups, int64[C].
        starts: where each group starts in ``members``, int64[G + 1].
        lots: int64[A, C].
        conversion: int64[K], 2**-32.
        bits: of the fraction.

    Returns:
        int64[A], minor units of the account currency; each currency is rounded up.
    """
    answer = np.zeros(len(lots), np.int64)
    totals, work = np.zeros((len(conversion), 2), np.int64), np.zeros((3, 2), np.int64)
    for a in range(len(lots)):
        totals[:] = 0
        for g in range(len(starts) - 1):
            group = members[starts[g] : starts[g + 1]]
            _expiry(terms, group, lots[a], bits, totals[terms[group[0], T_CURRENCY]], work)
        answer[a] = converted(totals, conversion, bits)
    return answer
