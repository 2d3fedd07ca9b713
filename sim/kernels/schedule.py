"""What one position is charged, as a function of its size: flat rates, tiers, steps, rates that grow with size.

One function serves the evaluators of the market, the ledger (margin that moves into an isolated pocket) and the batch
evaluators of the margin room. A schedule is a table of integers per contract, ``table[contract, row, column]``
(``SCHEDULE_COLUMNS`` wide):

Row 0 says which kind it is. ``TIERS`` has one row per tier from row 1; a tier holds for values above its floor, up to
and including the next floor, and charges ``base + rate x (value - anchor)``. ``GROWING`` has one more row: the
rate of the whole position is ``base + slope x n``, at most 100 %, where n counts the steps begun above a limit, in
minor units of value or in lots.

Rates of schedules stand in 2**-62 of value, not in 2**-32: a slope per small lot keeps its digits, and the amounts that
tiers deduct come out as the venues print them.

Charges of two kinds stand side by side: initial (``which`` 0) in columns 1 .. 3, maintenance (1) in columns 4 .. 6.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.wide import mul_shift_floor

FLAT, TIERS, GROWING = 0, 1, 2
# Row 0
S_KIND = 0
S_TIERS = 1  # TIERS: number of tiers
S_LIMIT = 2  # GROWING: value or lots up to which the base rate holds
S_STEP = 3  # GROWING: value or lots of a step
S_LOTS = 4  # GROWING: 1 where limit and step are lots, 0 where they are minor units of value
# Rows of tiers; three columns for each of initial and maintenance
T_FLOOR = 0  # minor units of value
T_RATE = 1  # 2**-62
T_BASE = 2  # minor units
T_ANCHOR = 3  # minor units of value
# Row 1 of GROWING
G_BASE = 1  # 2**-62
G_SLOPE = 2  # 2**-62 per step
G_FULL = 3  # steps from which the rate is 100 %
PER_CHARGE = 3  # columns per kind of charge
RATE_BITS = 62
_EXACT = 1 << 50
_ONE = np.int64(1 << RATE_BITS)
_UNIT = 2.0**-RATE_BITS
_SHIFT = np.uint64(RATE_BITS)


@kernel()
def tier_of(table, contract, value):
    """Row of the tier in which a value lies. Counting all floors below it costs less than leaving a loop early."""
    tier = np.int64(1)
    for row in range(2, table[contract, 0, S_TIERS] + 1):
        tier += np.int64(value > table[contract, row, T_FLOOR])
    return tier


@kernel()
def fine_charge(value, rate):
    """``ceil(value x rate / 2**62)``, exactly.

    Up to 2**50 the floating-point product is within one unit of the answer, and the rest, computed modulo 2**64, says
    which unit it is: that costs one multiplication in place of four.

    Args:
        value: minor units, below 2**62 in size.
        rate: 2**-62, from 0 to 2**62.
    """
    if -_EXACT < value < _EXACT:
        near = np.int64(np.float64(value) * np.float64(rate) * _UNIT)
        rest = np.int64(np.uint64(value) * np.uint64(rate) - (np.uint64(near) << _SHIFT))
        return near + np.int64(rest > 0) + np.int64(rest > _ONE) - np.int64(rest <= -_ONE)
    return -mul_shift_floor(-value, rate, RATE_BITS)


@kernel()
def tier_charge(table, contract, tier, which, value):
    """Charge of a value that lies in a tier (see :func:`scheduled`)."""
    shift = which * PER_CHARGE
    beyond = value - table[contract, tier, T_ANCHOR + shift]
    return table[contract, tier, T_BASE + shift] + fine_charge(beyond, table[contract, tier, T_RATE + shift])


@kernel()
def scheduled(table, contract, which, lots, value):
    """Charge of one position under a schedule that is not flat, rounded up.

    Args:
        table: int64[C, rows, SCHEDULE_COLUMNS].
        contract: contract index.
        which: 0 initial, 1 maintenance.
        lots: size, at least 0.
        value: value at mark, minor units, at least 0.

    Returns:
        int64, minor units.
    """
    if table[contract, 0, S_KIND] == TIERS:
        return tier_charge(table, contract, tier_of(table, contract, value), which, value)
    shift = which * PER_CHARGE
    size = lots if table[contract, 0, S_LOTS] != 0 else value
    above = max(size - table[contract, 0, S_LIMIT], np.int64(0))
    step = table[contract, 0, S_STEP]
    count = above // step + (1 if above % step != 0 else 0)
    if count >= table[contract, 1, G_FULL + shift]:
        return value
    # below 100 %, because n is below the one at which the rate would be
    rate = table[contract, 1, G_BASE + shift] + count * table[contract, 1, G_SLOPE + shift]
    return fine_charge(value, rate)
